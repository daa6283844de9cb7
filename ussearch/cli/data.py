"""``ussearch data``: what is in a folder, and what is wrong with it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ussearch.cli.command import Command

if TYPE_CHECKING:
    from ussearch.datasets import Dataset
    from ussearch.datasets.reading import Folders

app = typer.Typer(help="Examine a data set before training on it.", no_args_is_help=True)


@app.callback()
def data() -> None:
    """Examine a data set before training on it."""


@app.command("check", cls=Command)
def check_command(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of a data set, one level above it, or a manifest (CSV).")
    ],
    split_file: Annotated[Path | None, typer.Option(help="Published split to examine for leakage.")] = None,
    reader: Annotated[str | None, typer.Option(help="Layout to read instead of recognising it.")] = None,
    lesion: Annotated[str | None, typer.Option(help="Labels of the masks that are lesion, such as 1,2.")] = None,
    fill_outlines: Annotated[
        bool, typer.Option("--fill-outlines", help="Masks are outlines; what they enclose is lesion.")
    ] = False,
    folders: Annotated[
        str | None, typer.Option(help="What sub-folders mean: split, classes or patients.", show_default=False)
    ] = None,
    groups: Annotated[
        str | None, typer.Option(help="Images that stay together: folder, a pattern with a group, or a CSV column.")
    ] = None,
    grey_scale: Annotated[
        str | None, typer.Option(metavar="LOW,HIGH", help="Values that become black and white.")
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="Ultrasound region of DICOM files: largest, whole or a number from 1.")
    ] = None,
    image_size: Annotated[int | None, typer.Option(min=8, help="Count lesions that vanish at this side.")] = None,
    write_manifest: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a CSV of images, masks, patients and parts to edit.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with pictures of what is double or broken.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Count, decode and compare every image; exit status 1 where training could not start.

    The options are those of ussearch run, which reads the files in the same way.

    Example: ussearch data check busi
    """
    from ussearch.cli.console import print_json
    from ussearch.cli.counting import counting
    from ussearch.cli.data_report import show
    from ussearch.datasets import ReadingOptions, check, open_dataset
    from ussearch.own_files import refuse_foreign

    refuse_foreign([html], "give the page another name with --html")
    asked = ReadingOptions(reader, lesion, meaning_of(folders), groups, grey_scale, region, fill_outlines)
    dataset = open_dataset(folder, reader, strict=False, folders=asked.folders, groups=groups)
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


def meaning_of(folders: str | None) -> Folders | None:
    """Return what sub-folders mean; raises UserError for what they cannot."""
    from ussearch.errors import UserError

    if folders is None or folders in ("split", "classes", "patients"):
        return folders  # type: ignore[return-value]  # the literal's own values
    raise UserError(f"--folders {folders} is not possible: expected split, classes or patients.")


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
