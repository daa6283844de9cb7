"""What every registered executor does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.evaluators.conftest import disc_images, disc_split, tiny
from tests.studies.executors.conftest import MakeExecutor, collected
from tests.studies.executors.troubles import TroubledEvaluator
from ussearch.errors import UserError
from ussearch.evaluators import Evaluation, Recipe, TrainEvaluator, TrainingTask
from ussearch.hardware_profiles import load_profile
from ussearch.studies.executors import TaskOutcome, run_tasks
from ussearch.studies.executors.serialization import SerializedOutcome

VARYING = {"training_seconds", "history"}


def figures(evaluation: Evaluation) -> dict[str, object]:
    """Return all that must not depend on where an evaluation is made: times may."""
    history = [record.model_dump(exclude={"seconds"}) for record in evaluation.history]
    return {**evaluation.model_dump(exclude=VARYING), "history": history}


def test_a_training_comes_out_the_same_to_the_last_bit(make_executor: MakeExecutor) -> None:
    images = disc_images()
    profiles = {"edge": load_profile("jetson-nano"), "cloud": load_profile("x86-server")}
    evaluator = TrainEvaluator(images, disc_split(images), Recipe(epochs=2, batch_size=8), profiles)  # type: ignore[arg-type]
    tasks = [TrainingTask(tiny(), 11, 3), TrainingTask(tiny("dwsep"), 12, 5), TrainingTask(tiny(), 13, 4)]
    executor = make_executor(evaluator)
    for task in tasks:
        executor.submit(task)
    outcomes, messages = collected(executor, len(tasks))
    for task in tasks:
        outcome, here = outcomes[task.trial_id], evaluator.evaluate(task)
        assert outcome.evaluation is not None and outcome.reason == "" and outcome.seconds > 0
        assert figures(outcome.evaluation) == figures(here)
        assert outcome.evaluation.weights is not None and here.weights is not None
        assert outcome.evaluation.weights.keys() == here.weights.keys()
        for name, tensor in here.weights.items():
            assert tensor.dtype == outcome.evaluation.weights[name].dtype
            assert torch.equal(tensor, outcome.evaluation.weights[name])
        assert messages[task.trial_id] == ["TaskStarted", "EpochDone", "EpochDone"]


def test_errors_lose_their_job_and_no_other(make_executor: MakeExecutor, tmp_path: Path) -> None:
    executor = make_executor(TroubledEvaluator(tmp_path, {1: ("memory", 9), 2: ("bug", 1), 4: ("mend", 9)}))
    for seed in (1, 2, 3):
        executor.submit(TrainingTask(tiny(), seed, seed))
    outcomes, _ = collected(executor, 3)
    assert outcomes[1].evaluation is None and outcomes[1].reason == "MemoryError: no room for 7 TiB"
    assert outcomes[2].evaluation is None and outcomes[2].reason == "TypeError: this is a defect"
    assert outcomes[3].evaluation is not None and outcomes[3].traceback == ""
    for trial_id, last in ((1, "MemoryError: no room for 7 TiB"), (2, "TypeError: this is\na defect")):
        trace = outcomes[trial_id].traceback
        assert trace.startswith("Traceback (most recent call last):\n") and trace.rstrip().endswith(last)
        assert "in evaluate" in trace and "troubles.py" in trace and "in _fail" in trace  # down to where it was raised
    executor.submit(TrainingTask(tiny(), 2, 2))
    again, _ = collected(executor, 1)
    assert again[2].evaluation is not None
    executor.submit(TrainingTask(tiny(), 4, 4))
    with pytest.raises(UserError, match=r"Give another folder\."):
        collected(executor, 1)


def test_closing_twice_does_no_harm(make_executor: MakeExecutor, tmp_path: Path) -> None:
    executor = make_executor(TroubledEvaluator(tmp_path))
    executor.close()
    executor.close()


def test_letters_read_as_they_were_written(tmp_path: Path) -> None:
    evaluation = TroubledEvaluator(tmp_path).evaluate(TrainingTask(tiny(), 1))
    read = SerializedOutcome.of(TaskOutcome(1, evaluation, seconds=2.5)).open()
    assert evaluation.weights is not None
    assert read.evaluation is not None and read.evaluation.weights is not None
    assert read.evaluation.model_dump() == evaluation.model_dump() and read.seconds == 2.5
    assert torch.equal(read.evaluation.weights["weight"], evaluation.weights["weight"])
    lost = TaskOutcome(2, None, "gone", traceback="Traceback:\n  all of it")
    assert SerializedOutcome.of(lost).open() == lost


def test_jobs_known_from_the_start_end_once_each(make_executor: MakeExecutor, tmp_path: Path) -> None:
    troubled = TroubledEvaluator(tmp_path, {1: ("memory", 9), 2: ("bug", 1)})
    tasks = [TrainingTask(tiny(), seed, seed) for seed in (1, 2, 3)]
    outcomes = list(run_tasks(tasks, troubled, make_executor, lambda _: None))
    assert sorted(outcome.trial_id for outcome in outcomes) == [1, 2, 3]
    found = {outcome.trial_id: outcome for outcome in outcomes}
    assert found[1].evaluation is None and "no room" in found[1].reason  # lost twice
    assert found[1].traceback.count("MemoryError: no room for 7 TiB") == 2
    assert found[2].evaluation is not None and found[3].evaluation is not None
    assert found[2].traceback.count("TypeError: this is\na defect") == 1 and found[3].traceback == ""
    assert list(run_tasks([], troubled, make_executor, lambda _: None)) == []
