"""Where no layout fits: which one is nearest, and what is missing in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ussearch.datasets.readers.found_files import FoundFile, files_below
from ussearch.datasets.readers.other_formats import other_format
from ussearch.datasets.readers.pairing import mask_names

_EXPECTED = (
    "expected masks/ with equal stems beside images/, 'a_mask.png' beside each 'a.png', or a manifest, images.csv with "
    "the columns image and mask"
)


def nearest_layout(root: Path) -> str:
    """Return the rest of a sentence about ``root``: what is missing in the layout nearest to it, and the hint."""
    files = files_below(root)
    if not any(file.is_image for file in files) and not other_format(files):
        return "holds no image: expected images and masks, such as images/ and masks/; give the folder that holds them"
    return f"has no known layout: {_missing(files)}"


def _missing(files: Sequence[FoundFile]) -> str:
    masks = [file for file in files if file.role == "masks" and file.is_raster]
    pictures = [file for file in files if file.role != "masks" and file.is_image]
    images = [file for file in pictures if file.role == "images"]
    format_found = other_format(files)
    if format_found and not masks:
        return format_found
    if masks and not pictures:
        return f"{_counted(masks, 'masks')}, but there are no images; expected images/ beside"
    named = {name for mask in masks for name in mask_names(mask)}
    fitting = sorted({file.place.partition("/")[0] for file in pictures if file.stem in named and file.folder})
    if len(fitting) > 1 and not images:
        return (
            f"{_counted(masks, 'masks')}, and their images may be those in {fitting[0]}/ or {fitting[1]}/; "
            "expected one such folder, called images/, or a manifest, images.csv with the columns image and mask"
        )
    if masks:
        first, other = (images or pictures)[0].place, masks[0].place
        return (
            f"{_counted(images or pictures, 'images')} and {_counted(masks, 'masks')}, but no names fit together "
            f"({first}, {other}); {_EXPECTED}"
        )
    if images:
        return f"{_counted(images, 'images')}, but there is no folder of masks; {_EXPECTED}{_twin(images, pictures)}"
    return (
        f"{_counted(pictures, 'images')}, but none is named as the mask of another (first: {pictures[0].place}); "
        f"{_EXPECTED}"
    )


def _counted(files: Sequence[FoundFile], noun: str) -> str:
    """Return how many files there are in the folder that holds most of them, or in all."""
    folders = Counter(file.folder for file in files)
    (folder, count), *others = folders.most_common()
    if others:
        return f"{len(folders)} folders such as {folder}/ have {len(files)} {noun}"
    return f"{folder + '/' if folder else 'it'} has {count} {noun}"


def _twin(images: Sequence[FoundFile], pictures: Sequence[FoundFile]) -> str:
    """Return the hint at another folder whose files are named as the images are."""
    stems = {file.stem for file in images}
    twins = [file for file in pictures if file.role != "images" and file.stem in stems]
    if not twins:
        return ""
    return f"; {twins[0].folder or '.'}/ has files of the same names: call it masks/ if that is what they are"
