"""``ussearch route-report``: what routing is worth, against baselines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ussearch.pairs.bundles.route_report import RouteReport

NOTE = (
    "APGR: area under (Q - edge) / (cloud - edge), 0.5 by chance. Skill: 0 by chance, 1 for the oracle, which knows "
    "both masks. Calls saved: share of images that may stay while the pair is at most a point below the cloud. "
    "Intervals: 95 %, bootstrap over patients."
)


def route_report(
    place: Annotated[Path, typer.Argument(help="Folder of a bundle, or of a study with one.", metavar="BUNDLE|STUDY")],
    data: Annotated[Path | None, typer.Option(help="The data set, for a bundle or if it was moved.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Picture of quality against offload.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Table with a line for each test image.")] = None,
    names: Annotated[bool, typer.Option("--names", help="Name the files in the table, too.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Hold a pair's router against chance, the oracle and plain scores on the test images.

    Example: ussearch route-report studies/busi --plot routing.png
    """
    from ussearch.cli.console import print_json
    from ussearch.cli.opened import bundle_with_images
    from ussearch.own_files import mark, refuse_foreign
    from ussearch.pairs.bundles.route_report import is_own_table
    from ussearch.pairs.bundles.route_report import route_report as make
    from ussearch.pairs.routing.curves import draw_curves

    refuse_foreign([plot], "give the picture another name with --plot")
    refuse_foreign([csv], "give the table another name with --csv", is_own_table)
    report = make(*bundle_with_images(place, data))
    print_json(report.to_dict()) if json_output else _show(report)
    if csv:
        report.write_csv(csv, names=names)
        typer.echo(f"Table: {csv}", err=json_output)
    if plot:
        draw_curves(report.samples.edge_dice, report.samples.cloud_dice, report.confidences, plot)
        mark(plot)
        typer.echo(f"Picture: {plot}", err=json_output)


def _show(report: RouteReport) -> None:
    from rich.table import Table

    from ussearch.cli.console import console, say

    found, router = report.comparison, report.router
    say(f"{report.verdict[0].upper()}{report.verdict[1:]}.")
    table = Table(
        "router", "APGR", "95 %", "skill", "95 %", "beyond SDC", "calls saved\nat 1 point", title_justify="left"
    )
    for row in found.rows:
        beyond = found.beyond.get(row.name)
        table.add_row(
            row.name,
            _number(row.apgr),
            _interval(row.apgr_interval),
            _number(row.skill),
            _interval(row.skill_interval),
            "" if beyond is None else f"{beyond[0]:+.2f} ({beyond[1]:+.2f} to {beyond[2]:+.2f})",
            "–" if row.calls_saved is None else f"{row.calls_saved:.0%}",
        )
    console.print(table)
    say(NOTE)
    if router.score_reason:
        say(f"Score: {router.score_reason}.")
    if router.reason:
        say(f"Threshold: {router.reason}.")
    if router.out_of_fold:
        say(router.out_of_fold.sentence)
    say(
        f"Sent to the cloud: {report.sent.mean():.0%} of {found.images} test images, {router.requested_share:.0%} were "
        "asked for."
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _interval(bounds: tuple[float, float] | None) -> str:
    return "" if bounds is None else f"{bounds[0]:.2f} to {bounds[1]:.2f}"
