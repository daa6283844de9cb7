"""Which masks belong to which images: by folders of images and of masks, or by names beside each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ussearch.datasets.dicom import DICOM_SUFFIXES
from ussearch.datasets.readers.folder_names import channel, derived_from, image_cores, mask_cores, mask_readings
from ussearch.datasets.readers.found_files import FoundFile
from ussearch.runtime.frames import RASTER_SUFFIXES

Key = tuple[object, ...]


@dataclass
class Pairing:
    """Images with their masks, and everything that does not fit.

    Attributes:
        images: in order, without those whose names differ from another's in the suffix alone.
        masks_of: the masks of an image, by the image's place.
        orphans: masks that belong to no image.
        equal: files that differ in their suffixes alone.
        channels: images that nnU-Net would take for channels of one.
        rivals: masks of one image that come from several folders or bear several words, so that only one can be meant.
        apart: whether any masks lie in folders of their own.
    """

    images: list[FoundFile] = field(default_factory=list)
    masks_of: dict[str, tuple[FoundFile, ...]] = field(default_factory=dict)
    orphans: list[FoundFile] = field(default_factory=list)
    equal: list[tuple[FoundFile, ...]] = field(default_factory=list)
    channels: list[tuple[FoundFile, ...]] = field(default_factory=list)
    rivals: list[tuple[FoundFile, ...]] = field(default_factory=list)
    apart: bool = True


def paired(files: Sequence[FoundFile]) -> Pairing:
    """Return which of ``files`` are images, which are masks, and how they belong together."""
    masks = _without_derived([file for file in files if file.role == "masks" and file.is_raster])
    pictures = _without_derived([file for file in files if file.role in ("images", None) and file.is_image])
    with_masks = {_place(mask) for mask in masks}
    beside = _beside([file for file in pictures if _place(file) not in with_masks])
    chosen = {file.place for file in beside}
    found = Pairing(apart=bool(masks))
    images = _images([file for file in pictures if file.place not in chosen], with_masks, {m.folder for m in beside})
    found.images = _without_equals(images, found)
    _match([*masks, *beside], found)
    return found


def _place(file: FoundFile) -> Key:
    return (file.part, file.folders)


def _images(files: Sequence[FoundFile], with_masks: set[Key], beside: set[str]) -> list[FoundFile]:
    """Return those of the files that are images: the ones in folders of images, where there are any.

    Others are images, too, where masks lie beside them, or in a folder beside them that has no folder of images.
    """
    told = {_place(file) for file in files if file.role == "images"}
    return [
        file
        for file in files
        if not told or file.role == "images" or file.folder in beside or _place(file) in with_masks - told
    ]


def _beside(files: Sequence[FoundFile]) -> list[FoundFile]:
    """Return those of the files that are masks of others in the same folder, or are named as such masks are."""
    stems: dict[str, set[str]] = defaultdict(set)
    readings = {file.place: mask_readings(file.stem) for file in files}
    for file in files:
        names = (file.stem,) if readings[file.place] else (file.stem, *image_cores(file.stem))
        stems[file.folder] |= {name.casefold() for name in names}
    ways = {
        way
        for file in files
        for core, way in readings[file.place]
        if file.is_raster and core.casefold() in stems[file.folder]
    }
    masks = {file.place for file in files if file.is_raster and any(way in ways for _, way in readings[file.place])}
    return [file for file in files if file.place in masks]


def _without_derived(files: Sequence[FoundFile]) -> list[FoundFile]:
    """Return the files without pictures made of them, such as ``a_overlay`` beside ``a``."""
    there = {(file.folder, file.stem.casefold()) for file in files}
    return [file for file in files if (file.folder, (derived_from(file.stem) or "").casefold()) not in there]


def _without_equals(images: Iterable[FoundFile], found: Pairing) -> list[FoundFile]:
    """Return one image of each name; those of one name are noted."""
    by_name: dict[Key, list[FoundFile]] = defaultdict(list)
    for file in images:
        by_name[(file.part, file.folders, file.aside, file.stem)].append(file)
    found.equal += [tuple(group) for group in by_name.values() if len(group) > 1]
    return [group[0] for group in by_name.values()]


def _match(masks: Sequence[FoundFile], found: Pairing) -> None:
    """Give every mask to its image."""
    index: dict[Key, list[FoundFile]] = defaultdict(list)
    for image in found.images:
        for key in dict.fromkeys(_image_keys(image)):
            index[key].append(image)
    of_image: dict[str, list[tuple[FoundFile, bool]]] = defaultdict(list)
    for mask in masks:
        hits = next((index[key] for key in _mask_keys(mask) if key in index), [])
        if len(hits) == 1:
            of_image[hits[0].place].append((mask, _same_stem(hits[0], mask)))
        else:
            are_channels = len(hits) > 1 and all(channel(image.stem) for image in hits)
            if are_channels:
                found.channels.append(tuple(hits))
            found.orphans += [] if are_channels else [mask]
    for place, own in of_image.items():
        exact = [mask for mask, same in own if same]
        found.orphans += [mask for mask, same in own if exact and not same]
        found.masks_of[place] = _settled(exact or [mask for mask, _ in own], found)


def _settled(masks: list[FoundFile], found: Pairing) -> tuple[FoundFile, ...]:
    """Return the masks of one image that are united; those that cannot be meant together are noted."""
    by_stem: dict[Key, list[FoundFile]] = defaultdict(list)
    for mask in masks:
        by_stem[mask.folder, mask.stem].append(mask)
    found.equal += [tuple(group) for group in by_stem.values() if len(group) > 1]
    single = [group[0] for group in by_stem.values()]
    kinds = {(mask.folder, _word(mask)) for mask in single}
    if len(kinds) > 1:
        found.rivals.append(tuple(single))
    return tuple(single)


def _word(mask: FoundFile) -> str:
    """Return what a mask's name has besides its image's and a number."""
    cores = mask_cores(mask.stem)
    return mask.stem.replace(cores[0], "", 1).strip(" _.-()0123456789").casefold() if cores else ""


def _same_stem(image: FoundFile, mask: FoundFile) -> bool:
    return image.stem.casefold() == mask.stem.casefold()


def _image_keys(image: FoundFile) -> Iterator[Key]:
    """Yield what an image is found by; keys of one kind begin with the same word."""
    place = (image.part, image.folders)
    yield ("exact", place, image.aside, image.stem)
    folded = _folded(image)
    for name in (image.stem, *image_cores(image.stem)):
        small = name.casefold()
        yield ("folded", folded, image.aside.casefold(), small)
        yield ("aside", folded, small)
        yield ("flat", small)


def _mask_keys(mask: FoundFile) -> Iterator[Key]:
    """Yield what a mask looks for its image by, the most particular first."""
    names = list(mask_names(mask))
    small = list(dict.fromkeys(name.casefold() for name in names))
    folded = _folded(mask)
    yield from (("exact", (mask.part, mask.folders), mask.aside, name) for name in names)
    yield from (("folded", folded, mask.aside.casefold(), name) for name in small)
    yield from (("aside", folded, name) for name in small)
    if mask.role == "masks" and not mask.part and not mask.folders:  # all masks in one folder
        yield from (("flat", name) for name in small)


def mask_names(mask: FoundFile) -> Iterator[str]:
    """Yield what the image of a mask may be called; some tools keep the image's suffix in the mask's name."""
    yield mask.stem
    yield from mask_cores(mask.stem)
    for name in (mask.stem, *mask_cores(mask.stem)):
        inner = Path(name)
        if inner.suffix.lower() in RASTER_SUFFIXES | DICOM_SUFFIXES:
            yield inner.stem
            yield from mask_cores(inner.stem)


def _folded(file: FoundFile) -> Key:
    return (file.part, tuple(name.casefold() for name in file.folders))
