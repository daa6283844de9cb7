"""Ctrl-C: what is kept, and how to go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

INTERRUPTED = 130


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
