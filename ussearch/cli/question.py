"""How a question is put: what was found, and one complete command for each reading. Nobody is prompted."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from ussearch.cli.console import PLAIN_WIDTH, print_json, whole
from ussearch.errors import Question


def put(question: Question, arguments: Sequence[str]) -> None:
    """Print a question that came up while the command line ``arguments`` ran: JSON on standard output where that was
    asked for, else a table on standard error.
    """
    commands = [command_with(arguments, answer.options) for answer in question.answers]
    if "--json" in arguments:
        readings = [
            {"meaning": answer.meaning, "options": dict(answer.options), "command": command}
            for answer, command in zip(question.answers, commands, strict=True)
        ]
        found = [dict(zip(question.head, row, strict=True)) for row in question.rows]
        print_json({"question": question.sentence, "found": found, "readings": readings}, old_keys=False)
        return
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(stderr=True, highlight=False, markup=False, emoji=False, width=PLAIN_WIDTH)
    console.print(f"ussearch: {question.sentence}.", soft_wrap=True)
    table = Table(*whole(*question.head))
    for row in question.rows:
        table.add_row(*row)
    console.print(table)
    console.print("Choose a reading:")
    for answer, command in zip(question.answers, commands, strict=True):
        console.print(f"  {answer.meaning}:\n    {command}", soft_wrap=True)


def command_with(arguments: Sequence[str], options: Mapping[str, str | bool]) -> str:
    """Return the command line ``arguments`` with ``options`` by keyword, in the place of those that it had."""
    flags = {f"--{name.replace('_', '-')}": value for name, value in options.items()}
    kept: list[str] = []
    skip = False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if skip or name in flags:
            skip = not skip and not equals and flags[name] is not True
            continue
        kept.append(argument)
    given = [part for flag, value in flags.items() for part in ((flag,) if value is True else (flag, str(value)))]
    return shlex.join(["ussearch", *kept, *given])
