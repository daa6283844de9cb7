"""Which column of a table tells the parts of a split: by its head, or by what its cells say."""

from __future__ import annotations

from collections.abc import Sequence

from ussearch.datasets.readers.folder_names import PART_OF
from ussearch.datasets.tables import cell_of, column


def part_columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the places of the columns that tell parts: none, the one, or several that contradict each other.

    A column is told by a usual head (``split``), or, whatever its head, by cells that are all usual names of parts or
    empty, and some of them those of the training part. Of columns that say the same the first one counts.
    """
    found = [place for place in range(len(head)) if tells_parts(rows, place)]
    named = column(head, "split")
    if named is not None and named not in found:
        some = any(cell_of(row, named).lower() in PART_OF for row in rows)  # and others that are misspelled
        found = [named, *found] if some or not found else found
    if named in found:
        found.sort(key=lambda place: place != named)
    said = {place: tuple(part_named(cell_of(row, place)) for row in rows) for place in found}
    return [place for number, place in enumerate(found) if said[place] not in [said[each] for each in found[:number]]]


def part_named(cell: str) -> str | None:
    """Return the part of a split that a cell names, in any usual spelling; None where it names none."""
    return PART_OF.get(cell.lower())


def tells_parts(rows: Sequence[Sequence[str]], place: int) -> bool:
    """Tell whether the cells of a column name parts, the training part among them, or are empty."""
    parts = {part_named(cell) for row in rows if (cell := cell_of(row, place))}
    return None not in parts and "train" in parts
