"""The figures that the published measurements must give, and whether they do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from published import nasbench201, segmentation, yolobench
from published.protocol import MACS_ONLY, RECIPES, SEEDS, THREE_NUMBERS, held_out
from ussearch.hardware_profiles.latency.cross_validation import Quality

FACTOR = 1.5
SHARE_OF_PAIRS = 0.9


@dataclass(frozen=True)
class Gate:
    """One figure: what it is, what it must reach, what would be better still. A MAPE must be low, the others high."""

    subject: str
    figure: str
    reached: float
    must: float
    goal: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the figure is reached, at the precision of the published target."""
        return bool(self.reached <= self.must) if self.lower_is_better else bool(self.reached >= self.must)

    @property
    def lower_is_better(self) -> bool:
        """Whether the figure is an error."""
        return self.figure in {"MAPE", "worst factor"}

    @property
    def distance(self) -> float:
        """How far the figure is from the goal; positive where it is better. NaN without a goal."""
        if self.goal is None:
            return math.nan
        return self.goal - self.reached if self.lower_is_better else self.reached - self.goal


@dataclass(frozen=True)
class Targets:
    """(must reach, goal) of the figures that are asked of a device."""

    tau: tuple[float, float] | None = None
    mape: tuple[float, float] | None = None
    iso: tuple[float, float] | None = None


TARGETS = {
    "jetson-nano": Targets((0.945, 0.955), (7.5, 6.5), (0.92, 0.94)),
    "raspberry-pi-4": Targets((0.968, 0.978), (4.2, 3.0), (0.97, 0.99)),
    "raspberry-pi-5": Targets((0.955, 0.965), (7.0, 5.5), (0.95, 0.97)),
    "raspberry-pi-4-tflite": Targets(None, (14.0, 10.0), (0.85, 0.88)),
    "i7-openvino": Targets(None, (8.0, 6.5), (0.85, 0.89)),
    "rk3588-npu": Targets((0.82, 0.85), (20.0, 16.0), None),
}
CELL_TARGETS = {
    "op_eagle_jetson_16": ("Jetson Nano, FP16", "merged", "tau", 0.50),
    "op_eagle_jetson": ("Jetson Nano, FP32", "convolutions", "tau", 0.78),
    "op_rice_edgegpu": ("Jetson TX2", "siblings", "tau", 0.62),
    "op_rice_raspi4": ("Raspberry Pi 4", "convolutions", "spearman", 0.89),
}
"""Column: device, how its runtime launches convolutions, figure and what it must reach."""


@dataclass(frozen=True)
class Judged:
    """One row of the table of a device: a model, tested on resolutions and on families left out."""

    device: str
    model: str
    by_resolution: Quality
    by_family: Quality


def judge_yolobench(data: Path, seeds: Sequence[int] = SEEDS) -> Iterator[Judged]:
    """Yield the rows of every device: MACs alone, three numbers, three numbers with what other devices teach."""
    bench = yolobench.load(data)
    for device, recipe in RECIPES.items():
        models = {"MACs only": MACS_ONLY, "three numbers": THREE_NUMBERS, "with other devices": recipe}
        for model, each in models.items():
            results = [held_out(bench, device, each, group, seeds) for group in (bench.resolution, bench.family)]
            yield Judged(device, model, *results)


def yolobench_gates(rows: Sequence[Judged]) -> Iterator[Gate]:
    """Yield the gates of the last row of every device, resolutions left out."""
    for row in rows:
        if row.model != "with other devices":
            continue
        targets, result = TARGETS[row.device], row.by_resolution
        figures = (
            ("tau", targets.tau, result.tau),
            ("MAPE", targets.mape, result.mape),
            ("iso-MAC", targets.iso, result.iso_mac_accuracy),
        )
        for name, target, reached in figures:
            if target is not None:
                yield Gate(row.device, name, reached, *target)


def judge_cells(data: Path) -> Iterator[tuple[str, str, Quality]]:
    """Yield device, model and quality after ten samples of NAS-Bench-201."""
    for column, (device, launched, _, _) in CELL_TARGETS.items():
        space = nasbench201.load(data).measured_on(column)
        four = nasbench201.charges(space, launched)
        latency_ms, macs = space.latency_ms[column], four[:, 1]
        yield device, "MACs only", nasbench201.ten_samples(macs[:, None], latency_ms, macs)
        three = yolobench.charges(yolobench.form("jetson-nano"), space.kernels)
        yield device, "three numbers", nasbench201.ten_samples(three, latency_ms, macs)
        yield device, f"call, MACs, pools, {LAUNCHED[launched]}", nasbench201.ten_samples(four, latency_ms, macs)


LAUNCHED = {
    "merged": "convolutions, siblings of one size merged",
    "convolutions": "convolutions",
    "siblings": "sibling convolutions beyond the first",
}


def cell_gates(rows: Sequence[tuple[str, str, Quality]]) -> Iterator[Gate]:
    """Yield the gates of NAS-Bench-201."""
    last = {device: result for device, _, result in rows}
    for device, _, figure, must in CELL_TARGETS.values():
        yield Gate(f"NAS-Bench-201, {device}", figure, getattr(last[device], figure), must)


def segmentation_gates(data: Path) -> Iterator[Gate]:
    """Yield the gates of FCN-ResNet18: without its measurements, from its smallest and largest size, from any two."""
    subject = "FCN-ResNet18, TensorRT FP16"
    sizes, model = segmentation.load(data), segmentation.nano_fp16_from_other_data(data)
    ratio = segmentation.predicted_ms(model, sizes) / sizes.latency_ms
    yield Gate(f"{subject}, other data of the board", "worst factor", float(np.maximum(ratio, 1 / ratio).max()), FACTOR)
    near = {pair: sizes.near(predicted_ms) for pair, predicted_ms in segmentation.pairs(model, sizes)}
    ends = (int(sizes.latency_ms.argmin()), int(sizes.latency_ms.argmax()))
    yield Gate(f"{subject}, smallest and largest size", "share of sizes near", float(near[ends].mean()), 1.0)
    share = float(np.mean([each.all() for each in near.values()]))
    yield Gate(f"{subject}, any two sizes", "share of pairs with all sizes near", share, SHARE_OF_PAIRS)
