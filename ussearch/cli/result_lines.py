"""What came out: the compression chain, the pair's figures on test images, verdicts on them, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.table import Table

from ussearch.cli.console import console, counted
from ussearch.cli.option_values import spoken
from ussearch.pairs.bundles.cloud_gain import gain_sentences
from ussearch.pairs.bundles.evaluation import baseline_warnings
from ussearch.pairs.bundles.latency import latency_told
from ussearch.pipeline import Delivery

if TYPE_CHECKING:
    from ussearch.compress import Compression, StepRecord, WidthMultiplierRecord
    from ussearch.compress.waterfall import WaterfallRow
    from ussearch.pairs.bundles.manifest import MetricsEntry


WATERFALL_NOTE = (
    "Dice: validation images, two empty masks count 1; its interval is a paired bootstrap over patients and "
    "near-duplicates. × ms: share of the latency before the step, and of the deploy form's in the last row."
)


def verdict_line(record: StepRecord | WidthMultiplierRecord) -> str:
    """Return what was decided about a step, or about uniform scaling, and why."""
    from ussearch.compress import StepRecord
    from ussearch.compress.waterfall import row_of, uniform_row

    row = row_of(record) if isinstance(record, StepRecord) else uniform_row(record)
    return f"{row.title}: {row.verdict}, {row.reason}"


def waterfall_table(compression: Compression) -> Table:
    """Return the waterfall as a table."""
    from ussearch.compress.waterfall import rows

    table = Table(title=f"{compression.architecture} for {compression.profile}", title_justify="left")
    table.add_column("step", overflow="fold")
    for column in ("Dice", "change in points\n(95 %)", "ms", "× ms", "KiB"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("why", overflow="fold")
    for row in rows(compression):
        faint = row.verdict in ("undone", "not tried", "skipped", "beaten")
        table.add_row(row.title, *_figures(row), row.verdict, row.reason, style="dim" if faint else "")
    return table


def _figures(row: WaterfallRow) -> tuple[str, str, str, str, str]:
    """Return the cells between a row's title and its verdict."""
    points = None if row.change is None else tuple(100 * each for each in row.change)
    return (
        "–" if row.dice is None else f"{row.dice:.3f}",
        "–" if points is None else "{:+.1f} ({:+.1f} to {:+.1f})".format(*points),
        "–" if row.latency_ms is None else f"{row.latency_ms:.2f}",
        "–" if row.ratio is None else f"{row.ratio:.2f}",
        "–" if row.kib is None else f"{row.kib:,.0f}",
    )


SHARE_TOLERANCE = 0.15
"""By how much the share that goes to the cloud may exceed what was asked for before it is worth a line."""


def print_delivery(delivery: Delivery) -> None:
    """Print what came out, on the test part, beside the trivial baselines."""
    if delivery.compression is not None:
        console.print(waterfall_table(delivery.compression))
    metrics = delivery.bundle.manifest.metrics
    table = Table(title=f"Test images ({metrics.images})", title_justify="left")
    table.add_column("", no_wrap=True)
    columns = {"lesion_dice": "lesion Dice", "dice_all": "Dice, all", "iou": "IoU", "hd95": "HD95 (px)"}
    columns |= {"hd95_mm": "HD95 (mm)"} if metrics.edge.get("hd95_mm") is not None else {}
    columns |= {"auc": "AUC"}
    for column in (*columns.values(), "false positives\non empty images"):
        table.add_column(column, justify="right")
    rows: dict[str, Mapping[str, float | None]] = {
        "edge network": metrics.edge,
        "cloud network": metrics.cloud,
        f"pair, {metrics.offload_share:.0%} to the cloud": metrics.routed,
        **{f"baseline: {name}": summary for name, summary in metrics.baselines.items()},
    }
    for name, summary in rows.items():
        rate = summary.get("false_positive_rate")
        cells = [_with_sd(summary, key) for key in columns]
        table.add_row(name, *cells, "–" if rate is None else f"{rate:.0%}")
    console.print(table)
    console.print(f"Mean ± SD over images. {metrics.convention}")
    manifest = delivery.bundle.manifest
    for tier in ("edge", "cloud"):
        profile, side = delivery.bundle.profile(tier), manifest.preprocessing.image_size
        if sentence := latency_told(manifest.entry(tier), profile, side):
            console.print(f"Latency, {tier} network: {sentence}")
    for line in verdicts(delivery):
        console.print(line)
    console.print("Timetable: " + ", ".join(f"{name} {spoken(each)}" for name, each in delivery.seconds.items()))
    verdict = "accepted" if delivery.verification.passed else "REFUSED"
    console.print(f"Bundle: {delivery.bundle.folder} ({verdict} by ussearch verify)")
    study, bundle = (shlex.quote(str(each)) for each in (delivery.study.folder, delivery.bundle.folder))
    console.print(f"Next: ussearch pareto {study}\n      ussearch verify {bundle}")


def verdicts(delivery: Delivery) -> list[str]:
    """Return what a reader of the figures should not overlook."""
    metrics, router = delivery.bundle.manifest.metrics, delivery.bundle.manifest.router
    asked, images = router.requested_share, counted(router.calibration_images, "calibration image")
    lines = [*baseline_warnings(metrics), *gain_sentences(metrics.cloud_gain, delivery.ensemble)]
    if router.policy is None and router.reason:
        lines.append(
            f"Every image stays on the edge: {router.reason}. ussearch route with a policy sends some nevertheless."
        )
    elif (metrics.routed["objective"] or 0.0) <= (metrics.edge["objective"] or 0.0):
        lines.append(
            "The pair is no better than the edge network alone on these images (objective): routing gains nothing "
            "here; search or train longer, or choose another cloud network with ussearch export --cloud."
        )
    if metrics.offload_share > asked + SHARE_TOLERANCE:
        lines.append(
            f"{metrics.offload_share:.0%} of the test images go to the cloud where {asked:.0%} were asked for: the "
            f"threshold comes from {images}, few for a share."
        )
    return lines


def _with_sd(summary: Mapping[str, float | None], key: str) -> str:
    mean, deviation = summary.get(key), summary.get(f"{key}_sd")
    if mean is None:
        return "–"
    digits = {"hd95": 1, "hd95_mm": 2}.get(key, 3)
    return f"{mean:.{digits}f}" + ("" if deviation is None else f" ± {deviation:.{digits}f}")


def presence_table(metrics: MetricsEntry, images: str = "test images") -> Table:
    """Return what each network and the pair are worth on images, by image and in Dice, with intervals.

    What the images do not tell, such as Dice without any lesion, has no column.
    """
    from ussearch.pairs.bundles.model_card_tables import FIGURES, RATES, WHO, estimate

    everything = next(each for each in metrics.subgroups if each.kind == "all")
    names = [name for name in ("lesion_dice", *RATES) if everything.edge.get(name)]
    table = Table(f"{everything.images} {images}", *(FIGURES[name] for name in names))
    for tier, who in WHO.items():
        table.add_row(who, *(estimate(getattr(everything, tier).get(name), name) for name in names))
    return table


def subgroup_table(metrics: MetricsEntry) -> Table:
    """Return what each network and the pair are worth on all images, by class and by size of the lesion, as above."""
    from ussearch.pairs.bundles.model_card_tables import FIGURES, WHO, estimate

    figures = ("lesion_dice", "iou", "hd95", "hd95_mm", "false_positive_rate")
    names = [name for name in figures if any(each.edge.get(name) for each in metrics.subgroups)]
    table = Table("images", "how many", "answered by", *(FIGURES[name] for name in names))
    for subgroup in metrics.subgroups:
        for number, (tier, who) in enumerate(WHO.items()):
            first = (subgroup.name, str(subgroup.images)) if number == 0 else ("", "")
            cells = (estimate(getattr(subgroup, tier).get(name), name) for name in names)
            table.add_row(*first, who, *cells)
    return table
