"""``ussearch evaluate``: a bundle on other data than its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ussearch.cli.run_parameters import reading_options, with_reading_options

if TYPE_CHECKING:
    from ussearch.pairs.bundles.foreign_data import ForeignEvaluation


@with_reading_options
def evaluate(
    place: Annotated[Path, typer.Argument(help="Folder of a bundle, or of a study with one.", metavar="BUNDLE|STUDY")],
    data: Annotated[Path, typer.Option(help="Folder of the other data set, or a manifest (CSV).")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The record; beside the bundle else, never in it.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
    **reading: Any,
) -> None:
    """Judge a bundle on another data set with masks, and tell where its images are not like those of training.

    All images are judged; the options say how files are read, as for ussearch data check. Grey scale and region are the
    bundle's unless they are given.

    Example: ussearch evaluate bundle --data other-hospital
    """
    from ussearch.cli.console import print_json
    from ussearch.cli.opened import bundle_at
    from ussearch.pairs.bundles.foreign_data import (
        default_record,
        evaluate_on,
        foreign_images,
        require_record,
        write_record,
    )

    opened = bundle_at(place)
    if out is not None:
        require_record(opened, out)
    found = evaluate_on(opened, foreign_images(opened, data, reading_options(reading)))
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
