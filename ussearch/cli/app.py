"""The program: registers the commands and turns errors of the user into one sentence and status 2."""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated

import typer

from ussearch import __version__
from ussearch.cli import (
    bench,
    check,
    compress,
    config,
    dashboard,
    data,
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
    verify,
)
from ussearch.cli.command import Command
from ussearch.cli.verbosity import show_log
from ussearch.errors import UserError

USER_ERROR = 2
INTERRUPTED = 130

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


def main() -> None:
    """Run the command line."""
    # Read by OpenMP when torch is imported. Threads that spin while they wait slow a busy machine thirtyfold; threads
    # that sleep at once make two slower than one. A short spin (measured: 0.74 of one thread's time) avoids both.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    # Schedulers end a job with SIGTERM; what is under way is to be kept, and the terminal given back, as by Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except UserError as error:
        typer.echo(f"ussearch: {error}", err=True)
        sys.exit(USER_ERROR)
    except KeyboardInterrupt:
        typer.echo("ussearch: interrupted.", err=True)
        sys.exit(INTERRUPTED)
    except OSError as error:
        if error.errno is None or error.filename is None:
            raise
        problem = f"{error.filename}: {error.strerror}"
        typer.echo(f"ussearch: {problem}; check the path, its rights and the free space.", err=True)
        sys.exit(USER_ERROR)
