"""The program: registers the commands and turns every end into a status, every error into one line."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from ussearch import __version__
from ussearch.cli import (
    bench,
    check,
    compress,
    config,
    crash,
    dashboard,
    data,
    evaluate,
    export,
    infer,
    pareto,
    presets,
    profile,
    profiles,
    report,
    route,
    route_report,
    run,
    serve,
    show,
    specialise,
    threshold,
    verify,
    weights,
)
from ussearch.cli.command import Command
from ussearch.cli.interrupts import INTERRUPTED, TERMINATED, sigterm_as_interrupt
from ussearch.cli.verbosity import show_log
from ussearch.errors import Question, UserError

USER_ERROR = 2

app = typer.Typer(
    name="ussearch",
    help="Finds, for an ultrasound data set and a device, an edge network, a cloud network and a router between them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ussearch {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, help="Show the log on standard error; -vv: all of it.")
    ] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show nothing there but errors.")] = False,
) -> None:
    show_log(context, verbose, quiet)


for command in (
    run.run,
    config.config,
    pareto.pareto,
    show.show,
    report.report,
    dashboard.dashboard,
    specialise.specialise,
    compress.compress,
    route.route,
    route_report.route_report,
    export.export,
    verify.verify,
    threshold.threshold,
    evaluate.evaluate,
    infer.infer,
    serve.serve,
    check.check,
    bench.bench,
    presets.presets,
    profiles.profiles,
):
    app.command(cls=Command)(command)
app.add_typer(profile.app, name="profile", help="Make a profile of a device of your own.")
app.add_typer(data.app, name="data", help="Look at a data set.")
app.add_typer(weights.app, name="weights", help="List, add and fetch weights that others trained.")


def main() -> None:
    """Run the command line."""
    # Read by OpenMP when torch is imported. Threads that spin while they wait slow a busy machine thirtyfold; threads
    # that sleep at once make two slower than one. A short spin (measured: 0.74 of one thread's time) avoids both.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    with sigterm_as_interrupt() as terminated:
        status = _status()
    sys.exit(TERMINATED if terminated and status == INTERRUPTED else status)


def _status() -> int:
    """Run the command and return the exit status; what went wrong is told in one line (``docs/exit-statuses.md``)."""
    try:
        app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except UserError as error:
        return _refused(error)
    except KeyboardInterrupt:
        return _told("interrupted.", INTERRUPTED)
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
            problem = f"{error.filename}: {error.strerror}; check the path, its rights and the free space."
            return _told(problem, USER_ERROR)
        return crash.report(error)
    return 0


def _refused(error: UserError) -> int:
    """Print what the user gave and cannot be used, or the question which of several readings is meant."""
    if not isinstance(error, Question):
        return _told(str(error), USER_ERROR)
    from ussearch.cli.question import put

    put(error, sys.argv[1:])
    return USER_ERROR


def _told(sentence: str, status: int) -> int:
    typer.echo(f"ussearch: {sentence}", err=True)
    return status
