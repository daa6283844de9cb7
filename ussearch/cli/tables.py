"""Tables that fit the terminal, and counts in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Column, Table


def excess(table: Table) -> int:
    """Return by how many columns a table is wider than the terminal; 0 where all of it can be shown."""
    from rich.measure import Measurement

    from ussearch.cli.console import console

    unbounded = console.options.update(max_width=10_000)
    return max(0, Measurement.get(console, unbounded, table).maximum - console.width)


def whole(*heads: str) -> list[Column]:
    """Return columns whose cells are broken where they are too long, never cut: paths, names, messages."""
    from rich.table import Column

    return [Column(head, overflow="fold") for head in heads]


EXTRAPOLATED = "~: extrapolated, over a tenth of the milliseconds lies in kernels that the device's measurements lack."
"""What the mark of ``milliseconds`` means, for below the table."""


def milliseconds(latency_ms: float, extrapolated: bool, digits: int = 1) -> str:
    """Return a predicted latency, marked where it is extrapolated."""
    return f"{'~' if extrapolated else ''}{latency_ms:,.{digits}f}"


def interval(bounds: Sequence[float], digits: int = 1) -> str:
    """Return the interval that nine in ten such networks lie in: ``2.4–14.8``."""
    return "–".join(f"{bound:,.{digits}f}" for bound in bounds)


def doubts(
    uncovered: Mapping[str, float], unpriced: Sequence[str], outside: Sequence[str], latency_ms: float
) -> list[str]:
    """Return what a reader should know before trusting a predicted latency, a sentence each."""
    lines = []
    if uncovered:
        classes = ", ".join(
            f"{name} {each:.2f} ms" for name, each in sorted(uncovered.items(), key=lambda item: -item[1])
        )
        share = sum(uncovered.values()) / latency_ms if latency_ms else 0.0
        lines.append(f"Not among the device's measurements, {share:.0%} of the milliseconds: {classes}.")
    if outside:
        lines.append(f"Outside of what the measured networks span: {'; '.join(outside)}.")
    if unpriced:
        lines.append(f"Of unknown arithmetic, charged for traffic and launch alone: {', '.join(unpriced)}.")
    return lines


def counted(number: int, noun: str) -> str:
    """Return the number with its noun: ``1 epoch``, ``2 epochs``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def score(value: float | None) -> str:
    """Return a score for a column, or a dash in its middle."""
    return "  –  " if value is None else f"{value:.3f}"


def score_line(summary: Mapping[str, Any]) -> str:
    """Return what candidates are chosen by: Dice on lesions, false positives, and the selection of both."""
    rate = summary.get("false_positive_rate")
    false_positives = "   –" if rate is None else f"{rate:4.0%}"
    dice, selection = score(summary.get("lesion_dice")), score(summary.get("selection"))
    return f"lesion Dice {dice}  false positives {false_positives}  selection {selection}"
