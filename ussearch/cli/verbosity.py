"""``-v`` and ``-q``, before or after the command: how much of the log is shown on standard error."""

from __future__ import annotations

import logging
from typing import Any

from ussearch import logs

LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
"""What is shown without ``-v``, with it, and with two of it."""
LOUDER = {"-v": 1, "-vv": 2, "--verbose": 1}
QUIET = ("-q", "--quiet")
HANDLER, COUNT = "ussearch.log", "ussearch.verbosity"


def show_log(ctx: Any, louder: int, quiet: bool) -> None:
    """Show the log on standard error until the program's context ends."""
    ctx.meta[HANDLER] = handler = logs.StandardError()
    ctx.with_resource(logs.listening(handler, _level(ctx, louder, quiet)))


def without_verbosity(ctx: Any, args: list[str]) -> list[str]:
    """Return the arguments of a command without ``-v`` and ``-q``, having done what they ask for."""
    end = args.index("--") if "--" in args else len(args)
    found = [each for each in args[:end] if each in LOUDER or each in QUIET]
    handler = ctx.meta.get(HANDLER)
    if found and handler is not None:
        louder = sum(LOUDER.get(each, 0) for each in found)
        logs.turn_to(handler, _level(ctx, louder, any(each in QUIET for each in found)))
    return [each for each in args[:end] if each not in found] + args[end:]


def _level(ctx: Any, louder: int, quiet: bool) -> int:
    """Return the level that all options so far make; being quiet counts more."""
    before_louder, before_quiet = ctx.meta.get(COUNT, (0, False))
    ctx.meta[COUNT] = louder, quiet = before_louder + louder, before_quiet or quiet
    return logging.ERROR if quiet else LEVELS[min(louder, len(LEVELS) - 1)]
