"""``ussearch pareto``: the front of a study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from ussearch.studies.pareto import ParetoReport


def pareto(
    study: Annotated[Path, typer.Argument(help="Folder of the study; it may be running.")],
    plot: Annotated[Path | None, typer.Option(help="Draw the front into this file (png, svg, pdf).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show the front of a study beside all it was chosen from.

    Example: ussearch pareto studies/busi --plot front.png
    """
    from ussearch.cli.output import print_json
    from ussearch.studies import Study
    from ussearch.studies.pareto import pareto_report

    report = pareto_report(Study.open(study))
    if as_json:
        print_json(report.to_dict())
    else:
        _show(report)
    if plot:
        from ussearch.studies.plots import front_picture, save_front

        save_front(front_picture(report), plot)
        typer.echo(f"Picture: {plot}", err=as_json)


def _show(report: ParetoReport) -> None:
    from ussearch.cli.output import console

    config = report.study.config
    console.print(_table(report))
    for end, profile in config.profiles.items():
        limits = profile.limits
        console.print(
            f"{end.capitalize()}: {profile.name}, at most {limits.latency_target_ms:.1f} ms and "
            f"{limits.memory_mib:.0f} MiB; {profile.latency.label}.",
            soft_wrap=True,
        )
    for record in report.records:
        if record.failed:
            console.print(f"Trial {record.slot} ({record.label}) failed: {record.evaluation.failure}", soft_wrap=True)
    for name, reason in config.skipped.items():
        console.print(f"Preset {name} was left out: {reason}", soft_wrap=True)
    from ussearch.evaluators import CONVENTION

    console.print(CONVENTION, soft_wrap=True)


def _table(report: ParetoReport) -> Table:
    from rich.table import Table

    config = report.study.config
    title = f"{config.data.name}, {config.image_size}×{config.image_size}, validation images; {report.fidelity}; "
    table = Table(title=f"{title}{len(report.records)} of {config.trials} trials", title_justify="left")
    table.add_column("front")
    table.add_column("trial", justify="right")
    table.add_column("network", no_wrap=True)
    numbers = ("lesion\nDice", "Dice,\nall", "false\npositives", "selection", "HD95\npx", "edge\nms", "edge\nMiB")
    for column in (*numbers, "cloud\nms", "parameters", "MMACs"):
        table.add_column(column, justify="right")
    table.add_column("fits")
    rows = [report.row(record) for record in report.ordered]
    for row in rows:
        table.add_row(*_cells(row), style="" if row["on_front"] else "dim", end_section=row is rows[-1])
    for name, summary in report.study.baselines.items():
        table.add_row("", "", f"baseline: {name}", *_metrics(dict(summary)))
    return table


def _cells(row: dict[str, Any]) -> list[str]:
    fits = ", ".join(end for end in ("edge", "cloud") if row["feasible"][end]) or "neither"
    return [
        "●" if row["on_front"] else "",
        str(row["trial"]),
        row["name"] or row["architecture_id"],
        *_metrics(row),
        f"{row['latency_ms']:.1f}",
        f"{row['memory_mib']:.0f}",
        f"{row['cloud_latency_ms']:.1f}",
        f"{row['parameters']:,}",
        f"{row['macs'] / 1e6:,.0f}",
        fits,
    ]


def _metrics(row: dict[str, Any]) -> list[str]:
    rate = row["false_positive_rate"]
    return [
        _number(row["lesion_dice"]),
        _number(row["dice_all"]),
        "–" if rate is None else f"{rate:.0%}",
        _number(row["selection"]),
        _number(row["hd95"], 1),
    ]


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
