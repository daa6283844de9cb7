"""A small picture of a front in letters: what is worth how much over its latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from math import ceil, floor, log
from typing import TYPE_CHECKING

from ussearch.studies.front_picture import Point, staircase

if TYPE_CHECKING:
    from rich.text import Text

MARGIN = 6
"""Columns left of the axis, for its figures."""
DECADES = (0.1, 1, 10, 100, 1000)
TICKS = tuple(decade * each for decade in DECADES for each in (1, 2, 5))
FINE_TICKS = tuple(decade * each for decade in DECADES for each in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9))
"""For an axis too short for two of the others."""
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
MARKS = {"edge": "○", "cloud": "□", "neither": "×"}
ON_FRONT = {"edge": "●", "cloud": "■", "neither": "×"}
FRONT_STYLE, QUIET = "cyan", "dim"
LEGEND = "●: on the front; ○: beaten; □: fits the cloud only; ×: fits neither; ┊: the device's limit; ┄: best baseline."


@dataclass
class _Canvas:
    """Letters by row and column, row 0 at the top; a place is written once, by whoever comes first."""

    width: int
    height: int
    cells: dict[tuple[int, int], tuple[str, str]] = field(default_factory=dict)

    def put(self, row: int, column: int, letter: str, style: str = "") -> None:
        if 0 <= row < self.height and 0 <= column < self.width:
            self.cells.setdefault((row, column), (letter, style))

    def write(self, row: int, column: int, words: str, style: str = "") -> bool:
        """Write words where all of their places, and one on each side, are free; tell whether they were."""
        free = all((row, place) not in self.cells for place in range(column - 1, column + len(words) + 1))
        if not (free and 0 <= row < self.height and column >= 0 and column + len(words) <= self.width):
            return False
        for number, letter in enumerate(words):
            self.put(row, column + number, letter, style)
        return True


@dataclass(frozen=True)
class _Scale:
    """From a value to a place between 0 and ``last``."""

    low: float
    high: float
    last: int

    def __call__(self, value: float) -> int:
        return round((value - self.low) / (self.high - self.low) * self.last)


def front_plot(
    points: Sequence[Point], limit_ms: float, baselines: Mapping[str, float], width: int, height: int
) -> Text:
    """Return objective over latency (logarithmic) as ``height`` lines of at most ``width`` letters.

    ``limit_ms`` is the device's; of the ``baselines`` (name to objective) the best is drawn. Needs a point.
    """
    canvas = _Canvas(width - MARGIN, height - 3)
    latencies = [log(point.latency_ms) for point in points]
    across = _Scale(min(latencies) - 0.15, max(*latencies, log(limit_ms)) + 0.15, canvas.width - 1)
    best = sorted(baselines, key=lambda name: -baselines[name])[:1]
    values = [point.dice for point in points] + [baselines[name] for name in best]
    spread = max(max(values) - min(values), 0.05)
    down = _Scale(max(values) + 0.06 * spread, min(values) - 0.06 * spread, canvas.height - 1)
    _draw(canvas, points, across, down)
    limit = across(log(limit_ms))
    for row in range(canvas.height):
        canvas.put(row, limit, "┊", QUIET)
    for name in best:
        canvas.write(down(baselines[name]), 1, name, QUIET)
        for column in range(canvas.width):
            canvas.put(down(baselines[name]), column, "┄", QUIET)
    return _lines(canvas, across, down)


def _draw(canvas: _Canvas, points: Sequence[Point], across: _Scale, down: _Scale) -> None:
    """Draw the points, then their names, then the front's line: what comes first stays."""
    ordered = sorted(points, key=lambda point: (not point.on_front, -point.dice))
    for point in ordered:
        marks, style = (ON_FRONT, FRONT_STYLE) if point.on_front else (MARKS, "")
        canvas.put(down(point.dice), across(log(point.latency_ms)), marks[point.fit], style)
    corners = [(across(log(x)), down(y)) for x, y in staircase([point for point in points if point.on_front])]
    steps = _Canvas(canvas.width, canvas.height)
    for (left, low), (right, high) in pairwise(corners):
        _step(steps, left, low, right, high)
    for point in ordered:
        if point.label:
            _name(canvas, steps, point.label, down(point.dice), across(log(point.latency_ms)))
    for (row, column), (letter, style) in steps.cells.items():
        canvas.put(row, column, letter, style)


def _name(canvas: _Canvas, steps: _Canvas, label: str, row: int, column: int) -> None:
    """Write the name of a point at the first free place around it; where there is none, it stays without."""
    length = len(label)
    for line, place in (
        (row, column + 2),
        (row, column - 1 - length),
        (row + 1, column + 1),
        (row - 1, column - length),
    ):
        crossed = any((line, each) in steps.cells for each in range(place, place + length))
        if not crossed and canvas.write(line, place, label):
            return


def _step(canvas: _Canvas, left: int, low: int, right: int, high: int) -> None:
    """Draw a step of the front's line: to the right, then up."""
    canvas.put(low, right, "┘" if low != high else "─", FRONT_STYLE)
    for column in range(left, right):
        canvas.put(low, column, "─", FRONT_STYLE)
    for row in range(high, low):
        canvas.put(row, right, "│", FRONT_STYLE)


def _lines(canvas: _Canvas, across: _Scale, down: _Scale) -> Text:
    """Return the canvas within its axes."""
    from rich.text import Text

    text = Text(no_wrap=True, overflow="crop")
    text.append("objective (upper left is better)\n", QUIET)
    named = _round_figures(down)
    for row in range(canvas.height):
        text.append(f"{named[row]:>{MARGIN - 1}}┤" if row in named else f"{'│':>{MARGIN}}", QUIET)
        cells = [canvas.cells.get((row, column), (" ", "")) for column in range(canvas.width)]
        for style, run in groupby(cells, key=lambda cell: cell[1]):
            text.append("".join(letter for letter, _ in run), style)
        text.append("\n")
    ticks = _ticks(across, TICKS)
    ticks = ticks if len(ticks) > 1 else _ticks(across, FINE_TICKS)
    places = {place for place, _ in ticks}
    axis = "".join("┴" if column in places else "─" for column in range(canvas.width))
    text.append(f"{'└':>{MARGIN}}{axis}\n", QUIET)
    text.append(_figures(ticks, canvas.width), QUIET)
    return text


def _ticks(across: _Scale, choice: Sequence[float]) -> list[tuple[int, float]]:
    """Return the places of round latencies on the axis."""
    return [(across(log(tick)), tick) for tick in choice if across.low <= log(tick) <= across.high]


def _round_figures(down: _Scale) -> dict[int, str]:
    """Return figures for the upright axis by row, two rows or more apart."""
    step = next((each for each in STEPS if down(0) - down(each) >= 2), STEPS[-1])
    low, high = min(down.low, down.high), max(down.low, down.high)
    multiples = range(ceil(low / step), floor(high / step) + 1)
    return {down(number * step): f"{number * step:.{1 if step >= 0.1 else 2}f}" for number in multiples}


def _figures(ticks: Sequence[tuple[int, float]], width: int) -> str:
    """Return the line below the axis: the figure of each tick in its middle, the unit behind the last one."""
    line = [" "] * (MARGIN + width)
    for number, (place, tick) in enumerate(ticks):
        words = f"{tick:g}" + (" ms" if number == len(ticks) - 1 else "")
        start = min(MARGIN + place - len(f"{tick:g}") // 2, len(line) - len(words))
        line[start : start + len(words)] = words
    return "".join(line).rstrip()
