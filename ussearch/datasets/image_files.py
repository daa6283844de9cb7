"""Which images are meant by files, folders and patterns, and what each is called among them."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ussearch.datasets.dicom import DICOM_SUFFIXES, is_dicom
from ussearch.errors import UserError
from ussearch.own_files import is_own
from ussearch.runtime.frames import RASTER_SUFFIXES, is_raster

_WORDS = "masks?|seg|segmentations?|labels?|annotations?|gt|overlay"
_MASK = re.compile(rf"(?P<image>.+)[ _.-](?:{_WORDS})(?:[ _-]?\d+)?", re.IGNORECASE)
_MASK_FOLDER = re.compile(rf"(?:.*[ _-])?(?:{_WORDS}|ground[ _-]?truth)", re.IGNORECASE)
_SUFFIXES = RASTER_SUFFIXES | DICOM_SUFFIXES
_NO_IMAGE = "DICOMDIR"  # has the mark of a DICOM file and lists others


@dataclass(frozen=True)
class ImageFiles:
    """Images to be segmented, and what was left out.

    Attributes:
        images: files by the name of what is made of them: the path below the folder that all lie in, without suffix.
        folders: the folders that were given, and those that the given files lie in.
        masks: files left out as masks, by their names beside those of images.
        own: files left out as masks and overlays that this program wrote.
    """

    images: dict[str, Path]
    folders: tuple[Path, ...]
    masks: tuple[Path, ...] = ()
    own: tuple[Path, ...] = ()


def find_images(given: Sequence[Path]) -> ImageFiles:
    """Return the images that ``given`` means: files, folders with all below them, and patterns such as ``*/*.png``.

    Below folders, images are told by their suffix, DICOM files also by their mark; hidden ones do not count. Masks are
    left out wherever they stand: ``NAME_mask`` and the like beside ``NAME``, and what lies in a folder ``masks`` or the
    like where any file of such a folder bears the name of an image elsewhere. Of two images that differ in their suffix
    alone, both keep it in their names.

    Raises UserError where a file is not there, a pattern matches nothing, a folder cannot be read, or nothing is left.
    """
    found: dict[Path, Path] = {}  # the real file: how it was reached
    folders: dict[Path, None] = {}
    for path in (each for one in given for each in _expanded(one)):
        folders.setdefault(path if path.is_dir() else path.parent)
        for each in _below(path) if path.is_dir() else [path]:
            found.setdefault(each.resolve(), each)
    root = Path(os.path.commonpath([_absolute(folder) for folder in folders])) if folders else Path()
    written = {path: is_own(path) for path in found.values()}
    own = tuple(path for path in written if written[path])
    rest = [path for path in written if not written[path]]
    places = {_absolute(path).relative_to(root): path for path in rest}
    masks = _masks(places)
    if len(masks) == len(places):
        left_out = f" besides what is left out (masks: {len(masks)}, its own: {len(own)})" if masks or own else ""
        named = ", ".join(map(str, given[:3])) + (" …" if len(given) > 3 else "")
        raise UserError(f"There is no image to segment in {named}{left_out}: give PNG, JPEG, TIFF, BMP or DICOM files.")
    images = {place: path for place, path in places.items() if place not in masks}
    return ImageFiles(_named(images), tuple(folders), tuple(places[each] for each in masks), own)


def _expanded(given: Path) -> list[Path]:
    """Return what a shell makes of a path that it has not expanded; what exists is no pattern."""
    if given.exists():
        return [given]
    if not glob.has_magic(str(given)):
        raise UserError(f"{given} does not exist: expected an image or a folder; restore it or correct the path.")
    matches = [Path(each) for each in sorted(glob.glob(str(given), recursive=True))]  # noqa: PTH207 (also absolute ones)
    found = [path for path in matches if path.is_dir() or _is_image(path)]
    if not found:
        raise UserError(f"{given} matches no image and no folder: correct the pattern or give a folder.")
    return found


def _absolute(path: Path) -> Path:
    """Return the path from the root without ``..``, links as they are named."""
    return Path(os.path.normpath(path.absolute()))


def _below(folder: Path) -> list[Path]:
    """Return the images below a folder, in order, without hidden ones."""
    found: list[Path] = []

    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename} cannot be listed ({error.strerror}): give yourself the right to read it.")

    for place, names, files in os.walk(folder, onerror=refuse):
        names[:] = sorted(name for name in names if not name.startswith("."))
        found += (path for path in (Path(place, name) for name in sorted(files)) if _is_image(path))
    return found


def _is_image(path: Path) -> bool:
    if path.name.startswith(".") or path.name.upper() == _NO_IMAGE:
        return False
    return is_raster(path) or is_dicom(path)


def _masks(places: Mapping[Path, Path]) -> set[Path]:
    """Return those of the places that are masks of other files."""
    beside: dict[Path, set[str]] = {}
    for path in places.values():
        if path.parent not in beside:
            listed = path.parent.iterdir() if path.parent.is_dir() else ()
            beside[path.parent] = {each.stem for each in listed if each.suffix.lower() in _SUFFIXES}
    masks = {place for place, path in places.items() if _masked_by(path.stem) in beside[path.parent]}
    in_folders = {place for place in places if any(map(_MASK_FOLDER.fullmatch, place.parts[:-1]))}
    images = {place.stem for place in places if place not in masks | in_folders}
    beside_images = any(place.stem in images or _masked_by(place.stem) in images for place in in_folders)
    return masks | (in_folders if beside_images else set())


def _masked_by(stem: str) -> str | None:
    """Return the image's name in the name of its mask; None where it is not the name of a mask."""
    match = _MASK.fullmatch(stem)
    return match["image"] if match else None


def _named(images: Mapping[Path, Path]) -> dict[str, Path]:
    """Return images by their places without suffix, with it where that would be the name of several."""
    short = {place: place.with_name(place.stem).as_posix() for place in images}
    uses = Counter(name.casefold() for name in short.values())
    return {place.as_posix() if uses[name.casefold()] > 1 else name: images[place] for place, name in short.items()}
