"""Progress of a pass over many files: a bar on a terminal, a line now and then elsewhere, on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SILENCE_S = 10.0
"""Without a terminal, a line is printed this often."""


@contextmanager
def counting(what: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None] | None]:
    """Give a function to be called with how many were done, and of how many; None where nothing may be shown."""
    if quiet:
        yield None
    elif sys.stderr.isatty():
        columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what)
            yield lambda done, total: bar.update(task, completed=done, total=total)
    else:
        yield _Lines(what)


class _Lines:
    def __init__(self, what: str) -> None:
        self._what = what
        self._last_s = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self._last_s >= SILENCE_S:
            typer.echo(f"{done} of {total} {self._what}", err=True)
            self._last_s = time.monotonic()
