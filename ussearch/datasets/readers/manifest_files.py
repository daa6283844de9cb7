"""The files below a manifest's folder: which ones its cells mean, and which ones it does not list."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path, PurePosixPath

from ussearch.datasets.readers.found_files import FoundFile, files_below
from ussearch.errors import UserError

_ANCHOR = re.compile(r"[A-Za-z]:[\\/]*|[\\/]+")


def is_absolute(cell: str) -> bool:
    """Tell whether a cell is a path from the top of a machine, in Windows' writing or the others'."""
    return _ANCHOR.match(cell) is not None


class ManifestFiles:
    """The files below ``root``, listed when they are first asked for."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def existing(self, cell: str) -> Path | None:
        """Return the path below the root that a cell means; None without such a file.

        It may be in Windows' writing or in any spelling of accents; one that is absolute is known by its end.
        """
        if is_absolute(cell):
            return self._by_end(cell)
        forms = (cell, cell.replace("\\", "/"))
        spelled = (unicodedata.normalize(form, each) for each in forms for form in ("NFC", "NFD"))
        for each in (*forms, *spelled):
            path = Path(os.path.normpath(each))
            if not path.is_absolute() and (self._root / path).is_file():
                return path
        return None

    def unlisted(self, listed: Iterable[Path]) -> list[FoundFile]:
        """Return the images and masks that are not among ``listed``."""
        known = {_composed(path.as_posix()) for path in listed}
        return [file for file in self._files if _composed(file.path.as_posix()) not in known and file.is_image]

    def _by_end(self, cell: str) -> Path | None:
        """Return the one file that shares the longest end with a path from elsewhere.

        A name alone counts where it is the whole place of the file, or where no two files have one name: in folders
        that use names anew it tells nothing.
        """
        parts = PurePosixPath(_composed(_ANCHOR.sub("", cell, count=1).replace("\\", "/"))).parts
        lengths = {
            place: _shared_end(place.parts, parts) for place in self._by_name.get(parts[-1] if parts else "", ())
        }
        longest = max(lengths.values(), default=0)
        best = [place for place, length in lengths.items() if length == longest]
        if len(best) != 1 or not (longest > 1 or len(best[0].parts) == 1 or self._names_are_unique):
            return None
        return Path(best[0])

    @cached_property
    def _files(self) -> list[FoundFile]:
        try:
            return files_below(self._root)
        except UserError:  # a folder that cannot be listed, of which the table need not speak
            return []

    @cached_property
    def _by_name(self) -> dict[str, list[PurePosixPath]]:
        found: dict[str, list[PurePosixPath]] = {}
        for file in self._files:
            found.setdefault(_composed(file.path.name), []).append(PurePosixPath(file.place))
        return found

    @cached_property
    def _names_are_unique(self) -> bool:
        return all(len(places) == 1 for places in self._by_name.values())


def _shared_end(place: tuple[str, ...], parts: tuple[str, ...]) -> int:
    pairs = zip(reversed(place), reversed(parts), strict=False)
    return next(
        (number for number, (own, said) in enumerate(pairs) if _composed(own) != said), min(len(place), len(parts))
    )


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)
