"""What is shown of the compression chain: a line a verdict while it works, the waterfall in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from ussearch.compress import Compression, StepRecord, UniformRecord
    from ussearch.compress.waterfall import Row

WATERFALL_NOTE = (
    "Dice: validation images, two empty masks count 1; its interval is a paired bootstrap over patients and "
    "near-duplicates. × ms: share of the latency before the step, and of the deploy form's in the last row."
)


def verdict_line(record: StepRecord | UniformRecord) -> str:
    """Return what was decided about a step, or about uniform scaling, and why."""
    from ussearch.compress import StepRecord
    from ussearch.compress.waterfall import row_of, uniform_row

    row = row_of(record) if isinstance(record, StepRecord) else uniform_row(record)
    return f"{row.title}: {row.verdict}, {row.reason}"


def waterfall_table(compression: Compression) -> Table:
    """Return the waterfall as a table."""
    from ussearch.compress.waterfall import rows

    table = Table(title=f"{compression.architecture} for {compression.profile}", title_justify="left")
    table.add_column("step", overflow="fold")
    for column in ("Dice", "change in points\n(95 %)", "ms", "× ms", "KiB"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("why", overflow="fold")
    for row in rows(compression):
        faint = row.verdict in ("undone", "not tried", "skipped", "beaten")
        table.add_row(row.title, *_figures(row), row.verdict, row.reason, style="dim" if faint else "")
    return table


def _figures(row: Row) -> tuple[str, str, str, str, str]:
    """Return the cells between a row's title and its verdict."""
    points = None if row.change is None else tuple(100 * each for each in row.change)
    return (
        "–" if row.dice is None else f"{row.dice:.3f}",
        "–" if points is None else "{:+.1f} ({:+.1f} to {:+.1f})".format(*points),
        "–" if row.latency_ms is None else f"{row.latency_ms:.2f}",
        "–" if row.ratio is None else f"{row.ratio:.2f}",
        "–" if row.kib is None else f"{row.kib:,.0f}",
    )
