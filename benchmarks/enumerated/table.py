"""The table: every point trained with two seeds, a row at a time, so that it can be made in parts and go on."""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from enumerated.subspace import CHOICES, IMAGE_SIZE, architecture_of, points
from ussearch.datasets import PhantomParameters, Split, phantoms_from, prepare
from ussearch.evaluators import Evaluation, Recipe, TrainEvaluator, TrainingTask
from ussearch.hardware_profiles import load_profile
from ussearch.process_settings import settle

PATH = Path(__file__).resolve().parents[1] / "data" / "search_table.csv"
SEEDS = ("A", "B")
PROFILE = "raspberry-pi-4"
PHANTOMS = PhantomParameters(
    count=240,
    seed=11,
    image_size=IMAGE_SIZE,
    # NOTE: a lesion on every image, none nearly invisible: otherwise a training this short may find nothing at all, and
    # what is left of the ranking is luck.
    lesion_count_weights=(0.0, 0.8, 0.2, 0.0),
    contrast_weights=(1.0, 0.0, 0.0),
)
TRAINED_ON = 144
"""Phantoms to train on; the others validate."""
RECIPE = Recipe(epochs=4, batch_size=8, augmentation=None, pixel_weight=0.2)
"""Mostly Dice: with a full share of cross-entropy the weaker networks of a training this short find nothing."""
FIGURES = ("objective", "latency_ms", "memory_mib", "macs", "parameters", "cpu_seconds")
COLUMNS = ("point", *CHOICES, "architecture", "seed", *FIGURES)
ORDER_SEED = 5
"""The order of training is shuffled, so that an unfinished table is a fair sample."""


@dataclass(frozen=True)
class Job:
    """One training: point number ``point`` with seed ``seed``."""

    point: int
    seed: str

    @property
    def number(self) -> int:
        """The seed of weights and batches: no two trainings of the table share one."""
        return self.point * len(SEEDS) + SEEDS.index(self.seed)


def train_part(part: int, parts: int, path: Path = PATH) -> None:
    """Train what is missing of part ``part`` (from 1) of ``parts``, on one thread, adding each row when it is there."""
    torch.set_num_threads(1)
    settle()
    _begin(path)
    done = {(row["point"], row["seed"]) for row in read(path)}
    missing = [job for job in list(_jobs())[part - 1 :: parts] if (job.point, job.seed) not in done]
    evaluator = make_evaluator()
    for count, job in enumerate(missing, start=1):
        start = time.process_time()
        evaluation = evaluator.evaluate(TrainingTask(architecture_of(points()[job.point]), job.number))
        _append(path, _row(job, evaluation, time.process_time() - start))
        print(f"{count} of {len(missing)}: point {job.point}, seed {job.seed}, {evaluation.objective}", flush=True)


def make_evaluator() -> TrainEvaluator:
    """Return the evaluator of the table: its phantoms, split and recipe."""
    images = prepare(phantoms_from(PHANTOMS), IMAGE_SIZE)
    numbers = tuple(range(len(images)))
    split = Split(numbers[:TRAINED_ON], numbers[TRAINED_ON:], (), (), "first for training", images.fingerprint)
    profile = load_profile(PROFILE)
    return TrainEvaluator(images, split, RECIPE, {"edge": profile, "cloud": profile})


def read(path: Path = PATH) -> list[dict[str, Any]]:
    """Return the finished rows with numbers as numbers; a failed training has the selection ``None``."""
    if not path.exists():
        return []
    rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    return [_parsed(row) for row in rows if row["cpu_seconds"]]


def _jobs() -> Iterator[Job]:
    for point in np.random.default_rng(ORDER_SEED).permutation(len(points())):
        yield from (Job(int(point), seed) for seed in SEEDS)


def _row(job: Job, evaluation: Evaluation, cpu_seconds: float) -> list[Any]:
    costs = evaluation.costs["edge"]
    objective = "" if evaluation.objective is None else f"{evaluation.objective:.6f}"
    figures = [objective, f"{costs.latency_ms:.5f}", f"{costs.memory_mib:.4f}", costs.macs, costs.parameters]
    choices = points()[job.point].values()
    return [job.point, *choices, evaluation.architecture_id, job.seed, *figures, f"{cpu_seconds:.2f}"]


def _parsed(row: dict[str, str]) -> dict[str, Any]:
    numbers: dict[str, Any] = {name: int(row[name]) for name in ("point", "macs", "parameters")}
    numbers |= {name: float(row[name]) for name in ("latency_ms", "memory_mib", "cpu_seconds")}
    return {**row, **numbers, "objective": float(row["objective"]) if row["objective"] else None}


def _begin(path: Path) -> None:
    """Write the header, unless another part did."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(",".join(COLUMNS) + "\n")
    except FileExistsError:
        pass


def _append(path: Path, row: list[Any]) -> None:
    """Add one line by a single write at the end, which no other part and no kill can tear apart."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(row)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(descriptor, line.getvalue().encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
