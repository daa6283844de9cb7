"""``ussearch show``: one candidate of a study."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ussearch.cli.console import counted, doubts, excess, interval, milliseconds
from ussearch.cli.option_values import spoken

if TYPE_CHECKING:
    from rich.table import Table

    from ussearch.studies.card import TrialCard


METRICS = {"lesion_dice": "lesion Dice", "dice_all": "Dice all", "iou": "IoU", "auc": "AUC", "hd95": "HD95 px"}
"""Names of the metrics for readers."""
SHORTEST_NAME = 12


class TierName(str, Enum):
    """Whose milliseconds to show."""

    edge = "edge"
    cloud = "cloud"


def show(
    study: Annotated[Path, typer.Argument(help="Folder of the study; it may be running.")],
    trial: Annotated[int, typer.Argument(help="Number of the trial, as in the table of `ussearch pareto`.")],
    tier: Annotated[TierName, typer.Option(help="Whose milliseconds to show.")] = TierName.edge,
    layers: Annotated[bool, typer.Option("--layers", help="Add every kernel with its milliseconds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show one candidate: its architecture, its figures, its costs, and where its milliseconds go.

    Example: ussearch show studies/busi 4
    """
    from ussearch.cli.console import print_json
    from ussearch.studies import Study
    from ussearch.studies.card import trial_card

    card = trial_card(Study.open(study), trial, tier.value)
    print_json(card.to_dict()) if as_json else _show(card, layers)


def _show(card: TrialCard, layers: bool) -> None:
    from ussearch.cli.console import console, say
    from ussearch.evaluators import CONVENTION

    evaluation = card.record.evaluation
    say(_heading(card))
    console.print(_architecture(card))
    if card.record.failed:
        say(f"Training failed: {evaluation.failure}")
    else:
        console.print(_figures(card))
        epochs = counted(len(evaluation.history), "epoch")
        started = f" It started from {evaluation.pretrained}." if evaluation.pretrained else ""
        say(
            f"{evaluation.fidelity.capitalize()}: {epochs} in {spoken(evaluation.training_seconds)} on "
            f"{evaluation.accelerator}; the figures are those of epoch {evaluation.best_epoch}, the best.{started}"
        )
        say(CONVENTION)
    console.print(_costs(card))
    _show_latency(card, layers)


def _heading(card: TrialCard) -> str:
    """Return what the trial is, and how it stands."""
    record = card.record
    preset = record.role == "preset"
    origin = f"a preset, architecture {record.architecture_id}" if preset else f"drawn for the {record.role}"
    if (inherited := record.evaluation.inherited) is not None:
        origin += f", {record.told_start} ({inherited.share:.0%} of its weights)"
    standing = "on the front" if record in card.study.front() else "not on the front"
    fits = " and ".join(tier for tier in card.study.config.profiles if record.feasible(tier)) or "neither end"
    return f"Trial {record.trial_id}: {record.label}, {origin}; {standing}; fits {fits}."


def _show_latency(card: TrialCard, layers: bool) -> None:
    from ussearch.cli.console import console, say

    prediction = card.prediction
    latency = milliseconds(prediction.latency_ms, prediction.extrapolated, 2)
    between = interval((prediction.low_ms, prediction.high_ms), 2)
    extrapolated = "; extrapolated" if prediction.extrapolated else ""
    say(f"Where {latency} ms go ({prediction.label}; 90 % interval {between} ms{extrapolated}):")
    console.print(_parts(card))
    validation = card.study.config.profiles[card.tier].validation
    seen = validation.coverage if validation else {}
    for line in doubts(prediction.uncovered, prediction.unpriced, prediction.outside, prediction.latency_ms, seen):
        say(line)
    if layers:
        console.print(_kernels(card))
    else:
        say(f"{counted(len(card.kernels), 'kernel')} make up these parts: --layers lists them.")


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
    """Return the metrics beside those of the baselines, with shorter headings where the terminal is narrow."""
    table = _figures_table(card, narrow=False)
    return _figures_table(card, narrow=True) if excess(table) else table


def _figures_table(card: TrialCard, *, narrow: bool) -> Table:
    from rich.table import Table

    metrics, baselines = card.record.evaluation.metrics, card.study.baselines
    table = Table(title=f"Validation images ({metrics['images']:.0f})", title_justify="left")
    table.add_column("", no_wrap=True)
    heads = [name.replace(" ", "\n") if narrow else f"baseline:\n{name}" for name in baselines]
    for column in ("mean", "SD", "5 %", "median", "95 %", *heads):
        table.add_column(column, justify="right", no_wrap=True)
    for name, shown in METRICS.items():
        keys = (name, f"{name}_sd", f"{name}_p5", f"{name}_p50", f"{name}_p95")
        values = [metrics.get(key) for key in keys] + [summary.get(name) for summary in baselines.values()]
        digits = 1 if name == "hd95" else 3
        table.add_row(shown, *("–" if value is None else f"{value:.{digits}f}" for value in values))
    rates = ["–" if rate is None else f"{rate:.0%}" for rate in _false_positive_rates(card)]
    title = "false\npositives" if narrow else "false positives on empty images"
    table.add_row(title, rates[0], "", "", "", "", *rates[1:])
    if narrow and baselines:
        table.caption = f"Baselines: {', '.join(baselines)}. False positives: on empty images."
    return table


def _false_positive_rates(card: TrialCard) -> list[float | None]:
    """Return the candidate's rate, then those of the baselines."""
    summaries = (card.record.evaluation.metrics, *card.study.baselines.values())
    return [summary.get("false_positive_rate") for summary in summaries]


def _costs(card: TrialCard) -> Table:
    from rich.table import Table

    table = Table(title="Costs of the deploy form", title_justify="left")
    table.add_column("")
    for tier, profile in card.study.config.profiles.items():
        table.add_column(f"{tier}: {profile.name}", justify="right")
    both = [card.record.costs(tier) for tier in card.study.config.profiles]
    table.add_row("latency (ms), predicted", *(milliseconds(each.latency_ms, each.extrapolated, 2) for each in both))
    table.add_row("  90 % interval", *(interval(each.latency_interval_ms, 2) for each in both))
    table.add_row("  extrapolated", *("yes" if each.extrapolated else "no" for each in both))
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
    for part, part_ms in card.milliseconds_by_part().items():
        share = part_ms / total if total else 0.0
        table.add_row(part, f"{part_ms:.2f}", f"{share:.0%}", "█" * round(40 * share))
    return table


def _kernels(card: TrialCard) -> Table:
    """Return all kernels; a narrow terminal loses the traffic and the beginning of long names."""
    full = max((len(kernel.name) for kernel, _ in card.kernels), default=0)
    table = _kernel_table(card, full, moved=True)
    if not excess(table):
        return table
    table = _kernel_table(card, full, moved=False)
    return _kernel_table(card, max(SHORTEST_NAME, full - excess(table)), moved=False)


def _kernel_table(card: TrialCard, longest: int, *, moved: bool) -> Table:
    from rich.table import Table

    from ussearch.studies.card import CALL

    kernels = card.kernels
    total = sum(each for _, each in kernels) + card.prediction.call_ms
    table = Table(title="Layer by layer", title_justify="left", show_footer=True)
    table.add_column("kernel", footer="sum", no_wrap=True)
    table.add_column("operator", footer=counted(len(kernels), "kernel"), no_wrap=True)
    table.add_column("output", justify="right", no_wrap=True)
    table.add_column(
        "MMACs", justify="right", no_wrap=True, footer=f"{sum(each.macs for each, _ in kernels) / 1e6:.2f}"
    )
    if moved:
        table.add_column("KiB moved", justify="right", no_wrap=True)
    table.add_column("ms", justify="right", no_wrap=True, footer=f"{total:.3f}")
    for kernel, kernel_ms in kernels:
        traffic = [f"{kernel.bytes / 1024:,.0f}"] if moved else []
        table.add_row(
            _end_of(kernel.name, longest),
            "+".join((kernel.operator, *kernel.epilogue)),
            "×".join(map(str, kernel.output_shape[1:])),
            f"{kernel.macs / 1e6:.2f}",
            *traffic,
            f"{'~' if kernel.kernel_class in card.prediction.uncovered else ''}{kernel_ms:.3f}",
        )
    if card.prediction.call_ms:
        table.add_row(CALL, *[""] * (len(table.columns) - 2), f"{card.prediction.call_ms:.3f}")
    if card.prediction.uncovered:
        table.caption = "~: of a class that the device's measurements do not cover"
    return table


def _end_of(name: str, longest: int) -> str:
    """Return the name, or its end after an ellipsis where it is longer than ``longest``."""
    return name if len(name) <= longest else f"…{name[1 - longest :]}"
