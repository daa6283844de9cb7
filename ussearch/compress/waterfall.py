"""The waterfall: what every step did to Dice, latency and bytes, as rows and as a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ussearch.compress.acceptance import Compression, StepRecord, WidthMultiplierRecord
from ussearch.compress.evaluate import Measures


@dataclass(frozen=True)
class WaterfallRow:
    """One line: ``change`` is (mean, low, high) of Dice per image; ``ratio`` the latency as a share of before's."""

    title: str
    verdict: str
    reason: str
    dice: float | None = None
    change: tuple[float, float, float] | None = None
    latency_ms: float | None = None
    ratio: float | None = None
    kib: float | None = None


def rows(compression: Compression) -> list[WaterfallRow]:
    """Return the baseline, every attempt, the uniform alternative and the end."""
    found = [_figures("deploy form, FP32", "baseline", "what every ratio of the end refers to", compression.start)]
    found += [row_of(record) for record in compression.records]
    if compression.uniform is not None:
        found.append(uniform_row(compression.uniform))
    found += [WaterfallRow(name, "skipped", reason) for name, reason in compression.skipped.items()]
    change, speed = compression.change, compression.speed
    found.append(
        WaterfallRow(
            f"shipped: {compression.form}",
            "end",
            speed.source,
            compression.end.mean_dice,
            (change.mean, change.low, change.high),
            speed.after_ms,
            speed.ratio,
            compression.end.file_bytes / 1024,
        )
    )
    return found


def row_of(record: StepRecord) -> WaterfallRow:
    """Return one attempt's line."""
    settings = ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in record.settings.items() if record.step == "prune"
    )
    title = f"{record.step} ({settings})" if settings else record.step
    if record.settings.get("aware"):
        title += " (trained with rounding)"
    verdict = "kept" if record.kept else "undone" if record.tried else "not tried"
    reason = record.reason.removeprefix("not tried: ")
    if record.after is None or record.change is None or record.speed is None:
        return WaterfallRow(title, verdict, reason)
    change, speed = record.change, record.speed
    return WaterfallRow(
        title,
        verdict,
        reason,
        record.after.mean_dice,
        (change.mean, change.low, change.high),
        speed.after_ms,
        speed.ratio,
        record.after.file_bytes / 1024,
    )


def uniform_row(uniform: WidthMultiplierRecord) -> WaterfallRow:
    """Return the line of uniform width scaling."""
    change = uniform.change
    return WaterfallRow(
        f"uniform scaling, widths × {uniform.factor:.2f}",
        "ships" if uniform.shipped else "undone" if uniform.in_place_of_pruning else "beaten",
        uniform.reason,
        uniform.measures.mean_dice,
        (change.mean, change.low, change.high),
        None,
        uniform.latency_ratio,
        uniform.measures.file_bytes / 1024,
    )


def _figures(title: str, verdict: str, reason: str, measures: Measures) -> WaterfallRow:
    return WaterfallRow(title, verdict, reason, measures.mean_dice, kib=measures.file_bytes / 1024)


def draw(compression: Compression, path: Path) -> None:
    """Write a picture: one bar a measured row for Dice, with the interval of its change, and one for KiB."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    shown = [row for row in rows(compression) if row.dice is not None]
    colours = {"kept": "#2a7", "ships": "#2a7", "end": "#124", "baseline": "#888", "undone": "#c55", "beaten": "#c55"}
    fill = [colours[row.verdict] for row in shown]
    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(11, 0.9 + 0.45 * len(shown)), sharey=True)
    places = range(len(shown), 0, -1)
    left.barh(places, [row.dice or 0.0 for row in shown], color=fill)
    for place, row in zip(places, shown, strict=True):
        if row.change and row.dice is not None:
            before = row.dice - row.change[0]
            left.plot([before + row.change[1], before + row.change[2]], [place, place], color="black", linewidth=1.5)
    middle.barh(places, [row.ratio or 0.0 for row in shown], color=fill)
    middle.axvline(1.0, color="black", linewidth=0.8)
    right.barh(places, [row.kib or 0.0 for row in shown], color=fill)
    left.set_yticks(list(places), [f"{row.title}\n{row.verdict}" for row in shown], fontsize=8)
    lowest = min(row.dice or 0.0 for row in shown)
    left.set_xlim(max(0.0, lowest - 0.1), None)
    for axis, title in (
        (left, "Dice, validation, and 95 % interval"),
        (middle, "latency, share of that before"),
        (right, "KiB"),
    ):
        axis.set_xlabel(title, fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{compression.architecture} for {compression.profile}", fontsize=10)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
