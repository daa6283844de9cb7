"""Everything that is fixed before anything is trained, and the folder in which every finished row is a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ussearch.datasets import ImageSet, Normalisation, PhantomParameters, Split, phantoms_from, prepare
from ussearch.evaluators import Recipe, TrainEvaluator, predict
from ussearch.evaluators.metrics.scores import score
from ussearch.files import write_atomically
from ussearch.hardware_profiles import Profile, load_profile
from ussearch.search_spaces import Architecture, Network, SearchSpace
from ussearch.studies.estimates import training_work
from ussearch.studies.lengths import FREE_COURSE, usual_free
from ussearch.studies.planning import PricedBases, SeedPlan

ROOT = Path(__file__).resolve().parents[2]
ROWS = ROOT / "benchmarks" / "data" / "search"
IMAGE_SIZE, PHANTOMS, TRAINED_ON, JUDGES, EPOCHS = 64, 300, 240, 300, 15
EDGE = "jetson-nano"
REFERENCE = 0.11
"""Objective below which nothing counts: that of the best predictor without a network (the mean mask) on these phantoms,
as the package shows no candidate on a front that such a predictor reaches. Milliseconds count up to the device's limit
(``curves``)."""


@dataclass(frozen=True)
class Bench:
    """The protocol; ``rows`` keeps what is finished, ``scratch`` the studies of searches."""

    rows: Path = ROWS
    scratch: Path = ROOT / "studies" / "search"
    epochs: int = EPOCHS
    phantoms: int = PHANTOMS
    trained_on: int = TRAINED_ON
    judges_count: int = JUDGES

    @cached_property
    def images(self) -> ImageSet:
        """The phantoms that train, and those that a search sees its candidates on."""
        return prepare(phantoms_from(PhantomParameters(count=self.phantoms, seed=0, image_size=IMAGE_SIZE)), IMAGE_SIZE)

    @cached_property
    def judges(self) -> ImageSet:
        """Other phantoms, which score every network and do nothing else."""
        return prepare(
            phantoms_from(PhantomParameters(count=self.judges_count, seed=1, image_size=IMAGE_SIZE)), IMAGE_SIZE
        )

    @cached_property
    def split(self) -> Split:
        """Four in five train, the others choose: an epoch of a training, and the front."""
        parts = {"train": range(self.trained_on), "validation": range(self.trained_on, self.phantoms)}
        return Split.of(parts, "four in five", self.images.fingerprint)

    @property
    def recipe(self) -> Recipe:
        """The full training; batches of 4, as in ``benchmarks/inheritance.py``."""
        return Recipe(batch_size=4, epochs=self.epochs)

    @cached_property
    def profile(self) -> Profile:
        """The device; what a search calls the cloud is the same one here, and gets no candidates."""
        return load_profile(EDGE)

    def evaluator(self) -> TrainEvaluator:
        """Return what trains and validates."""
        return TrainEvaluator(self.images, self.split, self.recipe, {"edge": self.profile, "cloud": self.profile})

    @cached_property
    def space(self) -> SearchSpace:
        """All bases and edits that the device can run."""
        return SearchSpace.standard(IMAGE_SIZE).restricted(self.profile.forbidden_features)[0]

    @cached_property
    def priced(self) -> PricedBases:
        """The presets that fit the device, cheapest first by the work of their training."""
        return PricedBases.of(
            self.evaluator(), IMAGE_SIZE, lambda each: training_work(each, IMAGE_SIZE), self.space.bases
        )

    @cached_property
    def bases(self) -> SeedPlan:
        """With which a search starts that may cost as much as full trainings of all presets that fit.

        Chosen as ``run --budget`` does: the two cheapest, others while they take at most a third.
        """
        return self.priced.within(1.0, self.work, 1)

    @property
    def work(self) -> float:
        """The work of an image in the full trainings of all presets that fit."""
        return sum(work for work, _ in self.priced.fitting)

    @cached_property
    def searched(self) -> SearchSpace:
        """The space of a search: its bases, and free compositions where ``run --budget`` would try some."""
        free = usual_free(self.space, 0, lambda each: training_work(each, IMAGE_SIZE)) <= FREE_COURSE * self.work
        return self.space.based_on([each.name for each in self.bases.seeds], free=free)

    def fits(self, architecture: Architecture) -> bool:
        """Return whether the device can run it within its limits."""
        evaluator = self.evaluator()
        return not evaluator.refused(architecture, "edge") and evaluator.costs(architecture)["edge"].feasible

    def judged(self, network: Network) -> float:
        """Return the objective on phantoms that neither trained nor chose anything."""
        normalisation = Normalisation.fit(self.images.images, self.split.train)
        found = score(predict(network, self.judges.images, normalisation), self.judges.masks).summary["objective"]
        return float(found or 0.0)

    def known(self, name: str) -> dict[str, Any] | None:
        """Return a finished row."""
        path = self.rows / f"{name}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def keep(self, name: str, row: dict[str, Any]) -> dict[str, Any]:
        """Write a finished row and return it."""
        write_atomically(self.rows / f"{name}.json", json.dumps(row, indent=1) + "\n")
        return row

    def finished(self, prefix: str) -> Iterator[dict[str, Any]]:
        """Yield the finished rows whose names begin so."""
        for path in sorted(self.rows.glob(f"{prefix}*.json")):
            yield json.loads(path.read_text(encoding="utf-8"))


def one_thread() -> None:
    """Train on one thread, as all rows are made."""
    from ussearch.process_settings import settle

    torch.set_num_threads(1)
    settle()
