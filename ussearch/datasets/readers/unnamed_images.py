"""A folder of images whose name does not tell, beside a folder of masks: told by the same paths inside of both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from ussearch.datasets.readers.folder_names import folder_name
from ussearch.datasets.readers.found_files import FoundFile, meaning_of
from ussearch.datasets.readers.name_kinds import is_date, likeness
from ussearch.datasets.readers.not_current import is_aside
from ussearch.datasets.readers.pairing import mask_names

Parts = tuple[str, ...]


def with_image_folders(files: Sequence[FoundFile]) -> list[FoundFile]:
    """Return the files, those in a folder such as ``export`` as images where ``masks`` beside it fits it alone."""
    wanted: defaultdict[Parts, set[Parts]] = defaultdict(set)
    for file in files:
        if file.role == "masks" and file.is_raster:
            above, inside = _around(file)
            wanted[above] |= {(*inside, name.casefold()) for name in mask_names(file)}
    images = {above: folder for above, paths in wanted.items() if (folder := _fitting(above, paths, files))}
    return [_as_image(file, images) for file in files]


def _around(mask: FoundFile) -> tuple[Parts, Parts]:
    """Return the folders above a mask's folder of masks, and those inside of it."""
    folders = _folders(mask)
    level = next(level for level, name in enumerate(folders) if folder_name(name).role == "masks")
    return folders[:level], tuple(name.casefold() for name in folders[level + 1 :])


def _folders(file: FoundFile) -> Parts:
    return tuple(file.place.split("/")[:-1])


def _fitting(above: Parts, wanted: set[Parts], files: Sequence[FoundFile]) -> str | None:
    """Return the one folder in ``above`` whose images fit; None where several do, or images are told otherwise."""
    depth, fitting = len(above), set[str]()
    for file in files:
        folders = _folders(file)
        if folders[:depth] != above or not file.is_image or file.role in ("masks", "derived"):
            continue
        if is_aside("".join(folders[depth : depth + 1])):
            continue
        if file.role == "images" or len(folders) == depth:
            return None
        inside = tuple(name.casefold() for name in folders[depth + 1 :])
        if {(*inside, file.stem.casefold()), (file.stem.casefold(),)} & wanted:
            fitting.add(folders[depth])
    names = [name for name in fitting if _says_nothing(name)]
    return names[0] if len(fitting) == len(names) == 1 else None


def _says_nothing(name: str) -> bool:
    return not folder_name(name).part and likeness(name) in ("word", "number") and not is_date(name)


def _as_image(file: FoundFile, images: dict[Parts, str]) -> FoundFile:
    folders = _folders(file)
    for above, folder in images.items():
        depth = len(above)
        if folders[:depth] == above and len(folders) > depth and folders[depth] == folder and file.role is None:
            role, part, others, aside = meaning_of((*above, "images", *folders[depth + 1 :]))
            return replace(file, role=role, part=part, folders=others, aside=aside)
    return file
