"""Splits that lie in the folder of a data set: used only where they are given, which people are told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ussearch.datasets.dataset import Problem
from ussearch.datasets.readers.folder_names import channel
from ussearch.datasets.readers.found_files import FoundFile, files_below
from ussearch.datasets.splits.formats import LIST_SUFFIXES, named_parts, part_in_name
from ussearch.errors import UserError

LARGEST = 4 * 2**20  # bytes; lists of names are smaller
MOST_FILES = 100  # of one kind that are opened: a folder with more texts holds annotations
_MAPPINGS = (".json", ".yaml", ".yml")


def splits_lying_in(root: Path) -> list[Path]:
    """Return the files below ``root`` that divide its images: lists of a training part with siblings, nnU-Net's
    ``splits_final.json`` and the like, tables with a column of parts or folds; of siblings the one that trains.

    Told by names, and by a look at small files: their entries must name files that are there.
    """
    try:
        files = files_below(root)
    except UserError:
        return []
    stems = {file.stem for file in files if file.is_image}
    stems |= {case[0] for stem in stems if (case := channel(stem))}  # as nnU-Net's lists name them
    candidates = [
        *[each for each in files if _suffix(each) in LIST_SUFFIXES and part_in_name(each.path) == "train"],
        *[each for each in files if _suffix(each) in (".csv", ".tsv") and part_in_name(each.path) != "train"][
            :MOST_FILES
        ],
        *[each for each in files if _suffix(each) in _MAPPINGS and _is_named_so(each)][:MOST_FILES],
    ]
    return [each.path for each in candidates if _divides(each.path, stems)]


def split_not_used(folder: Path) -> list[Problem]:
    """Return, as a problem that stops nothing, the splits that lie in ``folder`` and are used only where given."""
    found = splits_lying_in(folder)
    if not found:
        return []
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    sentence = f"A split lies in {found[0]}{more}, which is used only where it is given: --split-file {found[0]}."
    return [Problem("split not used", found[0].relative_to(folder).as_posix(), sentence, fatal=False)]


def _suffix(file: FoundFile) -> str:
    return file.path.suffix.lower()


def _is_named_so(file: FoundFile) -> bool:
    return any(word in file.stem.lower() for word in ("split", "fold"))


def _divides(file: Path, stems: set[str]) -> bool:
    """Tell whether a file gives two parts or more, and most of what it names has the name of an image."""
    try:
        if file.stat().st_size > LARGEST:
            return False
        parts = {part: names for part, names in named_parts(file).names.items() if names}
    except (OSError, UserError):
        return False
    named = [name for names in parts.values() for name in names]
    return len(parts) > 1 and "train" in parts and 2 * _known(named, stems) > len(named)


def _known(names: Sequence[object], stems: set[str]) -> int:
    places = [PurePosixPath(str(name).replace("\\", "/")) for name in names]
    return sum(place.name in stems or place.stem in stems for place in places)
