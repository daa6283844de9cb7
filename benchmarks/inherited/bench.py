"""Bases, children, and the ways in which a child is trained; every row is a file."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from inherited.ordering import ordered
from inherited.page import CHILDREN
from ussearch.datasets import ImageSet, PhantomParameters, Split, phantoms_from, prepare
from ussearch.evaluators import Recipe, TrainingTask, predict, trace
from ussearch.evaluators.inheritance import Relative, inherit
from ussearch.evaluators.metrics.scores import score
from ussearch.files import write_atomically
from ussearch.hardware_profiles import load_profile
from ussearch.process_settings import settle
from ussearch.search_spaces import Architecture, Network, SearchSpace, build, load_preset
from ussearch.search_spaces.edits import neutral
from ussearch.studies.rounds import CHILD_SHARE, SHAPES

ROWS = Path(__file__).resolve().parents[1] / "data" / "inheritance"
SCRATCH = Path(__file__).resolve().parents[2] / "studies" / "inheritance"
"""Weights of the bases: they are made again in a minute, and no part of the rows."""
BASES = ("cea-net-standin", "unext", "cmunext-s")
IMAGE_SIZE, PHANTOMS, JUDGES = 64, 300, 300
EDGE = "jetson-nano"
LEAST_SHAPES = 3
"""Edits that change shapes, at least, in a child."""
SHORT = 2 / 15
"""Length of a child's training, in full trainings: a seventh, where the bar is set."""
ARMS = (
    *("full A", "full B", "inherited", "inherited, longer", "by importance", "crude copy", "function kept"),
    *("parent", "scratch"),
)
SEEDS = {"base": 0, "full A": 1, "full B": 2}


@dataclass(frozen=True)
class Bench:
    """Everything that is fixed before anything is trained; ``rows`` keeps what is finished."""

    rows: Path
    epochs: int = 15

    @cached_property
    def images(self) -> ImageSet:
        """The phantoms that train."""
        return prepare(phantoms_from(PhantomParameters(count=PHANTOMS, seed=0, image_size=IMAGE_SIZE)), IMAGE_SIZE)

    @cached_property
    def judges(self) -> ImageSet:
        """Other phantoms, which score every network and do nothing else."""
        return prepare(phantoms_from(PhantomParameters(count=JUDGES, seed=1, image_size=IMAGE_SIZE)), IMAGE_SIZE)

    @property
    def split(self) -> Split:
        """All phantoms train; without validation images the last epoch counts."""
        return Split.of({"train": range(PHANTOMS)}, "all", self.images.fingerprint)

    @property
    def recipe(self) -> Recipe:
        """The full training; batches of 4, as the rows were made with."""
        return Recipe(batch_size=4, epochs=self.epochs)

    @cached_property
    def space(self) -> SearchSpace:
        """Edits of the three bases, without what the device cannot run."""
        whole, _ = SearchSpace.standard(IMAGE_SIZE).restricted(load_profile(EDGE).forbidden_features)
        return whole.based_on(BASES)

    @cached_property
    def children(self) -> list[tuple[str, Architecture]]:
        """Base and architecture of every child: the first draws that change enough shapes and fit the device."""
        generator, found = np.random.default_rng(0), list[tuple[str, Architecture]]()
        while len(found) < CHILDREN:
            choices = self.space.draw(generator)
            if choices["base"] not in BASES or _shapes(choices) < LEAST_SHAPES:
                continue
            child = self.space.told(choices)
            changes = _shapes(self.space.choices_of(child) or {}) >= LEAST_SHAPES
            if changes and child.id not in {each.id for _, each in found} and self._fits(child):
                found.append((choices["base"], child))
        return found

    def _fits(self, architecture: Architecture) -> bool:
        return trace(architecture, IMAGE_SIZE).costs(load_profile(EDGE)).feasible

    def relative(self, base: str) -> Relative:
        """Return a trained base; one whose weights are not on this machine is trained again."""
        if not self.weights(base).exists():
            place(self, "base", base).unlink()
            made(self, "base", base)
        return Relative(0, self.epochs, load_preset(base).architecture.for_task(), load_file(self.weights(base)))

    def weights(self, base: str) -> Path:
        """Return where the weights of a trained base are kept."""
        folder = SCRATCH if self.rows == ROWS else self.rows
        return folder / f"base-{base}.safetensors"


def _shapes(choices: Mapping[str, Any]) -> int:
    """Return how many edits change shapes."""
    changed = [name for name, value in neutral().items() if choices.get(name, value) != value]
    return sum(any(part in name for part in SHAPES) for name in changed)


def place(bench: Bench, arm: str, which: str | int) -> Path:
    """Return the file of a row."""
    label = which if isinstance(which, str) else f"{which:02d}"
    return bench.rows / f"{arm.replace(', ', '-').replace(' ', '-')}-{label}.json"


def made(bench: Bench, arm: str, which: str | int) -> dict[str, Any]:
    """Return a row, which is made where it is not there yet."""
    path = place(bench, arm, which)
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    torch.set_num_threads(1)
    settle()
    start = time.process_time()
    if isinstance(which, str):
        base, architecture = which, load_preset(which).architecture.for_task()
    else:
        base, architecture = bench.children[which]
    network, more = trained(bench, arm, base, architecture)
    seconds = time.process_time() - start
    judged = predict(network, bench.judges.images, normalisation(bench))
    summary = score(judged, bench.judges.masks).summary
    row = {
        "arm": arm,
        "base": base,
        "child": architecture.name,
        "architecture": architecture.id,
        "score": summary["objective"],
        "dice": summary["lesion_dice"],
        "seconds": round(seconds, 2),
        "macs": trace(architecture, IMAGE_SIZE).costs(load_profile(EDGE)).macs,
        **more,
    }
    if arm == "base":
        bench.weights(base).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(bench.weights(base), save(_whole(network.state_dict())))
    write_atomically(path, json.dumps(row, indent=1) + "\n")
    return row


def normalisation(bench: Bench) -> Any:
    """Return the scaling of grey levels of the phantoms that train."""
    from ussearch.datasets import Normalisation

    return Normalisation.fit(bench.images.images, bench.split.train)


def trained(bench: Bench, arm: str, base: str, architecture: Architecture) -> tuple[Network, dict[str, Any]]:
    """Return the network of a row, trained as its arm says."""
    if arm in SEEDS:
        return run(bench, TrainingTask(architecture, SEEDS[arm], recipe=bench.recipe))
    short = max(1, round(SHORT * bench.epochs))
    if arm == "scratch":
        return run(bench, TrainingTask(architecture, 3, recipe=bench.recipe.model_copy(update={"epochs": short})))
    relative = bench.relative(base)
    if arm == "parent":
        parent = build(relative.architecture)
        parent.load_state_dict(dict(relative.state))
        return parent.eval(), {}
    epochs = max(1, round(CHILD_SHARE * bench.epochs)) if arm == "inherited, longer" else short
    task = TrainingTask(architecture, 3, recipe=bench.recipe.inheriting(epochs))
    if arm == "by importance":
        relative = replace(relative, state=ordered(relative.architecture, relative.state))
    if arm.startswith("inherited") or arm == "by importance":
        return run(bench, TrainingTask(architecture, 3, recipe=task.recipe, relative=relative))
    torch.manual_seed(3)
    fresh = build(architecture)
    if arm == "function kept":
        initial = inherit(fresh, relative.architecture, relative.state, new_inputs="zero").tensors
    else:
        initial = crude(fresh.state_dict(), relative.state)
    return run(bench, TrainingTask(architecture, 3, recipe=task.recipe, initial=initial))


def run(bench: Bench, task: TrainingTask) -> tuple[Network, dict[str, Any]]:
    """Return what a training ends with."""
    result = task.run(bench.images, bench.split, bench.recipe)
    inherited = result.inherited
    return result.network, {} if inherited is None else {"share": inherited.share}


def crude(state: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return ``state`` with the first channels of tensors that are called alike; no part is known from another."""
    made = {name: value.clone() for name, value in state.items()}
    for name, value in made.items():
        if name in other and other[name].ndim == value.ndim:
            box = tuple(slice(0, min(pair)) for pair in zip(value.shape, other[name].shape, strict=True))
            value[box] = other[name][box]
    return made


def finished(bench: Bench) -> list[dict[str, Any]]:
    """Return all rows of children that there are."""
    rows = []
    for arm in ARMS:
        for number in range(CHILDREN):
            path = place(bench, arm, number)
            if path.exists():
                rows.append({**json.loads(path.read_text(encoding="utf-8")), "number": number})
    return rows


def _whole(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.contiguous() for name, value in state.items()}
