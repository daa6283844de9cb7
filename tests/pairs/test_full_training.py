"""Finalists: every attempt is recorded, the best is kept, a killed one goes on where it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.evaluators.conftest import disc_images, disc_split, tiny
from ussearch.errors import UserError
from ussearch.evaluators import Recipe, TrainEvaluator, TrainingTask
from ussearch.evaluators.inheritance import Relative
from ussearch.evaluators.training import checkpoints
from ussearch.events import Event, TrainingEpoch
from ussearch.hardware_profiles import load_profile
from ussearch.pairs.delivery.full_training import TrainedNetwork, train_fully
from ussearch.pairs.delivery.tasks import FullTraining, FullTrainingFailed
from ussearch.search_spaces import build
from ussearch.studies.executors import LocalExecutor, ProcessExecutor, TaskOutcome, Tell

pytestmark = pytest.mark.training

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURE = tiny("fusible")


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make_evaluator(epochs: int = 4, learning_rate: float = 1e-2) -> TrainEvaluator:
    images = disc_images()
    profiles = {"edge": load_profile("jetson-nano"), "cloud": load_profile("x86-server")}
    recipe = Recipe(epochs=epochs, batch_size=4, learning_rate=learning_rate)
    return TrainEvaluator(images, disc_split(images), recipe, profiles)  # type: ignore[arg-type]


def train_one(
    folder: Path,
    evaluator: TrainEvaluator,
    restarts: int = 1,
    relative: Relative | None = None,
    on_epoch: Callable[[TrainingEpoch], None] | None = None,
) -> TrainedNetwork:
    def tell(event: Event) -> None:
        assert isinstance(event, TrainingEpoch)
        if on_epoch:
            on_epoch(event)

    training = FullTraining(folder, ARCHITECTURE, seed=5, restarts=restarts, relative=relative)
    (trained,) = train_fully([training], evaluator, on_event=tell)
    return trained


def number_of(event: TrainingEpoch) -> int:
    """Return which of several runs an epoch belongs to, as its title says."""
    return int(event.title.split()[1])


def record_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "record.json").read_text())


def test_the_best_of_all_attempts_is_kept(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    relative = Relative(0, 3.0, ARCHITECTURE, build(ARCHITECTURE).state_dict())

    def note(event: TrainingEpoch) -> None:
        assert event.epochs == 4 and event.tier is None and event.trial_id is None
        seen.append((number_of(event), event.record.epoch))

    trained = train_one(tmp_path, make_evaluator(), restarts=2, relative=relative, on_epoch=note)
    assert seen == [(number, epoch) for number in (1, 2, 3) for epoch in (1, 2, 3, 4)]
    attempts = record_of(tmp_path)["attempts"]
    assert [attempt["start"] for attempt in attempts] == ["inherited", "scratch", "scratch"]
    assert len({attempt["seed"] for attempt in attempts}) == 2
    assert trained.evaluation.objective == max(attempt["objective"] for attempt in attempts)
    assert [attempt["objective"] for attempt in attempts if attempt["kept"]] == [trained.evaluation.objective]
    assert not (tmp_path / "attempts").exists()
    separately = [
        make_evaluator().evaluate(TrainingTask(ARCHITECTURE, seed)).objective
        for seed in sorted({each["seed"] for each in attempts})
    ]
    scratch = [each["objective"] for each in sorted(attempts, key=lambda e: e["seed"]) if each["start"] == "scratch"]
    assert scratch == separately


def test_inherited_weights_are_trained_as_they_were_used(tmp_path: Path) -> None:
    """λ of deep training is 1 from the first step on; from scratch it begins at 0."""
    schedules: dict[str, list[float]] = {"scratch": [], "inherited": []}

    def note(event: TrainingEpoch) -> None:
        schedules["inherited" if event.title.endswith(" from inherited weights") else "scratch"].append(
            event.record.schedule
        )

    relative = Relative(0, 3.0, ARCHITECTURE, build(ARCHITECTURE).state_dict())
    train_one(tmp_path, make_evaluator(), relative=relative, on_epoch=note)
    assert schedules["scratch"][0] < 1.0 and schedules["inherited"] == [1.0] * 4


def test_what_is_there_is_not_trained_again_unless_it_was_made_from_something_else(tmp_path: Path) -> None:
    first = train_one(tmp_path, make_evaluator())
    (tmp_path / "attempts").mkdir()  # what a kill just after the record was written leaves behind
    again = train_one(tmp_path, make_evaluator(), on_epoch=lambda *_: pytest.fail("trained again"))
    assert again.evaluation.objective == first.evaluation.objective and first.weights == again.weights
    assert not (tmp_path / "attempts").exists()
    longer = train_one(tmp_path, make_evaluator(epochs=5))
    assert len(longer.evaluation.history) == 5
    more = train_one(tmp_path, make_evaluator(epochs=5), restarts=2)
    assert len(record_of(tmp_path)["attempts"]) == 2 and (more.evaluation.objective or 0) >= (
        longer.evaluation.objective or 0
    )


def test_the_kept_weights_are_those_of_the_evaluation(tmp_path: Path) -> None:
    evaluator = make_evaluator()
    trained = train_one(tmp_path, evaluator, restarts=2)
    best = evaluator.evaluate(TrainingTask(ARCHITECTURE, trained.evaluation.seed))
    assert best.weights is not None
    kept = load_file(trained.weights)
    assert all(torch.equal(value, kept[name]) for name, value in best.weights.items())
    assert not trained.network().training


def test_failure_of_all_is_an_error_with_its_reason(tmp_path: Path) -> None:
    evaluator = make_evaluator()
    broken = replace(evaluator, recipe=evaluator.recipe.model_copy(update={"divergence_factor": 1e-9}))
    with pytest.raises(FullTrainingFailed, match="cannot be trained: training diverged"):
        train_one(tmp_path, broken)
    assert not (tmp_path / "record.json").exists()


KILLED = """
import os, signal, sys, torch
from pathlib import Path
from tests.pairs.test_full_training import ARCHITECTURE, checkpoints, make_evaluator, number_of, train_one
checkpoints.INTERVAL_S = 0.0
torch.set_num_threads(1)
def die(event):
    if (number_of(event), event.record.epoch) == (2, 3):
        os.kill(os.getpid(), signal.SIGKILL)
train_one(Path(sys.argv[1]), make_evaluator(), restarts=2, on_epoch=die)
"""


def test_killed_it_goes_on_at_its_last_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "INTERVAL_S", 0.0)
    folder, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    child = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder)], cwd=ROOT, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert child.returncode == -signal.SIGKILL and list(folder.glob("attempts/*/checkpoint.safetensors"))
    seen: list[tuple[int, int]] = []
    train_one(folder, make_evaluator(), 2, on_epoch=lambda event: seen.append((number_of(event), event.record.epoch)))
    assert seen == [(2, 4)]
    train_one(undisturbed, make_evaluator(), restarts=2)
    assert (folder / "weights.safetensors").read_bytes() == (undisturbed / "weights.safetensors").read_bytes()
    assert not list(folder.rglob("checkpoint*"))


def test_each_training_has_its_own_length(tmp_path: Path) -> None:
    evaluator, told = make_evaluator(epochs=1), list[tuple[int, int]]()

    def note(event: Event) -> None:
        assert isinstance(event, TrainingEpoch)
        told.append((event.record.epoch, event.epochs))

    trainings = [FullTraining(tmp_path / str(epochs), ARCHITECTURE, seed=5, epochs=epochs) for epochs in (2, None)]
    twice, once = train_fully(trainings, evaluator, on_event=note)
    assert told == [(1, 2), (2, 2), (1, 1)]
    assert (twice.evaluation.epochs, once.evaluation.epochs) == (2, 1)
    alone = train_fully([FullTraining(tmp_path / "alone", ARCHITECTURE, seed=5)], make_evaluator(epochs=2))[0]
    assert alone.weights.read_bytes() == twice.weights.read_bytes() != once.weights.read_bytes()
    train_fully(trainings, evaluator, on_event=lambda _: pytest.fail("trained again"))


@pytest.mark.slow
def test_side_by_side_in_processes_they_become_what_they_become_here(tmp_path: Path) -> None:
    evaluator, relative = make_evaluator(), Relative(0, 3.0, ARCHITECTURE, build(ARCHITECTURE).state_dict())

    def trainings(name: str) -> list[FullTraining]:
        return [
            FullTraining(tmp_path / name / "a", ARCHITECTURE, seed=5, relative=relative),
            FullTraining(tmp_path / name / "b", tiny("conv"), seed=6),
        ]

    here = train_fully(trainings("here"), evaluator)
    there = train_fully(trainings("there"), evaluator, make_executor=lambda wanted: ProcessExecutor(wanted, 2))
    for one, other in zip(here, there, strict=True):
        assert one.weights.read_bytes() == other.weights.read_bytes()
        assert one.evaluation.metrics == other.evaluation.metrics


class Unlucky:
    """An executor whose workers are lost, ``times`` of them."""

    workers = 1

    def __init__(self, evaluator: TrainEvaluator, times: int) -> None:
        self._inner, self._times = LocalExecutor(evaluator), times

    def submit(self, task: TrainingTask) -> None:
        self._inner.submit(task)

    def collect(self, tell: Tell) -> TaskOutcome:
        if self._times == 0:
            return self._inner.collect(tell)
        self._times -= 1
        return TaskOutcome(
            self._inner.collect(lambda _: None).trial_id,
            None,
            "its worker process was killed",
            traceback=f"left {self._times}",
        )

    def close(self) -> None:
        self._inner.close()


def test_a_lost_training_is_tried_once_more_then_given_up_with_what_is_kept(tmp_path: Path) -> None:
    def train(times: int) -> None:
        training = FullTraining(tmp_path, ARCHITECTURE, seed=5)
        evaluator = make_evaluator(epochs=1)
        train_fully([training], evaluator, make_executor=lambda _: Unlucky(evaluator, times))

    with pytest.raises(UserError, match=r"lost twice \(its worker process was killed, .*traceback\.txt\).*continues"):
        train(2)
    assert (tmp_path / "traceback.txt").read_text() == "left 1\nleft 0"
    train(1)
    assert (tmp_path / "record.json").exists()
    assert (tmp_path / "traceback.txt").read_text() == "left 0"
