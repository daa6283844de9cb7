"""Ctrl-C and SIGTERM: what is kept, and how to go on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import typer

INTERRUPTED, TERMINATED = 130, 143
"""128 and the number of SIGINT or SIGTERM, as shells count."""


@contextmanager
def sigterm_as_interrupt() -> Iterator[list[int]]:
    """Let SIGTERM do in the block what Ctrl-C does; the list that is yielded is empty until one came.

    Schedulers end a job with it: what is under way is to be kept, and the terminal given back.
    """
    received: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


@contextmanager
def interruptible(how_to_continue: str) -> Iterator[None]:
    """Turn an interruption of the block into one sentence and status 130."""
    from ussearch.studies import SearchInterrupted

    try:
        yield
    except SearchInterrupted as stop:
        typer.echo(f"ussearch: {stop}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except KeyboardInterrupt:
        typer.echo(f"ussearch: stopped; everything finished is kept: {how_to_continue}.", err=True)
        raise typer.Exit(INTERRUPTED) from None
