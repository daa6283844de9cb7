"""``ussearch report``: a study explained in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    study: Annotated[Path, typer.Argument(help="Folder of the study; it may be running.")],
    out: Annotated[Path | None, typer.Option(help="The file to write; STUDY/report.html unless given.")] = None,
    data: Annotated[Path | None, typer.Option(help="The data set, if it was moved.")] = None,
    names: Annotated[bool, typer.Option("--names", help="Name files, folders and all classes, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print where it lies, as JSON.")] = False,
) -> None:
    """Write a report of a study as one HTML file that works without a network.

    It shows the front, every candidate, example segmentations, health checks, compression, routing, the data and how
    to reproduce all of it. Images are numbered, as in split.json. The file holds images of the data set: treat it as
    you treat the data.

    Example: ussearch report studies/busi --out busi.html
    """
    from ussearch.cli.console import print_json
    from ussearch.report import write_report

    path = write_report(study, out, data, names=names)
    size = path.stat().st_size
    print_json({"report": str(path), "bytes": size}) if as_json else typer.echo(
        f"Report: {path} ({size / 2**20:.1f} MiB)"
    )
