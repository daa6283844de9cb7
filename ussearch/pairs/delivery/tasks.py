"""What is trained at full length, from which starts and with which seeds, and what is kept of every attempt."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors.torch import save
from torch import Tensor

from ussearch import schema
from ussearch.errors import UserError
from ussearch.evaluators import EpochRecord, Evaluation, TrainEvaluator, TrainingTask
from ussearch.evaluators.training.checkpoints import digest_of
from ussearch.files import staged_directory, write_atomically
from ussearch.search_spaces import Architecture
from ussearch.studies.executors import TRACEBACK, TaskOutcome, keep_traceback

Start = Literal["scratch", "drawn"]
InitialWeights = Callable[[Architecture], Mapping[str, Tensor] | None]
"""Weights to start from besides random ones, such as those drawn from shared weights; None where there are none."""


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


@dataclass(frozen=True)
class Course:
    """An architecture to be trained at full length from ``seeds`` random starts, the first with ``seed``.

    Where ``initial`` has weights for the architecture, each seed is also trained from them. All of it lies in
    ``folder``.
    """

    folder: Path
    architecture: Architecture
    seed: int
    seeds: int = 1
    initial: InitialWeights | None = None

    @cached_property
    def attempts(self) -> tuple[Attempt, ...]:
        """Its trainings, in the order in which they are tried."""
        drawn = None if self.initial is None else self.initial(self.architecture)
        starts: dict[Start, Mapping[str, Tensor] | None] = {"scratch": None}
        if drawn is not None:
            starts["drawn"] = drawn
        pairs = [(number, start) for number in range(self.seeds) for start in starts]
        return tuple(
            Attempt(start, _seed_of(self.seed, number), position, len(pairs), starts[start])
            for position, (number, start) in enumerate(pairs, 1)
        )


OnCourseEpoch = Callable[[Course, Attempt, EpochRecord], None]


class FullTrainingFailed(UserError):
    """No attempt of ``course`` ended well; choose another architecture."""

    def __init__(self, reason: str, course: Course) -> None:
        super().__init__(reason)
        self.course = course


def _seed_of(seed: int, number: int) -> int:
    """Return ``seed`` for the first training, others derived from it for those after it."""
    return seed if number == 0 else int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)


RECORD, WEIGHTS, CHECKPOINT = "record.json", "weights.safetensors", "checkpoint.safetensors"


@dataclass(frozen=True)
class Work:
    """One course and what is kept of it."""

    course: Course
    evaluator: TrainEvaluator

    def origin(self, attempts: tuple[Attempt, ...]) -> dict[str, Any]:
        """Return everything that the outcome of some attempts depends on."""
        evaluator = self.evaluator
        return {
            "architecture_id": self.course.architecture.id,
            "recipe": evaluator.recipe.model_dump(mode="json"),
            "image_size": evaluator.images.image_size,
            "fingerprint": evaluator.images.fingerprint,
            "split": [list(evaluator.split.train), list(evaluator.split.validation)],
            "attempts": [attempt.key for attempt in attempts],
        }

    def kept(self) -> Evaluation | None:
        """Return the best of all attempts, where it was kept."""
        return _kept(self.course.folder, self.origin(self.course.attempts))

    def attempted(self, attempt: Attempt) -> tuple[Evaluation, Path] | None:
        """Return the evaluation of a finished attempt and its folder."""
        place = self._place(attempt)
        found = _kept(place, self.origin((attempt,)))
        return None if found is None else (found, place)

    def task(self, number: int, attempt: Attempt) -> TrainingTask:
        """Return the training of an attempt; an unfinished one goes on from its checkpoint."""
        return TrainingTask(
            self.course.architecture,
            attempt.seed,
            number,
            initial=attempt.initial,
            checkpoint=self._place(attempt) / CHECKPOINT,
            title=attempt.title,
        )

    def keep(self, attempt: Attempt, outcome: TaskOutcome) -> None:
        """Keep how an attempt ended."""
        place = self._place(attempt)
        keep_traceback(self.course.folder, outcome)
        if outcome.evaluation is None:
            more = f", the whole of it in {self.course.folder / TRACEBACK}" if outcome.traceback else ""
            raise UserError(
                f"A full training of {_name(self.course.architecture)} was lost twice ({outcome.reason}{more}): "
                "finished trainings are kept, the same command continues with this one."
            )
        if outcome.evaluation.weights is not None:
            write_atomically(place / WEIGHTS, save(_contiguous(outcome.evaluation.weights)))
        record = {"made_from": self.origin((attempt,)), "evaluation": outcome.evaluation.model_dump(mode="json")}
        write_atomically(place / RECORD, schema.FULL_TRAINING.to_json(record))
        (place / CHECKPOINT).unlink(missing_ok=True)

    def best(self) -> Evaluation:
        """Keep the best of the attempts, all of which are finished, in place of them and of what was kept before."""
        folder, architecture = self.course.folder, self.course.architecture
        attempts = self.course.attempts
        done = [(attempt, *found) for attempt in attempts if (found := self.attempted(attempt))]
        good = [(evaluation, place) for _, evaluation, place in done if evaluation.failure is None]
        if not good:
            reason = f"{_name(architecture)} cannot be trained: {done[0][1].failure}."
            raise FullTrainingFailed(reason, self.course)
        best, place = max(good, key=lambda item: -math.inf if item[0].objective is None else item[0].objective)
        record = {
            "made_from": self.origin(attempts),
            "attempts": [_line(attempt, evaluation, evaluation is best) for attempt, evaluation, _ in done],
            "evaluation": best.model_dump(mode="json"),
        }
        with staged_directory(folder) as staging:  # without the attempts
            write_atomically(staging / WEIGHTS, (place / WEIGHTS).read_bytes())
            write_atomically(staging / "architecture.yaml", architecture.to_yaml())
            write_atomically(staging / RECORD, schema.FULL_TRAINING.to_json(record, indent=1))
        return best

    def _place(self, attempt: Attempt) -> Path:
        return self.course.folder / "attempts" / f"{attempt.start}-{_digest(self.origin((attempt,)))}"


def _kept(folder: Path, made_from: dict[str, Any]) -> Evaluation | None:
    path = folder / RECORD
    if not path.is_file():
        return None
    record = schema.FULL_TRAINING.read(path)
    return Evaluation.model_validate(record["evaluation"]) if record["made_from"] == made_from else None


def _name(architecture: Architecture) -> str:
    return architecture.name or architecture.id


def _contiguous(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.contiguous() for name, value in weights.items()}


def _digest(made_from: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:12]


def _line(attempt: Attempt, evaluation: Evaluation, kept: bool) -> dict[str, Any]:
    """Return what is recorded of an attempt."""
    return {
        "start": attempt.start,
        "seed": attempt.seed,
        "objective": evaluation.objective,
        "lesion_dice": evaluation.metrics.get("lesion_dice"),
        "best_epoch": evaluation.best_epoch,
        "training_seconds": evaluation.training_seconds,
        "failure": evaluation.failure,
        "kept": kept,
    }
