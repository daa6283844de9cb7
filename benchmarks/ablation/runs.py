"""What is trained and timed, a row each."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from ablation import rows
from ablation.factors import BY_NAME, CURVES, ENCODER, Arm, architecture_at, design, image_size_at, recipe_at
from ablation.settings import SETTINGS, Material, Setting, material
from ussearch.datasets import Normalisation, Split
from ussearch.evaluators import THRESHOLD, Recipe, predict, train
from ussearch.evaluators.pretrained import Landing, land, read_tensors
from ussearch.runtime.masks import dice_and_iou
from ussearch.search_spaces import Architecture, Network, build, load_preset
from ussearch.weights import require_file, weights_named

Floats = NDArray[np.float64]
PAIRS, STEPS_TIMED = 15, 6
SEEDS = (0, 1)
"""Of runs one at a time; the arms of a design are their own repetitions."""


@dataclass(frozen=True)
class Job:
    """One training: a setting, the factors at their other level, and a seed."""

    stage: str
    setting: Setting
    arm: Arm
    seed: int

    @property
    def key(self) -> tuple[str, str, tuple[str, ...], int]:
        """What tells it from others."""
        return (self.stage, self.setting.name, self.arm, self.seed)


def jobs(stage: str) -> Iterator[Job]:
    """Yield the trainings of a stage: ``design`` mixes the factors, ``curves`` and ``encoder`` vary one at a time."""
    settings = [setting for setting in SETTINGS if bool(setting.weights) == (stage == "encoder")]
    if stage == "design":
        for setting in settings:
            yield from (Job(stage, setting, arm, seed) for seed, arm in enumerate(design(setting.block)))
        return
    arms: list[Arm] = [(), *((factor.name,) for factor in (ENCODER if stage == "encoder" else CURVES))]
    for seed in SEEDS:
        for setting in settings:
            if setting.split:
                yield from (Job(stage, setting, arm, seed) for arm in arms)


@dataclass
class Bench:
    """Does what is missing in the file of rows."""

    data: Path | None
    path: Path = rows.PATH
    tell: Callable[[str], None] = print
    _materials: dict[tuple[str, int], Material] = field(default_factory=dict)

    def run(self, stage: str, only: str = "") -> None:
        """Train what is missing of a stage, in the settings whose name begins with ``only``."""
        done = {
            (row["stage"], row["setting"], tuple(row["arm"]), row["seed"])
            for row in rows.read(self.path)
            if row["kind"] == "run"
        }
        for job in jobs(stage):
            if job.setting.name.startswith(only) and job.key not in done:
                self._train(job)

    def cost(self, setting: Setting, name: str) -> float:
        """Return what a step costs with this factor at its other level, as a multiple of the former defaults'."""
        if BY_NAME[name].costs_nothing:
            return 1.0
        for row in rows.read(self.path):
            if row["kind"] == "cost" and row["factor"] == name and row["network"] == _sized(setting):
                return float(row["ratio"])
        ratios = [round(ratio, 3) for ratio in self._side_by_side(setting, (name,))]
        row = {"kind": "cost", "network": _sized(setting), "factor": name, "ratio": median(ratios), "ratios": ratios}
        rows.add(row, self.path)
        self.tell(f"{name}, {row['network']}: a step costs × {row['ratio']:.3f}")
        return float(row["ratio"])

    def steps(self, setting: Setting, arm: Arm) -> int:
        """Return how many steps of the arm last as long as the setting's of the former defaults."""
        length = np.prod([BY_NAME[name].length for name in arm])
        costs = [self.cost(setting, name) for name in arm]
        return round(setting.steps * float(length / np.prod(costs)))

    def _train(self, job: Job) -> None:
        setting, size = job.setting, image_size_at(job.arm, job.setting.image_size)
        shown, steps = self._material(setting, size), self.steps(setting, job.arm)
        start = time.process_time()
        architecture = architecture_at(job.arm, load_preset(setting.network).architecture.for_task())
        dice, _ = trained_figures(architecture, recipe_at(job.arm, steps), shown, job.seed, setting.weights)
        row = {
            "kind": "run",
            "stage": job.stage,
            "setting": setting.name,
            "arm": list(job.arm),
            "seed": job.seed,
            "steps": steps,
            "seconds": round(time.process_time() - start, 1),
            "dice": [round(float(value), 4) for value in dice],
        }
        rows.add(row, self.path)
        self.tell(f"{setting.name} {job.seed}: Dice {dice.mean():.4f}, {row['seconds']} s, {', '.join(job.arm) or '-'}")

    def _material(self, setting: Setting, size: int) -> Material:
        """Return a setting's images; what judges is told in a row of its own the first time."""
        key = (setting.name, size)
        if key not in self._materials:
            shown = material(setting, self.data, size)
            told = {
                "kind": "images",
                "setting": setting.name,
                "train": len(shown.train),
                "judged": shown.names,
                "groups": shown.groups,
            }
            kept = [row for row in rows.read(self.path) if row["kind"] == "images" and row["setting"] == setting.name]
            if kept and kept[0] != told:
                raise AssertionError(f"{setting.name} judges by other images than before")
            if not kept:
                rows.add(told, self.path)
            self._materials[key] = shown
        return self._materials[key]

    def _side_by_side(self, setting: Setting, arm: Arm) -> Iterator[float]:
        """Yield how much longer a few steps of the arm take than as many of the former defaults just before."""
        plain = self._material(setting, setting.image_size)
        other = self._material(setting, image_size_at(arm, setting.image_size))
        preset = load_preset(setting.network).architecture.for_task()
        for turn in range(PAIRS + 1):
            former = seconds_of(preset, recipe_at((), STEPS_TIMED), plain)
            changed = seconds_of(architecture_at(arm, preset), recipe_at(arm, STEPS_TIMED), other)
            if turn:  # the first warms up
                yield changed / former


def trained_figures(
    architecture: Architecture, recipe: Recipe, shown: Material, seed: int, weights: str = ""
) -> tuple[Floats, Floats]:
    """Return Dice and IoU of every judged image after a training that saw none of them: the last epoch counts."""
    torch.manual_seed(zlib.crc32(f"{architecture.id} {seed}".encode()))
    network = build(architecture)
    start = landed(weights, network, shown) if weights else None
    result = train(network, shown.images, shown.split, recipe, seed=seed, pretrained=start)
    result.network.load_state_dict(result.last_weights)
    seen = predict(result.network, np.asarray(shown.images.images[list(shown.judged)]), result.normalisation)
    sides = shown.masks.shape[2:]
    enlarged = functional.interpolate(torch.from_numpy(seen), size=sides, mode="bilinear", align_corners=False)
    return dice_and_iou(enlarged.numpy() >= THRESHOLD, shown.masks > 0)


def landed(weights: str, network: Network, shown: Material) -> Landing:
    """Return what published weights have for ``network``; raises UserError where their file is not on this machine."""
    source = weights_named(weights)
    path, _ = require_file(source)
    return land(read_tensors(path), source, network, Normalisation.fit(shown.images.images, shown.train))


def seconds_of(architecture: Architecture, recipe: Recipe, shown: Material) -> float:
    """Return the seconds of processor time of a few steps: those of the clock belong to other programs as well."""
    few = Split.of({"train": shown.train[: STEPS_TIMED * recipe.batch_size]}, "timed", shown.images.fingerprint)
    built = build(architecture)
    start = time.process_time()
    train(built, shown.images, few, recipe.model_copy(update={"steps": STEPS_TIMED}))
    return time.process_time() - start


def _sized(setting: Setting) -> str:
    return f"{setting.network} at {setting.image_size}"
