"""The page: what a run of the search is worth beside the same hours on published networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from busi.runs import Run
from started.page import paired

from hours import naive
from hours.arms import Arm, Setting
from hours.judged import as_run

OURS = ("ours-off", "ours-auto", "half-off", "third-off")
TITLES = {
    "ours-off": "the search, from chance",
    "ours-auto": "the search, weights of this machine",
    "half-off": "the search, half of LV-UNet's milliseconds allowed",
    "third-off": "the search, a third of LV-UNet's milliseconds allowed",
}


def page(setting: Setting, splits: Sequence[int], arms: Sequence[Arm], mode: naive.Mode) -> str:
    """Return the whole page of the rows that there are."""
    rows = {arm.key: _naive(setting, arm, splits, mode) for arm in arms}
    found = {name: _ours(setting, name, splits, "edge") for name in OURS}
    lines = ["# Is the search worth its hours?", "", *_opening(setting, mode), ""]
    lines += ["| | predicted ms | splits | Dice per image | IoU per image |", "|---|---:|---:|---:|---:|"]
    for arm in arms:
        lines.append(_line(arm.title + (", pretrained" if arm.weights else ""), rows[arm.key]))
    lines += [_line(TITLES[name], runs) for name, runs in found.items()]
    for name in OURS:
        lines += ["", f"## {TITLES[name]}, beside the others", "", *_differences(found[name], arms, rows), ""]
    return "\n".join([*lines, *_pair(setting, splits)]) + "\n"


Found = dict[int, tuple[float, Run]]
"""By split: predicted ms, and what was judged."""


def _opening(setting: Setting, mode: naive.Mode) -> Iterator[str]:
    yield (
        f"BUSI (647 images), {setting.image_size}×{setting.image_size}, the three published splits, "
        f"{setting.seconds / 60:.0f} minutes of two cores for each. Naive arms train one network for all of the time "
        f"({mode}, which validated better on split 1) on everything but validation and test images; the search keeps a "
        "part of the training images for its router and thresholds, and makes the pair, chain and router in the same "
        "time. Dice and IoU are those of masks at 0.5, without post-processing, means over the images of a test list."
    )


def _naive(setting: Setting, arm: Arm, splits: Sequence[int], mode: naive.Mode) -> Found:
    found: Found = {}
    for number in splits:
        threads = setting.cores if mode == "threads" else 1
        names = [f"naive-{arm.key}-{threads}t-s{seed}-split{number}" for seed in range(setting.cores)]
        trained = [row for name in names if (row := setting.known(name)) is not None]
        best = max(trained, key=lambda row: float(row["validation"]), default=None)
        if best is not None and (row := setting.known(f"judged-{best['name']}")) is not None:
            found[number] = float(best["latency_ms"]), as_run(arm.key, row)
    return found


def _ours(setting: Setting, name: str, splits: Sequence[int], tier: str) -> Found:
    found: Found = {}
    for number in splits:
        row, figures = setting.known(f"{name}-split{number}"), setting.known(f"judged-{name}-split{number}-{tier}")
        if row is not None and figures is not None:
            found[number] = float(row["latency_ms"] or "nan"), as_run(name, figures)
    return found


def _line(title: str, found: Found) -> str:
    if not found:
        return f"| {title} | – | 0 | – | – |"
    dice, iou = (fmean(float(getattr(run.last, key).mean()) for _, run in found.values()) for key in ("dice", "iou"))
    latency_ms = fmean(milliseconds for milliseconds, _ in found.values())
    return f"| {title} | {latency_ms:.2f} | {len(found)} | {100 * dice:.1f} | {100 * iou:.1f} |"


def _differences(ours: Found, arms: Sequence[Arm], rows: dict[str, Found]) -> Iterator[str]:
    yield "| beside | Dice, points | 95 % interval | smallest detectable | IoU, points | 95 % interval | images |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for arm in arms:
        common = sorted(ours.keys() & rows[arm.key].keys())
        if not common:
            continue
        pairs = [(ours[number][1], rows[arm.key][number][1]) for number in common]
        dice, low, high, images = paired("dice", pairs)
        iou, iou_low, iou_high, _ = paired("iou", pairs)
        yield (
            f"| {arm.title} | {dice:+.2f} | {low:+.2f} to {high:+.2f} | {(high - low) / 2:.2f} | {iou:+.2f} | "
            f"{iou_low:+.2f} to {iou_high:+.2f} | {images} |"
        )


def _pair(setting: Setting, splits: Sequence[int]) -> Iterator[str]:
    yield "## The cloud's end"
    yield ""
    yield (
        "Dice as above, without post-processing; the last three columns are of the bundles' own masks, by split: "
        "whether the bundle routes by itself, and what part of the gap the pair has with three images in ten sent."
    )
    yield ""
    yield "| | Dice, cloud less edge | 95 % interval | images | routes | pays on test images | of the gap |"
    yield "|---|---:|---:|---:|---|---|---|"
    for name in OURS:
        edge, cloud = (_ours(setting, name, splits, tier) for tier in ("edge", "cloud"))
        common: list[Any] = sorted(edge.keys() & cloud.keys())
        if common:
            points, low, high, images = paired("dice", [(cloud[number][1], edge[number][1]) for number in common])
            told = " | ".join(_routed(setting, name, common))
            yield f"| {TITLES[name]} | {points:+.2f} | {low:+.2f} to {high:+.2f} | {images} | {told} |"


def _routed(setting: Setting, name: str, numbers: Sequence[int]) -> Iterator[str]:
    runs = [setting.known(f"{name}-split{number}") or {} for number in numbers]
    rows = [setting.known(f"routed-{name}-split{number}") or {} for number in numbers]
    yield ", ".join("yes" if run.get("routing") else "no" for run in runs)
    yield ", ".join("yes" if row.get("worthwhile") else "no" for row in rows)
    yield ", ".join(_part_of_gap(row.get("dice", {})) for row in rows)


def _part_of_gap(dice: Mapping[str, float]) -> str:
    """Return which part of the cloud's lead three images in ten bring; nothing where it does not lead."""
    if not dice or dice["1.0"] <= dice["0.0"]:
        return "–"
    return f"{(dice['0.3'] - dice['0.0']) / (dice['1.0'] - dice['0.0']):.0%}"
