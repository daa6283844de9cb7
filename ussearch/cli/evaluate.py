"""``ussearch evaluate``: a bundle on other data than its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ussearch.pairs.bundles.foreign_data import ForeignEvaluation


def evaluate(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    data: Annotated[Path, typer.Option(help="Folder of the other data set, or a manifest (CSV).")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The record; beside the bundle else, never in it.")
    ] = None,
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
        str | None, typer.Option(metavar="LOW,HIGH", help="Values that become black and white; the bundle's else.")
    ] = None,
    region: Annotated[str | None, typer.Option(help="Ultrasound region of DICOM files; the bundle's else.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
) -> None:
    """Judge a bundle on another data set with masks, and tell where its images are not like those of training.

    All images are judged; the options say how files are read, as for ussearch data check.

    Example: ussearch evaluate bundle --data other-hospital
    """
    from ussearch.cli.console import print_json
    from ussearch.cli.data import meaning_of
    from ussearch.datasets import ReadingOptions
    from ussearch.pairs import Bundle
    from ussearch.pairs.bundles.foreign_data import (
        default_record,
        evaluate_on,
        foreign_images,
        require_record,
        write_record,
    )

    opened = Bundle.load(bundle)
    if out is not None:
        require_record(opened, out)
    asked = ReadingOptions(reader, lesion, meaning_of(folders), groups, grey_scale, region, fill_outlines)
    found = evaluate_on(opened, foreign_images(opened, data, asked))
    record = out or default_record(opened, found)
    require_record(opened, record)
    write_record(found, record)
    if json_output:
        print_json({"record": str(record), **found.model_dump(mode="json")}, old_keys=False)
    else:
        _show(found, record)


def _show(found: ForeignEvaluation, record: Path) -> None:
    from ussearch.cli.console import console, say
    from ussearch.cli.result_lines import presence_table, subgroup_table

    for warning in found.warnings:
        say(f"Note: {warning}")
    console.print(subgroup_table(found.metrics))
    console.print(presence_table(found.metrics, "images"))
    say(f"{100 * found.metrics.offload_share:.0f} % of the images go to the cloud. {found.metrics.convention}")
    say(f"Record: {record}")
