"""The lower end of a terminal while a run works: what is done now, how far it is, the front so far."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from ussearch.cli.console import console
from ussearch.cli.front_plot import LEGEND, front_plot
from ussearch.studies import TrialRecord
from ussearch.studies.front_picture import point_of

PLOT_HEIGHT = 13
LEAST_HEIGHT = 24
"""Rows of a terminal below which the plot would leave no room for the lines above it."""
WIDEST = 100
BAR_WIDTH = 20
MEMORY_S = 3600.0
"""How far back the pace is looked at for the time that is left: trials take minutes and differ."""


class _Times(ProgressColumn):
    """Per cent, time spent and time left; the time spent alone where nobody knows how long it takes."""

    def render(self, task: Task) -> Text:
        spent = _clock(task.elapsed)
        if task.total is None:
            return Text(spent)
        left = "" if task.time_remaining is None else f", {_clock(task.time_remaining)} left"
        return Text(f"{task.percentage:3.0f} %, {spent}{left}")


def _clock(seconds: float | None) -> str:
    return str(timedelta(seconds=int(seconds or 0)))


class LiveView:
    """A bar and a plot that stay below what is printed; nothing at all where the output is no terminal."""

    def __init__(self, quiet: bool = False) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis")),
            BarColumn(bar_width=BAR_WIDTH),
            _Times(),
            console=console,
            speed_estimate_period=MEMORY_S,
        )
        self._task: TaskID | None = None
        self._records: dict[int, TrialRecord] = {}
        self._front: frozenset[int] = frozenset()
        self._limit_ms = 0.0
        self._baselines: dict[str, float] = {}
        shown = console.is_terminal and not quiet
        self._live = Live(self._content(), console=console, transient=True, refresh_per_second=4) if shown else None

    def __enter__(self) -> LiveView:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def begin(self, description: str, total: float | None = None, completed: float = 0) -> None:
        """Begin something else; ``total`` None where nobody knows how long it takes."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(description, total=total, completed=int(completed))

    def update(self, description: str, completed: float, total: float | None = None) -> None:
        """Tell what is done now, and how far it is; ``total`` only where it has changed."""
        if self._task is not None:
            self._progress.update(self._task, description=description, completed=completed, total=total)

    def expect(self, limit_ms: float, baselines: Mapping[str, float]) -> None:
        """Tell what a front is held against: the device's limit, and the objective of trivial baselines by name."""
        self._limit_ms, self._baselines = limit_ms, dict(baselines)

    def show_front(self, record: TrialRecord, front: tuple[TrialRecord, ...]) -> None:
        """Draw one more finished trial and the front as it is now, whose trials may be of earlier runs."""
        self._records |= {each.trial_id: each for each in (*front, record) if each.objective is not None}
        self._front = frozenset(each.trial_id for each in front)
        self._redraw()

    def hide_front(self) -> None:
        """Draw the bar alone from now on."""
        self._records = {}
        self._redraw()

    def _redraw(self) -> None:
        if self._live:
            self._live.update(self._content())

    def _content(self) -> RenderableType:
        if not self._records or console.height < LEAST_HEIGHT:
            return self._progress
        points = [point_of(record, record.trial_id in self._front) for record in self._records.values()]
        width = min(console.width - 1, WIDEST)
        plot = front_plot(points, self._limit_ms, self._baselines, width, PLOT_HEIGHT)
        return Group(plot, Text(LEGEND, style="dim"), self._progress)
