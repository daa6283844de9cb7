"""A manifest: a table with a row for each image, which says everything that folders and names would have to tell."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ussearch.datasets.dataset import Sample
from ussearch.datasets.dicom import is_dicom, patients_in
from ussearch.datasets.readers.base import Listing, Rank, Reader, add_reader
from ussearch.datasets.readers.manifest_files import ManifestFiles, is_absolute
from ussearch.datasets.readers.manifest_patients import contradiction, plain_number, written_in_two_ways
from ussearch.datasets.readers.part_columns import part_columns, part_named, tells_parts
from ussearch.datasets.tables import cell_of, column, rows_of, spelling
from ussearch.errors import UserError
from ussearch.runtime.frames import RASTER_SUFFIXES

NAME = "images.csv"
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
        file = table_in(root)
        if not file.is_file():
            return False
        rows = rows_of(file, "Manifest")
        return root.is_file() or (
            bool(rows) and column(rows[0][1], "image") is not None and _mask_column(rows) is not None
        )

    def read(self, root: Path) -> Listing:
        """List the rows; whatever is wrong with one is noted with its line."""
        return _Rows(table_in(root)).listing()


def table_in(root: Path) -> Path:
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
        self._files = ManifestFiles(self._root)
        self._found_by_end: list[tuple[str, Path]] = []
        rows = rows_of(file, "Manifest")
        if not rows:
            raise UserError(f"Manifest {file} is empty: expected a head (image, mask, …) and a row for each image.")
        (_, self._head), *self._rows = rows
        cells = [row for _, row in self._rows]
        parts = part_columns(self._head, cells)
        others = ["" if tells_parts(cells, place) else name for place, name in enumerate(self._head)]
        self._columns = {name: column(others, name) for name in ("image", "patient", "class", "spacing")}
        self._columns |= {"mask": _mask_column(rows), "split": parts[0] if parts else None}
        self._tell_parts(parts)
        if self._columns["class"] == self._columns["mask"]:
            self._columns["class"] = None
        for name in ("image", "mask"):
            if self._columns[name] is None:
                raise UserError(
                    f"Manifest {file} has no column {name}: found {', '.join(self._head)}; expected image and mask, "
                    "and optionally patient, class, split, spacing."
                )

    def _tell_parts(self, places: Sequence[int]) -> None:
        """Note columns of parts that contradict each other, or one that its cells alone tell."""
        names = [self._head[place].strip() for place in places]
        if len(names) > 1:
            self._note_all(f"has several columns of parts, {' and '.join(names)}: keep the one that is meant")
        elif places and places[0] != column(self._head, "split"):
            self._note_all(f"has the split in its column {names[0]!r}, by its cells: call it split", fatal=False)

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
                named = dict(zip(self._head, (plain_number(cell.strip()) for cell in row), strict=False))
                self._listing.columns[sample.id] = {name.strip(): cell for name, cell in named.items()}
        used = set(self._columns.values())
        self._listing.unused_columns = [name.strip() for place, name in enumerate(self._head) if place not in used]
        self._require_masks()
        self._check_patients()
        self._tell_files()
        self._listing.samples.sort(key=lambda sample: sample.id)
        return self._listing

    def _cell(self, row: list[str], name: str) -> str:
        place = self._columns[name]
        return "" if place is None else cell_of(row, place)

    def _sample(self, line: int, row: list[str]) -> Sample | None:
        image = self._path(line, "image", self._cell(row, "image"))
        masks = [self._path(line, "mask", cell) for cell in self._masks(self._cell(row, "mask"))]
        part = part_named(self._cell(row, "split"))
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
            patient=plain_number(self._cell(row, "patient")) or None,
            part=part,
            spacing_mm=spacing,
        )

    def _masks(self, cell: str) -> list[str]:
        """Return the paths in a cell; a semicolon may also be part of a name."""
        if not cell or self._files.existing(cell):
            return [cell] if cell else []
        return [path.strip() for path in cell.split(";") if path.strip()]

    def _path(self, line: int, what: str, cell: str) -> Path | None:
        """Return the path of a file relative to the table; None, and a note, where it names none that can be read."""
        found = self._files.existing(cell) if cell else None
        if not cell:
            self._note(line, f"names no {what}: give its path relative to the table")
        elif found is None and is_absolute(cell):
            self._note(line, f"names the {what} {cell!r}: expected a path relative to the table's folder")
        elif not is_absolute(cell) and os.path.normpath(cell.replace("\\", "/")).startswith(".."):
            self._note(
                line, f"names the {what} {cell!r}, which leaves the table's folder: put the table above its files"
            )
        elif found is None:
            self._note(line, f"names the {what} {cell!r}, which is not there: correct the path or restore the file")
        elif not _is_read(what, self._root / found):
            self._note(line, f"names the {what} {cell!r}, a type that is not read there: convert it to PNG")
        else:
            if is_absolute(cell):
                self._found_by_end.append((cell, found))
            return found
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

    def _note_all(self, fault: str, fatal: bool = True) -> None:
        self._listing.note("manifest", self._file.name, f"Manifest {self._file} {fault}.", fatal)

    def _require_masks(self) -> None:
        if self._listing.samples and not any(sample.masks for sample in self._listing.samples):
            self._note_all(
                "names no mask at all, so that its empty cells cannot mean that images show nothing: name the masks"
            )

    def _check_patients(self) -> None:
        """Note patients that are not told rightly; without a column for them take those of DICOM files."""
        samples = self._listing.samples
        if self._columns["patient"] is None:
            found = patients_in(each.image for each in samples if each.image.suffix.lower() not in RASTER_SUFFIXES)
            self._listing.samples = [replace(each, patient=found.get(each.image)) for each in samples]
            return
        if twice := written_in_two_ways([sample.patient for sample in samples if sample.patient]):
            self._note_all(f"has the patients {' and '.join(twice[0])}, one number: write each patient in one way")
        if contradicted := contradiction(samples):
            self._note_all(
                f"contradicts its DICOM files on patients: {contradicted}; correct the table if that is not meant",
                fatal=False,
            )

    def _tell_files(self) -> None:
        """Note what was found elsewhere than the table says, and images and masks that it does not list."""
        if self._found_by_end:
            cell, found = self._found_by_end[0]
            self._note_all(
                f"has {len(self._found_by_end)} absolute paths, found by their ends ({cell!r} as {found.as_posix()})",
                fatal=False,
            )
        if any(problem.fatal for problem in self._listing.problems):  # such as of rows that could not be taken
            return
        used = (path for sample in self._listing.samples for path in sample.files)
        if unlisted := self._files.unlisted(used):
            self._listing.note(
                "left out",
                unlisted[0].place,
                f"Images and masks in {self._root} that {self._file.name} does not list are left out ({len(unlisted)}; "
                f"first: {unlisted[0].place}): add rows if they belong to it.",
                fatal=False,
            )


def _is_read(what: str, path: Path) -> bool:
    return path.suffix.lower() in RASTER_SUFFIXES or (what == "image" and is_dicom(path))
