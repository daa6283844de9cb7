"""``ussearch pareto``: the front of a study."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ussearch.cli.console import EXTRAPOLATED, excess, interval, milliseconds

if TYPE_CHECKING:
    from rich.table import Table

    from ussearch.studies.pareto import ParetoReport


PLOT_WIDTH, PLOT_HEIGHT = 100, 17
MOST_REASONS = 3
"""Why presets were left out, in lines on the screen."""


def pareto(
    study: Annotated[Path, typer.Argument(help="Folder of the study; it may be running.")],
    plot: Annotated[Path | None, typer.Option(help="Draw the front into this file (png, svg, pdf).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show the front of a study beside all it was chosen from.

    Example: ussearch pareto studies/busi --plot front.png
    """
    from ussearch.cli.console import print_json
    from ussearch.own_files import mark, refuse_foreign
    from ussearch.studies import Study
    from ussearch.studies.pareto import pareto_report

    refuse_foreign([plot], "give the picture another name with --plot")
    report = pareto_report(Study.open(study))
    if as_json:
        print_json(report.to_dict())
    else:
        _show(report)
    if plot:
        from ussearch.studies.front_picture import front_picture
        from ussearch.studies.plots import save_front

        save_front(front_picture(report), plot)
        mark(plot)
        typer.echo(f"Picture: {plot}", err=as_json)


def _show(report: ParetoReport) -> None:
    from ussearch.cli.console import console, say
    from ussearch.evaluators import CONVENTION

    tables = (_table(report, intervals=True), _table(report, intervals=False), _narrow_table(report))
    console.print(next((table for table in tables if not excess(table)), tables[-1]))
    _show_plot(report)
    if any(row["extrapolated"] or row["cloud_extrapolated"] for row in map(report.row, report.records)):
        say(EXTRAPOLATED)
    for tier, profile in report.study.config.profiles.items():
        limits = profile.limits_in_words(report.study.config.image_size)
        say(f"{tier.capitalize()}: {profile.name}, at most {limits}; {profile.label}.")
    for record in report.records:
        if record.failed:
            say(f"Trial {record.trial_id} ({record.label}) failed: {record.evaluation.failure}")
    skipped = report.study.config.skipped
    reasons = _left_out(skipped)
    if len(reasons) > MOST_REASONS:
        say(f"Presets left out: {', '.join(skipped)} (--json says why).")
        reasons = {}
    for reason, names in reasons.items():
        noun = "Preset" if len(names) == 1 else "Presets"
        say(f"{noun} left out: {', '.join(names)}: {reason}")
    say(CONVENTION)


def _show_plot(report: ParetoReport) -> None:
    """Print the front in letters, where any trial has finished well."""
    from ussearch.cli.console import console, say
    from ussearch.cli.front_plot import LEGEND, front_plot
    from ussearch.studies.front_picture import front_picture

    if all(record.objective is None for record in report.records):
        return
    console.print()
    shown = front_picture(report)
    width = min(console.width, PLOT_WIDTH)
    console.print(front_plot(shown.points, shown.limit_ms, shown.baselines, width, PLOT_HEIGHT))
    say(LEGEND)


def _left_out(skipped: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the skipped presets by reason."""
    reasons: dict[str, list[str]] = {}
    for name, reason in skipped.items():
        reasons.setdefault(reason, []).append(name)
    return reasons


def _title(report: ParetoReport) -> str:
    config = report.study.config
    title = f"{config.data.name}, {config.image_size}×{config.image_size}, validation images; {report.fidelity}; "
    return f"{title}{config.counted(len(report.records))}"


def _table(report: ParetoReport, *, intervals: bool) -> Table:
    from rich.table import Table

    table = Table(title=_title(report), title_justify="left")
    table.add_column("front")
    table.add_column("trial", justify="right")
    table.add_column("network", no_wrap=True)
    metrics = ("lesion\nDice", "Dice,\nall", "false\npositives", "objective", "HD95\npx")
    latency = ("edge\nms", "90 %\ninterval") if intervals else ("edge\nms",)
    fidelity = ("fidelity",) if report.mixed else ()
    for column in (*fidelity, *metrics, *latency, "edge\nMiB", "cloud\nms", "parameters", "MMACs"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("fits", no_wrap=True)
    rows = [report.row(record) for record in report.ordered]
    for row in rows:
        table.add_row(
            *_cells(row, intervals, report.mixed), style="" if row["on_front"] else "dim", end_section=row is rows[-1]
        )
    for name, summary in report.study.baselines.items():
        table.add_row("", "", f"baseline: {name}", *("" for _ in fidelity), *_metrics(dict(summary)))
    return table


def _narrow_table(report: ParetoReport) -> Table:
    """Return the figures that decide, each in full, for a terminal too narrow for all of them."""
    from rich.table import Table

    table = Table(title=_title(report), title_justify="left")
    table.add_column("trial", justify="right", no_wrap=True)
    table.add_column("network", overflow="fold")
    if report.mixed:
        table.add_column("fidelity", overflow="fold")
    for column in ("lesion\nDice", "false\npos.", "selec-\ntion", "edge\nms", "para-\nmeters"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("fits", no_wrap=True)
    rows = [report.row(record) for record in report.ordered]
    for row in rows:
        table.add_row(
            *_narrow_cells(row, report.mixed), style="" if row["on_front"] else "dim", end_section=row is rows[-1]
        )
    for name, summary in report.study.baselines.items():
        table.add_row("", name, *([""] if report.mixed else []), *_narrow_metrics(dict(summary)))
    table.caption = "●: on the front; names without a trial are baselines; a wider terminal or --json shows more."
    return table


def _narrow_cells(row: dict[str, Any], mixed: bool) -> list[str]:
    tiers = [tier for tier in ("edge", "cloud") if row["feasible"][tier]]
    return [
        f"{'●' if row['on_front'] else ' '} {row['trial']}",
        row["short_name"],
        *([row["fidelity"]] if mixed else []),
        *_narrow_metrics(row),
        milliseconds(row["latency_ms"], row["extrapolated"]),
        f"{row['parameters'] / 1000:,.0f}k",
        "both" if len(tiers) == 2 else "".join(tiers) or "none",
    ]


def _narrow_metrics(row: dict[str, Any]) -> list[str]:
    lesion_dice, _, rate, objective, _ = _metrics(row)
    return [lesion_dice, rate, objective]


def _cells(row: dict[str, Any], intervals: bool, mixed: bool) -> list[str]:
    fits = ", ".join(tier for tier in ("edge", "cloud") if row["feasible"][tier]) or "neither"
    return [
        "●" if row["on_front"] else "",
        str(row["trial"]),
        row["short_name"],
        *([row["fidelity"]] if mixed else []),
        *_metrics(row),
        milliseconds(row["latency_ms"], row["extrapolated"]),
        *([interval(row["latency_interval_ms"])] if intervals else []),
        f"{row['memory_mib']:.0f}",
        milliseconds(row["cloud_latency_ms"], row["cloud_extrapolated"]),
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
        _number(row["objective"]),
        _number(row["hd95"], 1),
    ]


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
