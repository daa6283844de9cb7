"""Images and masks whose names do not fit, but say the same: by DICOM's identifiers, or by a number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ussearch.datasets.readers.folder_names import image_cores
from ussearch.datasets.readers.found_files import FoundFile
from ussearch.datasets.readers.pairing import Pairing, mask_names, paired


def paired_by_any_name(files: Sequence[FoundFile]) -> Pairing:
    """Return ``paired`` of the files, where images left without a mask are also called as masks without an image are.

    That is by their SOP Instance UID, or by a number that is written in another way (``img_001``, ``mask_1``).
    """
    found = paired(files)
    lone = [file for file in found.images if file.place not in found.masks_of]
    if not lone or not found.orphans:
        return found
    names = _by_identifier(lone, found.orphans) or _by_number(lone, found)
    if not names:
        return found
    return paired([replace(file, stem=names.get(file.place, file.stem)) for file in files])


def header_of(path: Path, *tags: str) -> dict[str, str]:
    """Return attributes of a DICOM file that are there; nothing where it cannot be read."""
    import pydicom

    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(tags))
        return {tag: str(header.get(tag)) for tag in tags if header.get(tag) is not None}
    except Exception:  # NOTE: damaged files make pydicom raise anything; told when the image is decoded
        return {}


def _by_identifier(images: Iterable[FoundFile], masks: Iterable[FoundFile]) -> dict[str, str]:
    wanted = {name for mask in masks for name in mask_names(mask)}
    if not any(name.count(".") > 2 for name in wanted):
        return {}
    found = {file.place: header_of(file.path, "SOPInstanceUID") for file in images if not file.is_raster}
    identifiers = {place: header.get("SOPInstanceUID", "") for place, header in found.items()}
    return {place: identifier for place, identifier in identifiers.items() if identifier in wanted}


def _by_number(lone: Sequence[FoundFile], found: Pairing) -> dict[str, str]:
    """Return what images are called by masks with the same number, where one image and one mask have it."""
    masks = [*found.orphans, *(mask for own in found.masks_of.values() for mask in own)]
    of_images, of_masks = _numbered(found.images, image=True), _numbered(masks, image=False)
    names = {}
    for key, images in of_images.items():
        own = of_masks.get(key, [])
        if len(images) == len(own) == 1 and images[0][0] in lone and own[0][0] in found.orphans:
            names[images[0][0].place] = own[0][1]
    return names


def _numbered(files: Iterable[FoundFile], image: bool) -> dict[object, list[tuple[FoundFile, str]]]:
    found: defaultdict[object, list[tuple[FoundFile, str]]] = defaultdict(list)
    for file in files:
        names = (file.stem, *image_cores(file.stem)) if image else mask_names(file)
        number = next((name for name in names if name.isdecimal()), None)
        if number is not None:
            found[file.part, file.folders, int(number)].append((file, number))
    return found
