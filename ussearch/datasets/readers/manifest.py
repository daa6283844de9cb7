"""A manifest: a table with a row for each image, which says everything that folders and names would have to tell."""

from __future__ import annotations

import math
import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ussearch.datasets.dataset import Sample
from ussearch.datasets.dicom import is_dicom, patients_in
from ussearch.datasets.readers.base import Listing, Rank, Reader, add_reader
from ussearch.datasets.readers.folder_names import PART_OF
from ussearch.datasets.tables import column, rows_of, spelling
from ussearch.errors import UserError
from ussearch.runtime.frames import RASTER_SUFFIXES

NAME = "images.csv"
_ABSOLUTE = re.compile(r"[A-Za-z]:|[\\/]")
_BETWEEN = re.compile(r"\s*[x×*;]\s*|\s+", re.IGNORECASE)


@add_reader
class ImagesCsv(Reader):
    """Columns image and mask, and optionally patient, class, split and spacing; paths are relative to the table.

    Several masks of an image are separated by semicolons; an empty cell says that the image shows nothing. Spacing is
    the side of a pixel in mm, or its height and width as ``0.1x0.2``.
    """

    name = "manifest"
    layout = "images.csv with the columns image, mask and optionally patient, class, split, spacing"
    rank = Rank.MANIFEST

    def matches(self, root: Path) -> bool:
        """Tell whether ``root`` is such a table, or holds one; a table without any such column is another's."""
        file = _table(root)
        if not file.is_file():
            return False
        rows = rows_of(file, "Manifest")
        return root.is_file() or (
            bool(rows) and column(rows[0][1], "image") is not None and _mask_column(rows) is not None
        )

    def read(self, root: Path) -> Listing:
        """List the rows; whatever is wrong with one is noted with its line."""
        return _Rows(_table(root)).listing()


def _table(root: Path) -> Path:
    """Return the table that ``root`` is, or holds under any spelling of its name."""
    if not root.is_dir():
        return root
    return next((path for path in sorted(root.iterdir()) if path.name.lower() == NAME), root / NAME)


def _mask_column(rows: Sequence[tuple[int, list[str]]]) -> int | None:
    """Return the place of the masks' column; one called label counts where it holds paths."""
    head, *others = (row for _, row in rows)
    place = column(head, "mask")
    if place is None and "label" in map(spelling, head):
        place = [spelling(name) for name in head].index("label")
        cells = [row[place].strip() for row in others if len(row) > place and row[place].strip()]
        if not cells or any(Path(cell).suffix.lower() not in RASTER_SUFFIXES for cell in cells):
            return None
    return place


class _Rows:
    """Reads the rows of one table."""

    def __init__(self, file: Path) -> None:
        self._file, self._root = file, file.parent
        self._listing = Listing()
        rows = rows_of(file, "Manifest")
        if not rows:
            raise UserError(f"Manifest {file} is empty: expected a head (image, mask, …) and a row for each image.")
        (_, self._head), *self._rows = rows
        self._columns = {name: column(self._head, name) for name in ("image", "patient", "class", "split", "spacing")}
        self._columns["mask"] = _mask_column(rows)
        if self._columns["class"] == self._columns["mask"]:
            self._columns["class"] = None
        for name in ("image", "mask"):
            if self._columns[name] is None:
                raise UserError(
                    f"Manifest {file} has no column {name}: found {', '.join(self._head)}; expected image and mask, "
                    "and optionally patient, class, split, spacing."
                )

    def listing(self) -> Listing:
        seen: dict[str, int] = {}
        for line, row in self._rows:
            if any(cell.strip() for cell in row[len(self._head) :]):
                self._note(
                    line, f"has {len(row)} cells for {len(self._head)} columns: quote cells that hold a delimiter"
                )
            elif sample := self._sample(line, row):
                if sample.id in seen:
                    self._note(
                        line, f"names {sample.id} again, as line {seen[sample.id]} does: keep one row for an image"
                    )
                    continue
                seen[sample.id] = line
                self._listing.samples.append(sample)
                named = dict(zip(self._head, (cell.strip() for cell in row), strict=False))
                self._listing.columns[sample.id] = {name.strip(): cell for name, cell in named.items()}
        self._require_masks()
        self._with_patients_of_dicom()
        self._listing.samples.sort(key=lambda sample: sample.id)
        return self._listing

    def _cell(self, row: list[str], name: str) -> str:
        place = self._columns[name]
        return row[place].strip() if place is not None and place < len(row) else ""

    def _sample(self, line: int, row: list[str]) -> Sample | None:
        image = self._path(line, "image", self._cell(row, "image"))
        masks = [self._path(line, "mask", cell) for cell in self._masks(self._cell(row, "mask"))]
        part = PART_OF.get(self._cell(row, "split").lower())
        if self._cell(row, "split") and part is None:
            self._note(line, f"puts its image in {self._cell(row, 'split')!r}: expected train, val, cal or test")
        spacing = self._spacing(line, self._cell(row, "spacing"))
        if image is None or None in masks:
            return None
        if any(mask == image for mask in masks):
            self._note(line, f"names {image} as the mask of itself: name its mask")
        return Sample(
            id=image.as_posix(),
            image=self._root / image,
            masks=tuple(self._root / mask for mask in masks if mask is not None),
            label=self._cell(row, "class") or None,
            patient=self._cell(row, "patient") or None,
            part=part,
            spacing_mm=spacing,
        )

    def _masks(self, cell: str) -> list[str]:
        """Return the paths in a cell; a semicolon may also be part of a name."""
        if not cell or self._existing(cell):
            return [cell] if cell else []
        return [path.strip() for path in cell.split(";") if path.strip()]

    def _path(self, line: int, what: str, cell: str) -> Path | None:
        """Return the path of a file relative to the table; None, and a note, where it names none that can be read."""
        found = None if _ABSOLUTE.match(cell) else self._existing(cell)
        if not cell:
            self._note(line, f"names no {what}: give its path relative to the table")
        elif _ABSOLUTE.match(cell):
            self._note(line, f"names the {what} {cell!r}: expected a path relative to the table's folder")
        elif os.path.normpath(cell.replace("\\", "/")).startswith(".."):
            self._note(
                line, f"names the {what} {cell!r}, which leaves the table's folder: put the table above its files"
            )
        elif found is None:
            self._note(line, f"names the {what} {cell!r}, which is not there: correct the path or restore the file")
        elif not _is_read(what, self._root / found):
            self._note(line, f"names the {what} {cell!r}, a type that is not read there: convert it to PNG")
        else:
            return found
        return None

    def _existing(self, cell: str) -> Path | None:
        """Return the path that a cell means, in Windows' writing or any spelling of accents; None without file."""
        forms = (cell, cell.replace("\\", "/"))
        spelled = (unicodedata.normalize(form, each) for each in forms for form in ("NFC", "NFD"))
        for each in (*forms, *spelled):
            path = Path(os.path.normpath(each))
            if not path.is_absolute() and (self._root / path).is_file():
                return path
        return None

    def _spacing(self, line: int, cell: str) -> tuple[float, float] | None:
        if not cell:
            return None
        try:
            sides = [float(side.replace(",", ".")) for side in _BETWEEN.split(cell)]
        except ValueError:
            sides = []
        if len(sides) in (1, 2) and all(math.isfinite(side) and side > 0 for side in sides):
            return sides[0], sides[-1]
        self._note(line, f"gives the spacing {cell!r}: expected mm such as 0.1, or height and width such as 0.1x0.2")
        return None

    def _note(self, line: int, fault: str) -> None:
        self._listing.note("manifest", self._file.name, f"Line {line} of {self._file} {fault}.")

    def _require_masks(self) -> None:
        if self._listing.samples and not any(sample.masks for sample in self._listing.samples):
            self._listing.note(
                "manifest",
                self._file.name,
                f"Manifest {self._file} names no mask at all, so that its empty cells cannot mean that images show "
                "nothing: name the masks.",
            )

    def _with_patients_of_dicom(self) -> None:
        """Take the patient from DICOM files where the table has no column for it."""
        if self._columns["patient"] is None:
            samples = self._listing.samples
            found = patients_in(each.image for each in samples if each.image.suffix.lower() not in RASTER_SUFFIXES)
            self._listing.samples = [replace(each, patient=found.get(each.image)) for each in samples]


def _is_read(what: str, path: Path) -> bool:
    return path.suffix.lower() in RASTER_SUFFIXES or (what == "image" and is_dicom(path))
