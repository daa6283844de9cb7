"""What is trained at full length, from which starts and with which seeds, and what is kept of every run."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ussearch import schema
from ussearch.errors import UserError
from ussearch.evaluators import Evaluation, Recipe, Tier, TrainEvaluator, TrainingTask
from ussearch.evaluators.inheritance import Relative
from ussearch.evaluators.pretrained import header
from ussearch.evaluators.training.checkpoints import digest_of
from ussearch.evaluators.training.recipe import identity_of
from ussearch.files import staged_directory, write_atomically
from ussearch.search_spaces import Architecture
from ussearch.studies.damage import intact
from ussearch.studies.executors import TRACEBACK, TaskOutcome, keep_traceback
from ussearch.studies.executors.serialization import weights_to_bytes

Start = Literal["scratch", "inherited"]


@dataclass(frozen=True)
class TrainingRun:
    """One of the runs of a full training, ``number`` (from 1) ``of`` all."""

    start: Start
    seed: int
    number: int
    of: int
    relative: Relative | None = None
    """The trial that goes on."""

    @property
    def title(self) -> str:
        """What tells it from the others, in words; empty where there are no others."""
        start = " from inherited weights" if self.start == "inherited" else ""
        return "" if self.of == 1 else f"training {self.number} of {self.of}{start}"

    @property
    def key(self) -> dict[str, Any]:
        """Everything that distinguishes it, as JSON-ready data."""
        weights = digest_of(self.relative.state) if self.relative else None
        return {"start": self.start, "seed": self.seed, "weights": weights}


@dataclass(frozen=True)
class FullTraining:
    """An architecture to be trained at full length with ``restarts`` random starts, the first of them ``seed``.

    Where it was trained in a search as ``relative``, it also goes on from there, before all others. All of it lies in
    ``folder``. ``title`` says in words what it is for; ``trial_id`` is the study's trial and ``tier`` the end of the
    pair, where it is trained as one.
    """

    folder: Path
    architecture: Architecture
    seed: int
    restarts: int = 1
    relative: Relative | None = field(default=None, repr=False)
    title: str = ""
    trial_id: int | None = None
    tier: Tier | None = None
    epochs: int | None = None
    """None: as long as the evaluator's recipe."""

    @cached_property
    def runs(self) -> tuple[TrainingRun, ...]:
        """Its runs, in the order in which they are made."""
        starts: list[tuple[Start, int]] = [("scratch", number) for number in range(self.restarts)]
        if self.relative is not None:
            starts.insert(0, ("inherited", 0))
        return tuple(
            TrainingRun(
                start,
                _seed_of(self.seed, number),
                position,
                len(starts),
                self.relative if start == "inherited" else None,
            )
            for position, (start, number) in enumerate(starts, 1)
        )


class FullTrainingFailed(UserError):
    """No run of ``training`` ended well; choose another architecture."""

    def __init__(self, reason: str, training: FullTraining) -> None:
        super().__init__(reason)
        self.training = training


def _seed_of(seed: int, number: int) -> int:
    """Return ``seed`` for the first start, others derived from it for those after it."""
    return seed if number == 0 else int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)


RETRAIN = "restore it, or delete its folder to have the network trained again"
RECORD, WEIGHTS, CHECKPOINT = "record.json", "weights.safetensors", "checkpoint.safetensors"
OTHERS = "weights-{}.safetensors"
"""Weights of the run with this number, where another one is the best: an average may want them."""


@dataclass(frozen=True)
class TaskStore:
    """What is kept of a full training: every run until all are made, then the best, and the weights of the others."""

    training: FullTraining
    evaluator: TrainEvaluator

    @property
    def recipe(self) -> Recipe:
        """How it is trained from a random start."""
        recipe, epochs = self.evaluator.recipe, self.training.epochs
        return recipe if epochs is None else recipe.model_copy(update={"epochs": epochs})

    def origin(self, runs: tuple[TrainingRun, ...]) -> dict[str, Any]:
        """Return everything that the outcome of some runs depends on."""
        evaluator = self.evaluator
        start = evaluator.pretrained.of(self.training.architecture)
        return {
            "architecture_id": self.training.architecture.id,
            "recipe": identity_of(self.recipe),
            "image_size": evaluator.images.image_size,
            "fingerprint": evaluator.images.fingerprint,
            "split": [list(evaluator.split.train), list(evaluator.split.validation)],
            "attempts": [run.key for run in runs],
            **({} if start is None else {"pretrained": start.sha256}),
        }

    def kept(self) -> Evaluation | None:
        """Return the best of all runs, where it was kept."""
        return _kept(self.training.folder, self.origin(self.training.runs))

    def finished(self, run: TrainingRun) -> tuple[Evaluation, Path] | None:
        """Return the evaluation of a finished run and its folder."""
        place = self._place(run)
        found = _kept(place, self.origin((run,)))
        return None if found is None else (found, place)

    def task(self, run: TrainingRun, number: int) -> TrainingTask:
        """Return the task of a run, task ``number`` of an executor; an unfinished one goes on from its checkpoint."""
        return TrainingTask(
            self.training.architecture,
            run.seed,
            number,
            relative=run.relative,
            recipe=self.recipe if run.relative is None else self.recipe.inheriting(self.recipe.epochs),
            checkpoint=self._place(run) / CHECKPOINT,
            title=", ".join(filter(None, (self.training.title, run.title))),
        )

    def keep(self, run: TrainingRun, outcome: TaskOutcome) -> None:
        """Keep how a run ended; raises UserError where its worker was lost twice."""
        place = self._place(run)
        keep_traceback(self.training.folder, outcome)
        if outcome.evaluation is None:
            more = f", the whole of it in {self.training.folder / TRACEBACK}" if outcome.traceback else ""
            raise UserError(
                f"A full training of {_name(self.training.architecture)} was lost twice ({outcome.reason}{more}): "
                "finished trainings are kept, the same command continues with this one."
            )
        if outcome.evaluation.weights is not None:
            start = self.evaluator.pretrained.of(self.training.architecture)
            origins = header(run.relative.origins if run.relative else start.origins if start else ())
            write_atomically(place / WEIGHTS, weights_to_bytes(outcome.evaluation.weights, origins))
        record = {"made_from": self.origin((run,)), "evaluation": outcome.evaluation.model_dump(mode="json")}
        write_atomically(place / RECORD, schema.FULL_TRAINING.to_json(record))
        (place / CHECKPOINT).unlink(missing_ok=True)

    def best(self) -> Evaluation:
        """Keep the best of the runs, all of which are finished, in place of them and of what was kept before."""
        folder, architecture, runs = self.training.folder, self.training.architecture, self.training.runs
        done = [(run, *found) for run in runs if (found := self.finished(run))]
        good = [evaluation for _, evaluation, _ in done if evaluation.failure is None]
        if not good:
            reason = f"{_name(architecture)} cannot be trained: {done[0][1].failure}."
            raise FullTrainingFailed(reason, self.training)
        best = max(good, key=lambda each: -math.inf if each.objective is None else each.objective)
        record: dict[str, Any] = {
            "made_from": self.origin(runs),
            "attempts": [_line(run, evaluation, evaluation is best) for run, evaluation, _ in done],
            "evaluation": best.model_dump(mode="json"),
        }
        with staged_directory(folder) as staging:  # without the runs
            for line, (_, _, place) in zip(record["attempts"], done, strict=True):
                if line["weights"] is not None:
                    write_atomically(staging / line["weights"], (place / WEIGHTS).read_bytes())
            write_atomically(staging / "architecture.yaml", architecture.to_yaml())
            if (folder / TRACEBACK).is_file():
                write_atomically(staging / TRACEBACK, (folder / TRACEBACK).read_bytes())
            write_atomically(staging / RECORD, schema.FULL_TRAINING.to_json(record, indent=1))
        return best

    def _place(self, run: TrainingRun) -> Path:
        return self.training.folder / "attempts" / f"{run.start}-{_digest(self.origin((run,)))}"


def _kept(folder: Path, made_from: dict[str, Any]) -> Evaluation | None:
    path = folder / RECORD
    if not path.is_file():
        return None
    with intact(path, RETRAIN):
        record = schema.FULL_TRAINING.read(path)
        return Evaluation.model_validate(record["evaluation"]) if record["made_from"] == made_from else None


def _name(architecture: Architecture) -> str:
    return architecture.name or architecture.id


def _digest(made_from: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:12]


def _line(run: TrainingRun, evaluation: Evaluation, kept: bool) -> dict[str, Any]:
    """Return what is recorded of a run."""
    return {
        "start": run.start,
        "seed": run.seed,
        "objective": evaluation.objective,
        "lesion_dice": evaluation.metrics.get("lesion_dice"),
        "best_epoch": evaluation.best_epoch,
        "training_seconds": evaluation.training_seconds,
        "failure": evaluation.failure,
        "kept": kept,
        "weights": WEIGHTS if kept else OTHERS.format(run.number) if evaluation.failure is None else None,
    }
