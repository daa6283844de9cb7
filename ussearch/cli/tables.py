"""Tables that fit the terminal, and counts in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Column, Table


def excess(table: Table) -> int:
    """Return by how many columns a table is wider than the terminal; 0 where all of it can be shown."""
    from rich.measure import Measurement

    from ussearch.cli.output import console

    unbounded = console.options.update(max_width=10_000)
    return max(0, Measurement.get(console, unbounded, table).maximum - console.width)


def whole(*heads: str) -> list[Column]:
    """Return columns whose cells are broken where they are too long, never cut: paths, names, messages."""
    from rich.table import Column

    return [Column(head, overflow="fold") for head in heads]


def counted(number: int, noun: str) -> str:
    """Return the number with its noun: ``1 epoch``, ``2 epochs``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
