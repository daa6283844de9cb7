"""Where commands print: a terminal, or plain lines wide enough for any table."""

from __future__ import annotations

import os

from rich.console import Console

PLAIN_WIDTH = 160
"""Columns where the output is no terminal and COLUMNS is not set: wide enough that no table wraps."""


def _console() -> Console:
    """Return a console that prints brackets as they are: paths and messages may hold any."""
    terminal = Console(highlight=False, markup=False, emoji=False)
    if terminal.is_terminal or "COLUMNS" in os.environ:
        return terminal
    return Console(highlight=False, markup=False, emoji=False, width=PLAIN_WIDTH)


console = _console()
