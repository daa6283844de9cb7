"""Training one architecture at full length, more than once: every attempt is recorded, the best on validation is kept.

FOLDER/record.json                what it was made from, all attempts, the evaluation of the best
FOLDER/architecture.yaml  weights.safetensors
FOLDER/attempts/                  while it lasts: finished attempts, and the checkpoint of the one that is training
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors.torch import load_file, save
from torch import Tensor

from ussearch.errors import UserError
from ussearch.evaluators import EpochRecord, Evaluation, TrainEvaluator
from ussearch.evaluators.checkpoints import digest_of
from ussearch.files import write_atomically
from ussearch.search_spaces import Architecture, Network, build

Start = Literal["scratch", "drawn"]
InitialWeights = Callable[[Architecture], Mapping[str, Tensor] | None]
"""Weights to start from besides random ones, such as those drawn from shared weights; None where there are none."""
RECORD, WEIGHTS, CHECKPOINT = "record.json", "weights.safetensors", "checkpoint.safetensors"


class FullTrainingFailed(UserError):
    """No attempt ended well; choose another architecture."""


@dataclass(frozen=True)
class Attempt:
    """One of the trainings, ``number`` (from 1) ``of`` all."""

    start: Start
    seed: int
    number: int
    of: int
    initial: Mapping[str, Tensor] | None = None

    @property
    def title(self) -> str:
        """What tells it from the others, in words; empty where there are no others."""
        start = " from drawn weights" if self.start == "drawn" else ""
        return "" if self.of == 1 else f"training {self.number} of {self.of}{start}"

    @property
    def key(self) -> dict[str, Any]:
        """Everything that distinguishes it, as JSON-ready data."""
        return {"start": self.start, "seed": self.seed, "weights": digest_of(self.initial) if self.initial else None}


OnAttemptEpoch = Callable[[Attempt, EpochRecord], None]


@dataclass(frozen=True)
class FullTraining:
    """The best of the attempts, as it is kept in ``folder``."""

    folder: Path
    architecture: Architecture
    evaluation: Evaluation

    @property
    def weights(self) -> Path:
        """The file with the weights."""
        return self.folder / WEIGHTS

    def network(self) -> Network:
        """Return the trained network in training form and evaluation mode, on the CPU."""
        network = build(self.architecture)
        network.load_state_dict(load_file(self.weights))
        return network.eval()


def train_fully(
    folder: Path,
    architecture: Architecture,
    evaluator: TrainEvaluator,
    *,
    seed: int,
    seeds: int = 1,
    initial: InitialWeights | None = None,
    on_epoch: OnAttemptEpoch | None = None,
) -> FullTraining:
    """Train at the length of ``evaluator.recipe`` from ``seeds`` random starts and keep the best on validation.

    Where ``initial`` has weights for the architecture, each seed is also trained from them, with λ of deep training at
    1 from the first step, as those weights are used to. A result that is there already and was made from the same is
    taken as it is; after a kill, finished attempts are kept and the one that was training goes on from its checkpoint.

    Raises FullTrainingFailed where every attempt fails, with the reason of the first.
    """
    work = _Work(folder, architecture, evaluator, on_epoch)
    attempts = _attempts(architecture, seed, seeds, initial)
    kept = _kept(folder, work.origin(attempts)) or work.best_of(attempts)
    shutil.rmtree(folder / "attempts", ignore_errors=True)
    # NOTE: what a network costs depends on the profiles of today, not on those that it was trained beside.
    costs = evaluator.costs(architecture)
    return FullTraining(folder, architecture, kept.model_copy(update={"costs": costs}))


@dataclass(frozen=True)
class _Work:
    """One full training in progress."""

    folder: Path
    architecture: Architecture
    evaluator: TrainEvaluator
    on_epoch: OnAttemptEpoch | None

    def origin(self, attempts: tuple[Attempt, ...]) -> dict[str, Any]:
        """Return everything that the outcome of some attempts depends on."""
        evaluator = self.evaluator
        return {
            "architecture_id": self.architecture.id,
            "recipe": evaluator.recipe.model_dump(mode="json"),
            "image_size": evaluator.images.image_size,
            "fingerprint": evaluator.images.fingerprint,
            "split": [list(evaluator.split.train), list(evaluator.split.validation)],
            "attempts": [attempt.key for attempt in attempts],
        }

    def best_of(self, attempts: tuple[Attempt, ...]) -> Evaluation:
        """Train all attempts that are not finished, keep the best and remove the others."""
        folder, architecture = self.folder, self.architecture
        done = [(attempt, *self._attempted(attempt)) for attempt in attempts]
        good = [(evaluation, place) for _, evaluation, place in done if evaluation.failure is None]
        if not good:
            raise FullTrainingFailed(f"{architecture.name or architecture.id} cannot be trained: {done[0][1].failure}.")
        best, place = max(good, key=lambda item: -math.inf if item[0].dice is None else item[0].dice)
        write_atomically(folder / WEIGHTS, (place / WEIGHTS).read_bytes())
        write_atomically(folder / "architecture.yaml", architecture.to_yaml())
        record = {
            "made_from": self.origin(attempts),
            "attempts": [_line(attempt, evaluation, evaluation is best) for attempt, evaluation, _ in done],
            "evaluation": best.model_dump(mode="json"),
        }
        write_atomically(folder / RECORD, json.dumps(record, indent=1))
        return best

    def _attempted(self, attempt: Attempt) -> tuple[Evaluation, Path]:
        """Return the evaluation of one attempt and its folder; an unfinished one goes on from its checkpoint."""
        made_from = self.origin((attempt,))
        place = self.folder / "attempts" / f"{attempt.start}-{_digest(made_from)}"
        kept = _kept(place, made_from)
        if kept is None:
            kept = self._trained(attempt, place / CHECKPOINT)
            if kept.weights is not None:
                weights = {name: value.contiguous() for name, value in kept.weights.items()}
                write_atomically(place / WEIGHTS, save(weights))
            record = {"made_from": made_from, "evaluation": kept.model_dump(mode="json")}
            write_atomically(place / RECORD, json.dumps(record))
            (place / CHECKPOINT).unlink(missing_ok=True)
        return kept, place

    def _trained(self, attempt: Attempt, checkpoint: Path) -> Evaluation:
        recipe = self.evaluator.recipe
        if attempt.start == "drawn":
            recipe = recipe.model_copy(update={"schedule_fraction": 0.0})

        def tell(record: EpochRecord) -> None:
            if self.on_epoch:
                self.on_epoch(attempt, record)

        return replace(self.evaluator, recipe=recipe).evaluate(
            self.architecture, attempt.seed, tell, initial=attempt.initial, checkpoint=checkpoint
        )


def _attempts(architecture: Architecture, seed: int, seeds: int, initial: InitialWeights | None) -> tuple[Attempt, ...]:
    drawn = None if initial is None else initial(architecture)
    starts: dict[Start, Mapping[str, Tensor] | None] = {"scratch": None}
    if drawn is not None:
        starts["drawn"] = drawn
    pairs = [(number, start) for number in range(seeds) for start in starts]
    return tuple(
        Attempt(start, _seed_of(seed, number), position, len(pairs), starts[start])
        for position, (number, start) in enumerate(pairs, 1)
    )


def _seed_of(seed: int, number: int) -> int:
    """Return ``seed`` for the first training, others derived from it for those after it."""
    return seed if number == 0 else int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)


def _kept(folder: Path, made_from: dict[str, Any]) -> Evaluation | None:
    path = folder / RECORD
    if not path.is_file():
        return None
    record = json.loads(path.read_text(encoding="utf-8"))
    return Evaluation.model_validate(record["evaluation"]) if record["made_from"] == made_from else None


def _digest(made_from: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:12]


def _line(attempt: Attempt, evaluation: Evaluation, kept: bool) -> dict[str, Any]:
    """Return what is recorded of an attempt."""
    return {
        "start": attempt.start,
        "seed": attempt.seed,
        "selection": evaluation.dice,
        "lesion_dice": evaluation.metrics.get("lesion_dice"),
        "best_epoch": evaluation.best_epoch,
        "training_seconds": evaluation.training_seconds,
        "failure": evaluation.failure,
        "kept": kept,
    }
