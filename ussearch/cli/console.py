"""Where and how commands print: JSON as it is, tables by rich, plain where there is no terminal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.status import Status
from rich.table import Table

from ussearch.deprecations import with_old_json_keys

if TYPE_CHECKING:
    from rich.table import Column
    from rich.text import Text

    from ussearch.hardware_profiles.validation import Coverage


PLAIN_WIDTH = 160
"""Columns where the output is no terminal and COLUMNS is not set: wide enough that no table wraps."""


def _console() -> Console:
    """Return a console that prints brackets as they are: paths and messages may hold any.

    Where ``NO_COLOR`` is set, a terminal gets plain lines of its own width, and nothing on it moves.
    """
    if os.environ.get("NO_COLOR"):
        terminal = Console(highlight=False, markup=False, emoji=False, force_terminal=False, color_system=None)
        if sys.stdout.isatty():
            return terminal
    else:
        terminal = Console(highlight=False, markup=False, emoji=False)
    if terminal.is_terminal or "COLUMNS" in os.environ:
        return terminal
    return Console(highlight=False, markup=False, emoji=False, width=PLAIN_WIDTH)


console = _console()


def say(sentence: str | Text) -> None:
    """Print a sentence: broken between words on a terminal; elsewhere one line, which can be searched.

    Paths and commands that a reader copies are printed with ``soft_wrap``: never broken by us.
    """
    console.print(sentence, soft_wrap=not sys.stdout.isatty())


def excess(table: Table) -> int:
    """Return by how many columns a table is wider than the terminal; 0 where all of it can be shown."""
    from rich.measure import Measurement

    unbounded = console.options.update(max_width=10_000)
    return max(0, Measurement.get(console, unbounded, table).maximum - console.width)


def whole(*heads: str) -> list[Column]:
    """Return columns whose cells are broken where they are too long, never cut: paths, names, messages."""
    from rich.table import Column

    return [Column(head, overflow="fold") for head in heads]


EXTRAPOLATED = (
    "~: extrapolated, over a tenth of the milliseconds lies in kernels that the device's measurements do not cover."
)
"""What the mark of ``milliseconds`` means, for below the table."""


def milliseconds(latency_ms: float, extrapolated: bool, digits: int = 1) -> str:
    """Return a predicted latency, marked where it is extrapolated."""
    return f"{'~' if extrapolated else ''}{latency_ms:,.{digits}f}"


def interval(bounds: Sequence[float], digits: int = 1) -> str:
    """Return the interval that nine in ten such networks lie in: ``2.4–14.8``."""
    return "–".join(f"{bound:,.{digits}f}" for bound in bounds)


def doubts(
    uncovered: Mapping[str, float],
    unpriced: Sequence[str],
    outside: Sequence[str],
    latency_ms: float,
    seen: Mapping[str, Coverage] | None = None,
) -> list[str]:
    """Return what a reader should know before trusting a predicted latency, a sentence each.

    ``seen`` tells in how many networks the device's measurements contain a class of kernels.
    """
    lines = []
    if uncovered:
        classes = ", ".join(
            f"{name} {each:.2f} ms{f' ({seen[name]})' if seen and name in seen else ''}"
            for name, each in sorted(uncovered.items(), key=lambda item: -item[1])
        )
        share = sum(uncovered.values()) / latency_ms if latency_ms else 0.0
        lines.append(f"Not covered by the device's measurements, {share:.0%} of the milliseconds: {classes}.")
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
    """Return what candidates are chosen by: Dice on lesions, false positives, and the objective of both."""
    rate = summary.get("false_positive_rate")
    false_positives = "   –" if rate is None else f"{rate:4.0%}"
    dice, objective = score(summary.get("lesion_dice")), score(summary.get("objective"))
    return f"lesion Dice {dice}  false positives {false_positives}  objective {objective}"


def print_json(value: Any, *, old_keys: bool = True) -> None:
    """Print ``value`` as indented JSON and nothing else; renamed keys stand under their old names, too.

    Without ``old_keys`` they do not: what was never printed before has none.
    """
    sys.stdout.write(json.dumps(with_old_json_keys(value) if old_keys else value, indent=2) + "\n")


def print_presets(sheets: Sequence[dict[str, Any]], *, detailed: bool) -> None:
    """Print one row a preset; ``detailed`` adds what is inferred, unknown and how thop counts."""
    table = _preset_table(sheets, intervals=True)
    console.print(_preset_table(sheets, intervals=False) if excess(table) else table)
    if any(sheet.get("latency", {}).get("extrapolated") for sheet in sheets):
        say(EXTRAPOLATED)
    console.print("MACs: convolutions and matrix products, exact; thop's hooks miss functional convolutions.")
    if detailed:
        _print_details(sheets[0])


def _preset_table(sheets: Sequence[dict[str, Any]], *, intervals: bool) -> Table:
    table = Table(title="Published networks at their own input size, channels and classes", title_justify="left")
    table.add_column("preset", no_wrap=True)
    for column in ("input", "parameters\ntraining", "parameters\ndeploy", "MACs (M)\ndeploy", "thop\n(M)"):
        table.add_column(column, justify="right")
    table.add_column("in a study: parameters\ndeploy, MACs (M)", justify="right")
    if "latency" in sheets[0]:
        table.add_column(f"predicted ms\n{sheets[0]['latency']['profile']}", justify="right")
        if intervals:
            table.add_column("90 %\ninterval", justify="right", no_wrap=True)
    for sheet in sheets:
        table.add_row(*_preset_row(sheet, intervals))
    return table


def _preset_row(sheet: dict[str, Any], intervals: bool) -> list[str]:
    side, study = sheet["input_size"], sheet["in_a_study"]
    row = [
        sheet["name"],
        f"{sheet['input_channels']}×{side}×{side}",
        f"{sheet['parameters_training']:,}",
        f"{sheet['parameters_deploy']:,}",
        f"{(sheet['macs_conv'] + sheet['macs_matmul']) / 1e6:,.1f}",
        f"{sheet['thop']['macs'] / 1e6:,.1f}",
        f"{study['parameters_deploy']:,}, {study['macs'] / 1e6:,.1f}",
    ]
    if "latency" in sheet:
        latency = sheet["latency"]
        known = latency["latency_ms"] is not None
        row.append(milliseconds(latency["latency_ms"], latency["extrapolated"]) if known else "cannot run")
        if intervals:
            row.append(interval(latency["latency_interval_ms"]) if known else "")
    return row


def _print_details(sheet: dict[str, Any]) -> None:
    console.print(f"\n{sheet['title']} — {sheet['paper']}\nSource: {sheet['source']}")
    console.print(f"The image side must be a multiple of {sheet['size_divisor']}.")
    for key in ("inferred", "unknown"):
        for line in sheet[key]:
            console.print(f"{key}: {line}")
    for variant in sheet["variants"]:
        console.print(f"with {variant['input_channels']} channels: {variant['parameters_training']:,} parameters")
    latency = sheet.get("latency", {})
    if latency.get("reason"):
        console.print(f"{latency['profile']} cannot run it: {latency['reason']}")
    elif latency:
        say(f"Latency: {latency['source']}.")
        for line in doubts(latency["uncovered"], latency["unpriced"], latency["outside"], latency["latency_ms"]):
            say(line)


class Lines:
    """Called with what happens now; use it as a context."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._status: Status | None = console.status("…") if console.is_terminal and not quiet else None

    def __enter__(self) -> Lines:
        if self._status:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status:
            self._status.stop()

    def __call__(self, text: str) -> None:
        """Show ``text``."""
        if self._status:
            self._status.update(text)
        elif not self._quiet:
            console.print(text, soft_wrap=True)
