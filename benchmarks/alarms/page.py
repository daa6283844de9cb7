"""The page ``docs/results/false-alarms.md``, from the committed rows alone."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ussearch.evaluators.metrics.paired_bootstrap import bootstrap_interval

HEAD = """# False alarms

Written by `benchmarks/false_alarms.py` from the rows in `benchmarks/data/false_alarms`. BUSI, all 780 images (133
without a lesion), split by near-duplicates into 55 % for training, 10 % validation, 20 % calibration and 15 % test, a
training and a split of its own for each seed. *Before* is threshold 0.5 with nothing removed, *after* the
[post-processing](../bundle.md#post-processing) that was chosen on the calibration images; no test image is looked at
for it. The method itself was made on calibration and validation images of seeds 0 to 2, 10 and 11. A false positive is
an image without a lesion with any pixel, a lesion is found where what is marked covers it with an IoU of 0.1 or more.
Intervals are 95 % of a bootstrap over groups.
"""
PROMISE = (0.5, 0.5, 0.95)
"""False positives after over before, points of lesion Dice lost, lesions still found of those found before."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Seed:
    """The test images of one seed, and what was chosen for them."""

    number: int
    rows: dict[str, Floats]
    record: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> Seed:
        """Read the rows at ``path`` and the record beside them."""
        lines = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        rows = {name: np.array([float(line[name]) for line in lines]) for name in lines[0] if name != "image"}
        return cls(
            int(path.stem.split("-")[1]), rows, json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        )

    def of(self, name: str, *, lesion: bool) -> Floats:
        """Return a column of the images with a lesion, or of those without."""
        return np.asarray(self.rows[name][self.rows["lesion"] == float(lesion)])

    @property
    def figures(self) -> tuple[float, float, float, float, float]:
        """False positives before and after, lesion Dice before and after, lesions still found of those found before."""
        found = self.of("found_before", lesion=True) > 0
        return (
            float(self.of("any_before", lesion=False).mean()),
            float(self.of("any_after", lesion=False).mean()),
            float(self.of("dice_before", lesion=True).mean()),
            float(self.of("dice_after", lesion=True).mean()),
            float(self.of("found_after", lesion=True)[found].mean()),
        )


def page(tables: Path) -> str:
    """Return the page of everything that is in ``tables``."""
    text = [HEAD]
    for folder in sorted(path for path in tables.iterdir() if path.is_dir()):
        seeds = [Seed.read(path) for path in sorted(folder.glob("seed-*.csv"))]
        if seeds:
            network, size, epochs = folder.name.rsplit("-", 2)
            text += [f"## {network}, {size}×{size}, {epochs} epochs\n", _table(seeds), _chosen(seeds), _readers(seeds)]
    timing = tables / "timing.json"
    if timing.is_file():
        text += ["## What it costs\n", _costs(json.loads(timing.read_text(encoding="utf-8")))]
    sizes = tables / "timing_sizes.json"
    if sizes.is_file():
        text.append(_sizes(json.loads(sizes.read_text(encoding="utf-8"))))
    return "\n".join(text)


def _table(seeds: list[Seed]) -> str:
    head = ["seed", "false positives before", "after", "lesion Dice before", "after", "change in points", "still found"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for seed in seeds:
        before, after, dice, dice_after, found = seed.figures
        change = 100 * (seed.of("dice_after", lesion=True) - seed.of("dice_before", lesion=True))
        low, high = bootstrap_interval(change, seed.of("group", lesion=True).astype(int).tolist())
        cells = [f"{seed.number}", f"{100 * before:.0f} %", f"{100 * after:.0f} %", f"{dice:.3f}", f"{dice_after:.3f}"]
        cells += [f"{change.mean():+.1f} ({low:+.1f} to {high:+.1f})", f"{100 * found:.1f} %"]
        lines.append("| " + " | ".join(cells) + " |")
    ratio, lost, found = _together(seeds)
    kept = [ratio <= PROMISE[0], lost <= PROMISE[1], found >= PROMISE[2]]
    verdicts = ["kept" if each else "not kept" for each in kept]
    lines.append(
        f"\nAll seeds together: {100 * ratio:.0f} % of the false positives are left (at most 50 % wanted: "
        f"{verdicts[0]}), lesion Dice changes by {-lost:+.1f} points (-0.5 at most: {verdicts[1]}), "
        f"{100 * found:.1f} % of the lesions found before are still found (at least 95 %: {verdicts[2]}).\n"
    )
    return "\n".join(lines)


def _together(seeds: list[Seed]) -> tuple[float, float, float]:
    """Return the three figures of the promise over all images of all seeds."""
    before, after, dice, dice_after, found, found_after = (
        np.concatenate([seed.of(name, lesion=lesion) for seed in seeds])
        for name, lesion in (
            ("any_before", False),
            ("any_after", False),
            ("dice_before", True),
            ("dice_after", True),
            ("found_before", True),
            ("found_after", True),
        )
    )
    still = float(found_after[found > 0].mean())
    return float(after.mean() / max(before.mean(), 1e-9)), float(100 * (dice - dice_after).mean()), still


def _chosen(seeds: list[Seed]) -> str:
    lines = []
    for seed in seeds:
        choice = seed.record["choice"]
        steps = ", ".join(f"{step['step'].replace('_', ' ')}" for step in choice["steps"] if step["kept"]) or "nothing"
        presence = next(step for step in choice["steps"] if step["step"] == "presence")
        judged = presence["with_step"]
        foretold = ""
        if judged is not None:
            foretold = (
                f"; cross-validated there: {100 * judged['false_positive_rate']:.0f} % false positives, lesion Dice "
                f"{judged['lesion_dice']:.3f}"
            )
        before = choice["before"]
        lines.append(
            f"Seed {seed.number}: kept {steps}, on {choice['images']} calibration images, "
            f"{choice['empty_images']} without a lesion (area under the ROC curve of presence "
            f"{choice['presence_auc']:.2f}; before: "
            f"{100 * before['false_positive_rate']:.0f} % false positives, lesion Dice {before['lesion_dice']:.3f}"
            f"{foretold}).\n"
        )
    return "\n".join(lines)


def _readers(seeds: list[Seed]) -> str:
    lines = []
    for seed in seeds:
        told = seed.record["readers"]
        lines.append(
            f"Seed {seed.number}: {told['masks']} masks in the size of the files, {told['from_cloud']} by the cloud: "
            f"{told['other_by_client_and_server']} differ between `infer` alone and client with server, "
            f"{told['other_by_run_edge']} between `infer` and `run_edge.py` with the server.\n"
        )
    return "\n".join(lines)


def _costs(rows: list[dict[str, Any]]) -> str:
    lines = [
        "The first network above at 256×256 in FP32 by onnxruntime, one thread, and numpy's post-processing behind it "
        "(without sigmoid and threshold, which were there before): processor milliseconds, each image's best of five "
        "turns with the network; 99 of 100 test images take less than p99.\n",
        "| Python | numpy | network, p50 | post-processing, p50 | p99 | p99 of the network's p50 |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        ratio = row["post_p99_ms"] / row["network_p50_ms"]
        lines.append(
            f"| {row['python']} | {row['numpy']} | {row['network_p50_ms']:.2f} ms | {row['post_p50_ms']:.2f} ms | "
            f"{row['post_p99_ms']:.2f} ms | {100 * ratio:.1f} % |"
        )
    return "\n".join(lines) + "\n"


def _sizes(rows: list[dict[str, Any]]) -> str:
    """Return how the time grows with the images, and what a search makes of it."""
    [at_256] = [row["post_p99_ms"] for row in rows if row["side"] == 256]
    ratios = ", ".join(f"{row['side']}×{row['side']} {row['post_p99_ms'] / at_256:.2f}" for row in rows)
    return (
        f"By the size of the images, p99 over that at 256×256, one run of Python {rows[0]['python']}: {ratios}: "
        "a call's own time and a part in proportion to the pixels.\n\n"
        "This time counts against the device's latency: a profile says what it is on the device's processor, and a "
        "network may take what is left ([how](../numbers.md#latency)). No device was measured: the shipped profiles "
        "derive it from the last row above and published ratios of processors (`benchmarks/postprocessing.py`).\n"
    )
