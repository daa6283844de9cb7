"""Rounds: bases, children of what is there, trials that go on; which one, and from which relative."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.studies.conftest import CLOUD, EDGE, SPLIT, FormulaEvaluator, made_costs, made_summary, make_config, outcome
from ussearch.evaluators import Evaluation, OnEpoch, TrainingTask
from ussearch.evaluators.evaluation import trained_part
from ussearch.evaluators.inheritance import Inheritance
from ussearch.run_config import SamplerSettings
from ussearch.search_spaces import Architecture, SearchSpace, load_preset
from ussearch.studies import Study, TrialRecord, search
from ussearch.studies.rounds import (
    SPENT_AFTER,
    Rounds,
    best_of_each,
    crowded_out,
    goes_on_from,
    near_front,
    relative_of,
    spent,
)

NAMES = ("cea-net-standin", "cmunext-s", "unext")
SPACE = SearchSpace.standard(64).based_on(NAMES)


def bases() -> list[Architecture]:
    return [load_preset(name).architecture.for_task() for name in NAMES]


@dataclass
class InheritingEvaluator(FormulaEvaluator):
    """Tells what candidates start from; every architecture has the same share of its relative."""

    tasks: list[TrainingTask] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def evaluate(self, task: TrainingTask, on_epoch: OnEpoch | None = None) -> Evaluation:
        self.tasks.append(task)
        found = super().evaluate(task, on_epoch)
        epochs = task.recipe.epochs if task.recipe else 8
        relative = task.relative and Inheritance(
            relative=task.relative.trial_id, share=0.5, age_epochs=0.5 * task.relative.age_epochs
        )
        return found.model_copy(update={"epochs": epochs, "inherited": relative})


def searched(folder: Path, trials: int = 15, **changes: Any) -> tuple[Study, InheritingEvaluator]:
    recipe = make_config().recipe.model_copy(update={"epochs": 8})
    config = make_config(
        trials=trials, initial_architectures=NAMES, space=dict(SPACE.choices), recipe=recipe, **changes
    )
    study = Study.resume(folder, config) if (folder / "study.yaml").exists() else Study.create(folder, config, SPLIT)
    evaluator = InheritingEvaluator()
    search(study, evaluator, SPACE, bases())
    return study, evaluator


def test_bases_come_first_then_children_and_trials_that_go_on(tmp_path: Path) -> None:
    study, evaluator = searched(tmp_path / "s")
    records = study.trials()
    assert [record.name for record in records[:3]] == list(NAMES)
    assert all(SPACE.compose(r.choices).id == r.architecture_id for r in records if r.choices)
    assert all(task.relative is None and task.recipe is None for task in evaluator.tasks[:3])
    going_on = [record for record in records if record.continues is not None]
    assert {(record.trial_id - 3) % 6 for record in going_on} == {4, 5}
    for record in going_on:
        assert records[record.continues or 0].architecture_id == record.architecture_id
    assert len({record.continues for record in going_on}) == len(going_on), "each goes on once"
    for record, task in zip(records[3:], evaluator.tasks[3:], strict=True):
        if record.choices and record.choices["base"] == "free":
            continue
        assert task.relative is not None and task.recipe is not None and task.recipe.epochs == 2
        relative = records[task.relative.trial_id]
        assert relative.choices and record.choices and relative.choices["base"] == record.choices["base"]
        assert task.relative.age_epochs == relative.evaluation.age_epochs
        assert record.evaluation.age_epochs == 2 + 0.5 * relative.evaluation.age_epochs
    assert not study.checkpoint(0).exists()


def test_a_study_in_two_parts_is_the_same(tmp_path: Path) -> None:
    whole, _ = searched(tmp_path / "whole")
    searched(tmp_path / "parts", trials=8)
    parts, _ = searched(tmp_path / "parts")
    assert outcome(parts.trials()) == outcome(whole.trials())


def test_with_workers_children_see_bases_to_start_from(tmp_path: Path) -> None:
    study, evaluator = searched(tmp_path / "s", trials=9, workers=4)
    children = [task for task in evaluator.tasks if task.trial_id >= 3]
    free = [r.trial_id for r in study.trials() if r.choices and r.choices["base"] not in NAMES[:2]]
    assert all(task.relative is not None for task in children if task.trial_id not in free)


def record(trial_id: int, dice: float, latency_ms: float, age: float = 8, **fields: Any) -> TrialRecord:
    inherited = None if age == 8 else Inheritance(relative=0, share=1.0, age_epochs=age - 8)
    evaluation = Evaluation(
        architecture_id=fields.pop("architecture_id", f"a{trial_id}"),
        seed=0,
        fidelity=fields.pop("fidelity", "trained"),
        epochs=8,
        image_size=64,
        accelerator="cpu",
        metrics=made_summary(dice),
        costs={"edge": made_costs(EDGE, latency_ms, 700), "cloud": made_costs(CLOUD, latency_ms, 100)},
        inherited=inherited,
    )
    times = {"started": "2026-01-01", "finished": "2026-01-01"}
    return TrialRecord(
        trial_id=trial_id,
        role="edge",
        architecture_id=evaluation.architecture_id,
        evaluation=evaluation,
        **times,
        **fields,
    )


def test_the_youngest_on_or_near_the_front_goes_on() -> None:
    old, young = record(0, 0.70, 5, age=20), record(1, 0.60, 4, age=10)
    near, beaten = record(2, 0.69, 6, age=9), record(3, 0.50, 7)
    found = goes_on_from([old, young, near, beaten], "edge", ())
    assert found is not None and found.trial_id == 2, "a point below the front is near it"
    found = goes_on_from([old, young, near, beaten], "edge", {2})
    assert found is not None and found.trial_id == 1
    assert goes_on_from([old, young, near, beaten], "edge", {0, 1, 2}) is None


def test_in_the_cloud_strength_alone_counts() -> None:
    strongest, near, fast = record(0, 0.70, 30), record(1, 0.69, 35), record(2, 0.60, 4)
    assert near_front([strongest, near, fast], "cloud") == [strongest, near]
    assert near_front([strongest, near, fast], "edge") == [strongest, near, fast]


def test_what_does_not_fit_never_goes_on() -> None:
    assert goes_on_from([record(0, 0.9, 1000)], "edge", ()) is None


def test_an_architecture_counts_with_its_best_trial() -> None:
    first, again = record(0, 0.6, 5, architecture_id="a"), record(4, 0.5, 5, architecture_id="a", continues=0)
    short = record(5, 0.9, 5, architecture_id="a", fidelity=trained_part(2, 8))
    assert best_of_each([first, again, short]) == [first]


@pytest.mark.parametrize(
    ("edits", "expected"),
    [({}, 0), ({"stage_width_1": 0.5}, 1), ({"stage_width_1": 0.5, "activation": "relu"}, 1), ({"detail": "on"}, 0)],
)
def test_the_nearest_relative_has_the_fewest_edits_that_change_shapes(edits: dict[str, Any], expected: int) -> None:
    neutral = SPACE.unedited("cea-net-standin")
    records = [
        record(0, 0.6, 5, choices=neutral),
        record(1, 0.5, 5, choices=neutral | {"stage_width_1": 0.5}),
        record(2, 0.9, 5, choices=SPACE.unedited("unext")),
    ]
    found = relative_of(neutral | edits, records)
    assert found is not None and found.trial_id == expected
    assert relative_of(SPACE.unedited("cmunext-s"), records) is None


def test_only_edits_of_one_free_composition_are_relatives() -> None:
    composed = SPACE.unedited("free") | {"free_stages": 3}
    records = [record(0, 0.6, 5, choices=composed), record(1, 0.6, 5, choices=SPACE.unedited("unext"))]
    assert relative_of(composed | {"free_stages": 4}, records) is None
    found = relative_of(composed | {"decoder": "light"}, records)
    assert found is not None and found.trial_id == 0
    drawn = SPACE.unedited("unext") | {"free_stages": 4, "decoder": "light"}  # Optuna's samplers draw every choice
    found = relative_of(drawn, records)
    assert found is not None and found.trial_id == 1


def test_lengths_of_a_round() -> None:
    rounds = Rounds(bases=3, epochs=30)
    assert rounds.child_epochs == 8 and Rounds(3, 1).child_epochs == 1
    assert [slot for slot in range(3, 15) if rounds.goes_on(slot)] == [7, 8, 13, 14]
    assert rounds.trainings(3) == 0 and rounds.trainings(18) == pytest.approx(15 * 8 / 30)


def test_weights_of_beaten_trials_without_children_are_spent() -> None:
    front, beaten, parent = record(0, 0.9, 5), record(1, 0.4, 6), record(2, 0.4, 7)
    child = record(3, 0.3, 8)
    child = child.model_copy(
        update={
            "evaluation": child.evaluation.model_copy(
                update={"inherited": Inheritance(relative=2, share=0.9, age_epochs=7)}
            )
        }
    )
    records = [front, beaten, parent, child]
    assert spent(records, SPENT_AFTER) == frozenset()
    assert spent(records, SPENT_AFTER + 1) == {1}
    assert spent(records, SPENT_AFTER + 3) == {1, 3}, "a parent keeps its own"


def test_what_is_spent_stays_spent_and_the_front_keeps_its_weights(tmp_path: Path) -> None:
    study, _ = searched(tmp_path / "s", trials=40)
    records = study.trials()
    before: frozenset[int] = frozenset()
    for slot in range(41):
        now = spent(records[:slot], slot)
        assert before <= now
        before = now
    assert before and {r.trial_id for r in records if not study.has_weights(r.trial_id)} == before
    assert all(study.has_weights(record.trial_id) for record in study.front("edge", feasible_only=True))


def test_where_weights_take_too_much_the_beaten_leave_then_the_near_and_the_front_stays() -> None:
    front, near, beaten, later = record(0, 0.9, 5), record(1, 0.89, 6), record(2, 0.4, 7), record(3, 0.3, 8)
    records = [each.model_copy(update={"weights_bytes": 100}) for each in (front, near, beaten, later)]
    assert crowded_out(records, (), 400) == frozenset()
    assert crowded_out(records, (), 399) == {2}
    assert crowded_out(records, {2}, 200) == {3}
    assert crowded_out(records, (), 200) == {2, 3}
    assert crowded_out(records, (), 0) == {1, 2, 3}


def test_a_study_keeps_to_its_limit_of_weights_in_one_part_or_two(tmp_path: Path) -> None:
    sampler = SamplerSettings(name="random")
    room = 4 * 8  # bytes of four trials, of two values each
    whole, _ = searched(tmp_path / "whole", trials=16, sampler=sampler, max_weights_gib=room / 2**30)
    for trials in (9, 16):
        parts, _ = searched(tmp_path / "parts", trials=trials, sampler=sampler, max_weights_gib=room / 2**30)
    assert outcome(parts.trials()) == outcome(whole.trials())
    kept = {record.trial_id for record in whole.trials() if whole.has_weights(record.trial_id)}
    assert kept == {record.trial_id for record in parts.trials() if parts.has_weights(record.trial_id)}
    front = {r.trial_id for tier in ("edge", "cloud") for r in near_front(whole.trials(), tier, 0.0)}
    assert front <= kept and len(kept) <= max(4, len(front))
    assert len(kept) < 16 - len(spent(whole.trials(), 16)), "the limit deletes more than what is beaten and old"
