"""``ussearch show``: one candidate of a study."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from ussearch.studies.card import TrialCard


class EndName(str, Enum):
    """Whose milliseconds to show."""

    edge = "edge"
    cloud = "cloud"


def show(
    study: Annotated[Path, typer.Argument(help="Folder of the study; it may be running.")],
    trial: Annotated[int, typer.Argument(help="Number of the trial, as in the table of `ussearch pareto`.")],
    end: Annotated[EndName, typer.Option(help="Whose milliseconds to show.")] = EndName.edge,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show one candidate: its architecture, its figures, its costs, and where its milliseconds go.

    Example: ussearch show studies/busi 7
    """
    from ussearch.cli.output import print_json
    from ussearch.studies import Study
    from ussearch.studies.card import trial_card

    card = trial_card(Study.open(study), trial, end.value)
    print_json(card.to_dict()) if as_json else _show(card)


def _show(card: TrialCard) -> None:
    from ussearch.cli.output import console
    from ussearch.evaluators import CONVENTION

    record, evaluation = card.record, card.record.evaluation
    console.print(f"Trial {record.slot}: {record.label} ({record.role}, architecture {record.architecture_id})")
    console.print(_architecture(card))
    if record.failed:
        console.print(f"Training failed: {evaluation.failure}", soft_wrap=True)
    else:
        console.print(_figures(card))
        console.print(
            f"{evaluation.fidelity}, best of {len(evaluation.history)} epochs: {evaluation.best_epoch}, "
            f"{evaluation.training_seconds:.0f} s on {evaluation.device}. {CONVENTION}",
            soft_wrap=True,
        )
    console.print(_costs(card))
    console.print(f"Where {card.prediction.latency_ms:.2f} ms go ({card.prediction.label}):", soft_wrap=True)
    console.print(_parts(card))
    console.print(_kernels(card))


def _architecture(card: TrialCard) -> Table:
    from rich.table import Table

    from ussearch.studies.card import architecture_rows

    architecture = card.architecture
    table = Table("part", "blocks", "skip", title="Architecture", title_justify="left")
    for row in architecture_rows(architecture):
        table.add_row(*row)
    channels = f"{architecture.image_channels} → {architecture.input_channels} channels"
    table.caption = f"{channels}, {architecture.downsamplings} halvings, side a multiple of {architecture.size_divisor}"
    return table


def _figures(card: TrialCard) -> Table:
    from rich.table import Table

    metrics, baselines = card.record.evaluation.metrics, card.study.baselines
    columns = ("mean", "SD", "5 %", "median", "95 %")
    table = Table(title=f"Validation images ({metrics['images']:.0f})", title_justify="left")
    table.add_column("")
    for column in (*columns, *(f"baseline:\n{name}" for name in baselines)):
        table.add_column(column, justify="right")
    names = ("lesion_dice", "dice_all", "iou", "auc", "hd95")
    for name in names:
        keys = (name, f"{name}_sd", f"{name}_p5", f"{name}_p50", f"{name}_p95")
        values = [metrics.get(key) for key in keys] + [summary.get(name) for summary in baselines.values()]
        table.add_row(name, *("–" if value is None else f"{value:.3f}" for value in values))
    rates = [summary.get("false_positive_rate") for summary in (metrics, *baselines.values())]
    shown = ["–" if rate is None else f"{rate:.0%}" for rate in rates]
    table.add_row("false positives on empty images", shown[0], "", "", "", "", *shown[1:])
    return table


def _costs(card: TrialCard) -> Table:
    from rich.table import Table

    table = Table(title="Costs of the deploy form", title_justify="left")
    table.add_column("")
    for end, profile in card.study.config.profiles.items():
        table.add_column(f"{end}: {profile.name}", justify="right")
    both = [card.record.costs(end) for end in card.study.config.profiles]
    table.add_row("latency (ms), predicted", *(f"{each.latency_ms:.2f}" for each in both))
    table.add_row("peak memory (MiB)", *(f"{each.memory_mib:.1f}" for each in both))
    table.add_row("within the limits", *("yes" if each.feasible else "no" for each in both))
    table.add_row("parameters", *(f"{each.parameters:,}" for each in both))
    table.add_row("MACs", *(f"{each.macs:,}" for each in both))
    table.add_row("weights in FP32 (KiB)", *(f"{each.file_bytes / 1024:,.0f}" for each in both))
    for each in both:
        for reason in each.refused:
            table.caption = f"{each.profile} cannot run {reason}"
    return table


def _parts(card: TrialCard) -> Table:
    from rich.table import Table

    total = card.prediction.latency_ms
    table = Table()
    table.add_column("part")
    table.add_column("ms", justify="right")
    table.add_column("share", justify="right")
    table.add_column("")
    for part, milliseconds in card.milliseconds_by_part().items():
        share = milliseconds / total if total else 0.0
        table.add_row(part, f"{milliseconds:.2f}", f"{share:.0%}", "█" * round(40 * share))
    return table


def _kernels(card: TrialCard) -> Table:
    from rich.table import Table

    table = Table(title="Layer by layer", title_justify="left", show_footer=True)
    table.add_column("kernel", footer="sum")
    table.add_column("operator", footer=f"{len(card.kernels)} kernels")
    table.add_column("output", justify="right")
    table.add_column("MMACs", justify="right", footer=f"{sum(kernel.macs for kernel, _ in card.kernels) / 1e6:.2f}")
    table.add_column("KiB moved", justify="right")
    table.add_column("ms", justify="right", footer=f"{sum(each for _, each in card.kernels):.3f}")
    for kernel, milliseconds in card.kernels:
        table.add_row(
            kernel.name,
            "+".join((kernel.operator, *kernel.epilogue)),
            "×".join(map(str, kernel.output_shape[1:])),
            f"{kernel.macs / 1e6:.2f}",
            f"{kernel.bytes / 1024:,.0f}",
            f"{milliseconds:.3f}",
        )
    return table
