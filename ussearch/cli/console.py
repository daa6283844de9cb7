"""Where commands print: a terminal, or plain lines wide enough for any table."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from rich.text import Text

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
