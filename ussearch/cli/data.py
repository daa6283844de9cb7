"""``ussearch data``: what is in a folder, and what is wrong with it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ussearch.cli.command import Command
from ussearch.cli.run_parameters import reading_options, with_reading_options

if TYPE_CHECKING:
    from ussearch.datasets import Dataset

app = typer.Typer(help="Examine a data set before training on it.", no_args_is_help=True)


@app.callback()
def data() -> None:
    """Examine a data set before training on it."""


@app.command("check", cls=Command)
@with_reading_options
def check_command(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of a data set, one level above it, or a manifest (CSV).")
    ],
    split_file: Annotated[Path | None, typer.Option(help="Published split to examine for leakage.")] = None,
    image_size: Annotated[int | None, typer.Option(min=8, help="Count lesions that vanish at this side.")] = None,
    write_manifest: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a CSV of images, masks, patients and parts to edit.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with pictures of what is double or broken.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    **reading: Any,
) -> None:
    """Count, decode and compare every image; exit status 1 where training could not start.

    The options are those of ussearch run, which reads the files in the same way.

    Example: ussearch data check busi
    """
    from ussearch.cli.console import print_json
    from ussearch.cli.counting import counting
    from ussearch.cli.data_report import show
    from ussearch.datasets import check, open_dataset
    from ussearch.own_files import refuse_foreign

    refuse_foreign([html], "give the page another name with --html")
    asked = reading_options(reading)
    dataset = open_dataset(folder, asked.reader, strict=False, folders=asked.folders, groups=asked.groups)
    if write_manifest is not None:
        _write_manifest(dataset, write_manifest, quiet=as_json)
    with counting("files read", quiet=as_json) as progress:
        report = check(dataset, split_file, asked, image_size, progress)
    print_json(report.to_dict()) if as_json else show(report)
    if html is not None:
        from ussearch.report.data_page import write_data_page

        path = write_data_page(report, dataset if report.reading is None else dataset.read_by(report.reading), html)
        typer.echo(f"Page: {path} ({path.stat().st_size / 2**20:.1f} MiB)", err=as_json)
    raise typer.Exit(0 if report.sound else 1)


def _write_manifest(dataset: Dataset, path: Path, *, quiet: bool) -> None:
    """Write the manifest of a data set where no file stands."""
    from ussearch.datasets.readers.manifest_text import manifest_text, not_in_manifest
    from ussearch.errors import UserError
    from ussearch.files import write_atomically

    if os.path.lexists(path):
        raise UserError(f"{path} stands there already, and manifests are there to be edited: give another name.")
    write_atomically(path, manifest_text(dataset, path.parent))
    typer.echo(f"Manifest: {path} ({len(dataset)} images)", err=quiet)
    if lacking := not_in_manifest(dataset):
        typer.echo(lacking, err=quiet)
