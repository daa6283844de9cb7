"""What every command has: old names of options still work, long helps show first what most runs need, and an
interruption is told."""

from __future__ import annotations

from typing import Any

import typer

from ussearch.cli.crash import StudyCommand
from ussearch.cli.interrupts import INTERRUPTED
from ussearch.cli.verbosity import without_verbosity
from ussearch.deprecations import removed, renamed, tell
from ussearch.run_options import IN_SIGHT

LONG_HELPS = {"run", "config"}
SECOND_GROUP = "More options, each also a key of --config (see: ussearch config)"


class Command(StudyCommand):
    """A command that knows the options of before."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments under the names of today."""
        return super().parse_args(ctx, with_new_options(self.name or "", without_verbosity(ctx, args)))

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]  # typer's context is click's own
        """Run the command; typer ends one that is interrupted without a word."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("ussearch: stopped; nothing half-written is left.", err=True)
            raise typer.Exit(INTERRUPTED) from None

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, those of a run in two groups."""
        if self.name not in LONG_HELPS:
            super().format_options(ctx, formatter)
            return
        shown: dict[str, list[tuple[str, str]]] = {"Options": [], SECOND_GROUP: []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                name = parameter.opts[0].lstrip("-").replace("-", "_")
                shown["Options" if name in IN_SIGHT else SECOND_GROUP].append(record)
        for title, records in shown.items():
            with formatter.section(title):
                formatter.write_dl(records)


def with_new_options(command: str, args: list[str]) -> list[str]:
    """Return arguments with old options under their new names, without those that have no effect any more.

    What follows ``--`` is left alone.
    """
    old, gone = renamed("option", command), removed("option", command)
    found: list[str] = []
    rest = iter(args)
    for argument in rest:
        if argument == "--":
            return [*found, argument, *rest]
        name, equals, value = argument.partition("=")
        entry = old.get(name)
        if name in gone:
            tell(gone[name])
            if gone[name].has_value and not equals:
                next(rest, None)
        elif entry is None:
            found.append(argument)
        else:
            tell(entry)
            found.append(f"{entry.new}{equals}{value}")
    return found
