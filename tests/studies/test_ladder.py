"""A search by the ladder: real training on tiny data; which rung may be trusted is arranged, the rest is as it is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.configurations import run_config, study_config
from tests.evaluators.conftest import disc_images, disc_split, small_space
from ussearch import schema
from ussearch.errors import UserError
from ussearch.evaluators import Recipe, TrainEvaluator, TrainingTask
from ussearch.evaluators.evaluation import TRAINED
from ussearch.evaluators.rungs import FULL, Rung, RungEvaluator, usual_ladder
from ussearch.evaluators.shared import WeightStore, drawing_of
from ussearch.evaluators.trust import Trust
from ussearch.events import Event, RungChosen, RungMeasured, SearchFinished
from ussearch.hardware_profiles import load_profile
from ussearch.search_spaces import build, load_preset
from ussearch.studies import DataSource, Study, ladder
from ussearch.studies.context import StudyContext
from ussearch.studies.executors import ProcessExecutor
from ussearch.studies.ladder import LadderRecord, LadderSearch, drawn_starts, ladder_path, shared_path
from ussearch.studies.resources import SearchResources
from ussearch.studies.study import logged
from ussearch.studies.timings import SearchTimings, outside_training

pytestmark = pytest.mark.training

SIZE = 32
IMAGES = disc_images(24, SIZE)
SPLIT = disc_split(IMAGES)
PROFILES = {"edge": load_profile("jetson-nano"), "cloud": load_profile("x86-server")}
TRAINER = TrainEvaluator(IMAGES, SPLIT, Recipe(epochs=1, batch_size=4), PROFILES)
SAMPLES = 4


SPACE = small_space(SIZE)


def trust(tau: float) -> Trust:
    return Trust(
        architectures=44,
        tau=tau,
        interval=(tau - 0.1, tau + 0.1),
        macs_tau=0.1,
        quartile_taus=(tau,) * 4,
        ceiling=None,
        regret=0.0,
    )


class Killed(Exception):
    """What a test raises from a listener to stop a search at once."""


def searched(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    taus: list[float],
    *,
    evaluator: str = "auto",
    stop_at: type[Event] | None = None,
    resources: SearchResources | None = None,
) -> tuple[Study, list[Event]]:
    """Create or continue a study; ``taus`` are what the rungs are said to reach, in order."""
    monkeypatch.setattr(ladder, "SAMPLES", SAMPLES)
    monkeypatch.setattr(ladder, "PROMOTED", 1)
    given = iter(taus)
    monkeypatch.setattr(ladder, "measure_trust", lambda *_, **__: trust(next(given)))
    space = SPACE
    config = study_config(
        **{
            "trials": SAMPLES + 5,
            "image_size": SIZE,
            "edge": PROFILES["edge"],
            "cloud": PROFILES["cloud"],
            "recipe": TRAINER.recipe,
            "data": DataSource(name="discs", reader="discs", root="", fingerprint="f" * 64, images=24),
            "space": dict(space.choices),
            "evaluator": evaluator,
            "shared_epochs": 6,
            "seed": 5,
        }
    )
    study = Study.resume(folder, config) if Study.exists(folder) else Study.create(folder, config, SPLIT)
    told: list[Event] = []

    def tell(event: Event) -> None:
        told.append(event)
        if stop_at is not None and isinstance(event, stop_at):
            raise Killed

    with logged(folder):
        LadderSearch(study, TRAINER, space, (), resources or SearchResources(), tell).run()
    return study, told


def test_the_cheapest_trusted_rung_judges_and_the_best_are_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, told = searched(tmp_path / "study", monkeypatch, [0.2, 0.8])
    rungs = [event.fidelity for event in told if isinstance(event, RungMeasured)]
    chosen = next(event.fidelity for event in told if isinstance(event, RungChosen))
    assert rungs[0] == "drawn" and chosen == rungs[1]  # the first was said to be at 0.2
    assert sum(isinstance(event, SearchFinished) for event in told) == 1
    records = study.trials()
    by_fidelity = Counter(record.evaluation.fidelity for record in records)
    assert by_fidelity == {TRAINED: SAMPLES + 2, chosen: 5}
    assert all(record.evaluation.fidelity == TRAINED for record in records[:SAMPLES])
    assert all(record.role == "edge" for record in records[:SAMPLES])
    promoted = records[SAMPLES + 5 :]
    judged = {record.architecture_id for record in records[SAMPLES : SAMPLES + 5]}
    assert {record.architecture_id for record in promoted} <= judged
    best = max(record.objective or 0 for record in records[SAMPLES : SAMPLES + 5] if record.feasible("edge"))
    assert any(record.objective == best and record.architecture_id == promoted[0].architecture_id for record in records)


def test_where_no_rung_may_be_trusted_everything_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study, told = searched(tmp_path / "study", monkeypatch, [0.1] * 20)
    assert RungChosen(TRAINED) in told
    assert [record.evaluation.fidelity for record in study.trials()] == [TRAINED] * (SAMPLES + 5)
    assert "is below 0.5" in (study.folder / "log.txt").read_text()


@pytest.mark.slow
def test_shared_climbs_over_drawn_rungs_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, told = searched(tmp_path / "study", monkeypatch, [0.1] * 20, evaluator="shared")
    assert all(event.fidelity.startswith("drawn") for event in told if isinstance(event, RungMeasured))


@pytest.mark.slow
def test_a_killed_ladder_goes_on_to_the_same_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = searched(tmp_path / "whole", monkeypatch, [0.2, 0.8])
    for stop in (RungMeasured, RungChosen):
        with pytest.raises(Killed):
            searched(tmp_path / "killed", monkeypatch, [0.2, 0.8], stop_at=stop)
    killed, _ = searched(tmp_path / "killed", monkeypatch, [0.2, 0.8])
    assert outcome(killed) == outcome(whole)
    kept = [LadderRecord.model_validate(schema.LADDER.read(ladder_path(each))) for each in (killed, whole)]
    assert kept[0].chosen == kept[1].chosen and kept[0].rungs[0].selections == kept[1].rungs[0].selections
    assert shared_path(killed).exists() and not shared_path(killed).with_suffix(".checkpoint").exists()


@pytest.mark.slow
def test_workers_find_what_one_process_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, _ = searched(tmp_path / "here", monkeypatch, [0.2, 0.8])
    resources = SearchResources(lambda evaluator: ProcessExecutor(evaluator, 2, 1))
    there, _ = searched(tmp_path / "there", monkeypatch, [0.2, 0.8], resources=resources)
    assert outcome(there) == outcome(here)
    rungs = [LadderRecord.model_validate(schema.LADDER.read(ladder_path(each))).rungs for each in (here, there)]
    assert [rung.selections for rung in rungs[0]] == [rung.selections for rung in rungs[1]]


def test_finalists_may_start_from_what_they_draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study, _ = searched(tmp_path / "study", monkeypatch, [0.1] * 20)
    study_context = cast(StudyContext, SimpleNamespace(images=IMAGES, split=SPLIT))
    start = drawn_starts(study, study_context)
    assert start is not None
    store = WeightStore.load(shared_path(study))
    covered = [each for each in map(SPACE.sample, range(30)) if store.covers(drawing_of(each))]
    network = build(covered[0])
    network.load_state_dict(start(covered[0]) or {}, strict=True)
    assert start(load_preset("unext").architecture.for_task()) is None
    shared_path(study).unlink()
    assert drawn_starts(study, study_context) is None


def outcome(study: Study) -> list[Any]:
    return [(r.trial_id, r.role, r.architecture_id, r.evaluation.fidelity, r.objective) for r in study.trials()]


@pytest.mark.parametrize("drawn", [False, True])
def test_fidelities_name_their_rung(drawn: bool) -> None:
    for rung in (*usual_ladder(400, drawn=drawn), FULL, Rung(drawn=True, steps=None)):
        assert Rung.named(rung.fidelity) == rung
    assert all(rung.steps is not None and rung.steps <= 50 for rung in usual_ladder(400, drawn=drawn))
    with pytest.raises(ValueError, match="of no rung"):
        Rung.named("trained 3 of 9 epochs")


def test_a_preset_outside_the_space_has_no_drawn_score() -> None:
    store = WeightStore()
    store.grow(drawing_of(SPACE.sample(0)))
    judge = RungEvaluator(TRAINER, Rung(drawn=True, steps=0), store)
    preset = load_preset("unext").architecture.for_task()
    assert judge.refused(preset, "cloud")
    found = judge.evaluate(TrainingTask(preset, 0))
    assert found.objective is None and "the shared weights" in (found.failure or "")


def test_a_drawn_score_is_that_of_the_drawn_network() -> None:
    """The same weights in a network built the usual way, judged by the trainer's own means."""
    store = WeightStore(seed=4)
    architecture = SPACE.sample(0)
    store.grow(drawing_of(architecture))
    judge = RungEvaluator(TRAINER, Rung(drawn=True, steps=0), store)
    first, second = (judge.evaluate(TrainingTask(architecture, seed)) for seed in (0, 1))
    assert first.metrics == second.metrics and first.epochs == 0
    steps = RungEvaluator(TRAINER, Rung(drawn=True, steps=3), store).evaluate(TrainingTask(architecture, 0))
    scratch = RungEvaluator(TRAINER, Rung(drawn=False, steps=3)).evaluate(TrainingTask(architecture, 0))
    assert (steps.fidelity, scratch.fidelity) == ("drawn + 3 steps", "3 steps")
    assert steps.metrics != scratch.metrics
    assert steps.weights is not None and store.covers(drawing_of(architecture))


def test_options_that_contradict_each_other() -> None:
    with pytest.raises(UserError, match="--evaluator atuo is not possible: expected 'train', 'shared' or 'auto'"):
        run_config(evaluator="atuo")
    with pytest.raises(UserError, match="two ways to train less"):
        run_config(evaluator="auto", halving=True)


def test_what_the_driver_trains_apart_from_trials_is_training() -> None:
    now_s = [100.0]
    timings = SearchTimings(workers=2, clock=lambda: now_s[0])
    timings.staffed(2, ending=False)
    now_s[0] += 3
    timings.evaluation_s = 5.0
    timings.staffed(0, ending=True)
    with timings.aside():
        now_s[0] += 20
    timings.staffed(2, ending=False)
    assert (timings.aside_s, timings.wall_s, timings.ending_s) == (20, 3, 0)
    assert outside_training({"search": 25.0}, timings) == (0.5 + 2) / 25, "one of six worker-seconds, and two unseen"


def test_stages_that_train_are_no_overhead() -> None:
    seconds = {"plan": 1.0, "full training": 50.0, "compress": 20.0, "route": 27.0, "export": 1.5, "verify": 0.5}
    assert outside_training(seconds, SearchTimings()) == pytest.approx(0.03)
