"""The search in one process: shares, seeds, duplicates, failures, evolution."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import optuna
import pytest

from tests.studies.conftest import CLOUD, EDGE, SPACE, SPLIT, FormulaEvaluator, make_config, outcome, run_search
from ussearch.errors import UserError
from ussearch.events import (
    CandidateSkipped,
    Event,
    SearchFinished,
    SearchStarted,
    TrainingEpoch,
    TrialFinished,
    TrialStarted,
)
from ussearch.search_spaces import Architecture, load_preset
from ussearch.studies import SamplerSettings, Study, front_hypervolume, search
from ussearch.studies.study import logged
from ussearch.studies.suggest import derived_seed, tier_of


def preset(name: str) -> Architecture:
    return load_preset(name).architecture.for_task()


def database(study: Study) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name="search", storage=f"sqlite:///{study.folder / 'study.db'}").trials


def test_every_slot_is_filled_once(tmp_path: Path) -> None:
    study, records = run_search(tmp_path / "s", trials=7)
    assert [record.trial_id for record in records] == list(range(7))
    assert len({record.architecture_id for record in records}) == 7
    assert study.trials() == records
    complete = [trial for trial in database(study) if trial.state == optuna.trial.TrialState.COMPLETE]
    assert [trial.user_attrs["trial_id"] for trial in complete] == list(range(7))
    assert [tuple(trial.values) for trial in complete] == [record.objectives("edge") for record in records]


def test_same_seed_same_study_and_another_seed_another(tmp_path: Path) -> None:
    first, second = (outcome(run_search(tmp_path / name)[1]) for name in "ab")
    assert first == second
    assert outcome(run_search(tmp_path / "c", seed=8)[1]) != first


def test_each_end_gets_its_share_within_its_limits(tmp_path: Path) -> None:
    _, records = run_search(tmp_path / "s", trials=12, edge_share=0.25, sampler=SamplerSettings(name="random"))
    assert Counter(record.role for record in records) == {"edge": 3, "cloud": 9}
    assert all(record.feasible("edge") for record in records if record.role == "edge")
    assert all(record.feasible("cloud") for record in records)
    assert not all(record.feasible("edge") for record in records)


@pytest.mark.parametrize("share", [0.0, 0.25, 1 / 3, 0.5, 0.9, 1.0])
def test_shares_hold_at_any_time(share: float) -> None:
    for count in range(1, 40):
        edge = sum(tier_of(sampled, share) == "edge" for sampled in range(count))
        assert 0 <= edge - count * share < 1 + 1e-9


def test_seeds_of_slots_are_distinct_and_stable() -> None:
    seeds = [
        derived_seed(seed, trial_id, purpose) for seed in range(5) for trial_id in range(50) for purpose in range(2)
    ]
    assert len(set(seeds)) == len(seeds) and all(0 <= seed < 2**31 for seed in seeds)
    assert derived_seed(0, 0, 0) == derived_seed(0, 0, 0)


def test_presets_come_first_and_hopeless_ones_are_told(tmp_path: Path) -> None:
    huge = preset("laednet-l").model_copy(update={"name": "huge"})
    seeds = [preset("lv-unet"), huge, preset("cmunext-s"), preset("lv-unet").model_copy(update={"name": "twin"})]
    config = make_config(trials=5, initial_architectures=tuple(seed.name for seed in seeds))
    evaluator = FormulaEvaluator()
    events: list[Event] = []
    records = search(Study.create(tmp_path / "s", config, SPLIT), evaluator, SPACE, seeds, events.append)
    assert [record.name for record in records[:2]] == ["lv-unet", "cmunext-s"]
    assert Counter(record.role for record in records) == {"preset": 2, "edge": 2, "cloud": 1}
    skipped = {event.name: event.reason for event in events if isinstance(event, CandidateSkipped)}
    assert set(skipped) == {"huge", "twin"} and "neither" in skipped["huge"] and "already" in skipped["twin"]
    assert huge.id not in evaluator.trained


def test_progress_is_told_in_order(tmp_path: Path) -> None:
    events: list[Event] = []
    study = Study.create(tmp_path / "s", make_config(trials=2), SPLIT)
    with logged(study.folder):
        search(study, FormulaEvaluator(), SPACE, on_event=events.append)
    kinds = [type(event) for event in events]
    once = [TrialStarted, TrainingEpoch, TrialFinished]
    assert kinds == [SearchStarted, *once, *once, SearchFinished]
    last = events[-2]
    assert isinstance(last, TrialFinished) and last.front == study.front("edge")
    assert "trial 1" in (study.folder / "log.txt").read_text()


def test_a_failed_candidate_is_a_record_with_its_reason(tmp_path: Path) -> None:
    seeds = [preset("lv-unet").model_copy(update={"name": "broken"})]
    study, records = run_search(tmp_path / "s", seeds=seeds, trials=3)
    assert records[0].failed and records[0].evaluation.failure == "the loss became nan in epoch 1"
    assert records[0] not in study.front("edge")
    states = [trial.state for trial in database(study)]
    assert states == [optuna.trial.TrialState.FAIL] + [optuna.trial.TrialState.COMPLETE] * 2
    assert not (study.trial_folder(0) / "weights.safetensors").exists()
    assert (study.trial_folder(1) / "weights.safetensors").exists()


def test_a_failed_candidate_is_not_tried_again(tmp_path: Path) -> None:
    seeds = [preset("lv-unet").model_copy(update={"name": "broken"})]
    study, _ = run_search(tmp_path / "s", seeds=seeds, trials=2)
    evaluator = FormulaEvaluator()
    search(Study.resume(study.folder, study.config.changed(search={"trials": 3})), evaluator, SPACE, seeds)
    assert len(evaluator.trained) == 1


def test_an_exhausted_space_ends_with_a_reason(tmp_path: Path) -> None:
    tight = EDGE.model_copy(update={"limits": EDGE.limits.model_copy(update={"memory_mib": 1.0})})

    class Refusing(FormulaEvaluator):
        def refused(self, architecture: Architecture, tier: str) -> bool:  # type: ignore[override]
            return tier == "edge"

    events: list[Event] = []
    study = Study.create(tmp_path / "s", make_config(trials=4, edge=tight), SPLIT)
    assert search(study, Refusing(), SPACE, on_event=events.append) == ()
    assert isinstance(events[-1], SearchFinished)
    assert events[-1].shortfall is not None and "within the edge limits" in events[-1].shortfall


@pytest.mark.parametrize("sampler", ["nsgaii", "nsgaiii", "tpe", "random"])
def test_every_sampler_searches(tmp_path: Path, sampler: str) -> None:
    settings = SamplerSettings(name=sampler, population=3)  # type: ignore[arg-type]
    first, second = (outcome(run_search(tmp_path / name, trials=9, sampler=settings)[1]) for name in "ab")
    assert len(first) == 9 and first == second


@pytest.mark.slow
def test_evolution_beats_chance(tmp_path: Path) -> None:
    def reached(sampler: str, seed: int) -> float:
        settings = SamplerSettings(name=sampler)  # type: ignore[arg-type]
        folder = tmp_path / f"{sampler}-{seed}"
        _, records = run_search(folder, trials=40, sampler=settings, seed=seed, edge_share=1.0)
        return front_hypervolume(records, EDGE, 64)

    seeds = range(3)
    assert sum(reached("nsgaii", seed) for seed in seeds) > sum(reached("random", seed) for seed in seeds)


def test_other_seed_presets_than_planned_are_refused(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s", make_config(initial_architectures=("lv-unet",)), SPLIT)
    with pytest.raises(UserError, match="planned with the initial architectures"):
        search(study, FormulaEvaluator(), SPACE)


def test_profiles_of_both_ends_are_kept(tmp_path: Path) -> None:
    study, _ = run_search(tmp_path / "s", trials=1)
    assert Study.open(study.folder).config.profiles == {"edge": EDGE, "cloud": CLOUD}
