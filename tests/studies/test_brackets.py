"""Searches in brackets with real training: checkpoints are continued, kills change nothing, fidelities stay apart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

from tests.configurations import study_config
from tests.evaluators.conftest import disc_images, disc_split, tiny
from tests.studies.conftest import outcome
from ussearch.errors import UserError
from ussearch.evaluators import Recipe, TrainEvaluator, TrainingTask
from ussearch.evaluators.evaluation import highest, standing, trained_part
from ussearch.events import Event, TrainingEpoch
from ussearch.hardware_profiles import load_profile
from ussearch.pairs.delivery.export_pair import choose_pair
from ussearch.search_spaces import FreeSpace
from ussearch.studies import DataSource, Study, front, front_hypervolume, search
from ussearch.studies.executors import EXECUTORS, ExecutorSettings
from ussearch.studies.halving import Halving
from ussearch.studies.pareto import pareto_report
from ussearch.studies.resources import SearchResources

pytestmark = pytest.mark.training

ROOT = Path(__file__).resolve().parents[2]
TRIALS = 6
SEED = tiny().model_copy(update={"name": "seed"})


def drive(
    folder: Path,
    die_at: tuple[int, int] | None = None,
    trials: int = TRIALS,
    workers: int = 1,
    resources: SearchResources | None = None,
) -> list[tuple[int, int]]:
    """Create or resume a study in brackets of four and return the (slot, epoch) that were trained, in order."""
    torch.set_num_threads(1)
    images, space = disc_images(), FreeSpace.standard(32)
    profiles = {"edge": load_profile("jetson-nano"), "cloud": load_profile("x86-server")}
    recipe = Recipe(epochs=4, batch_size=8)
    config = study_config(
        trials=trials,
        image_size=32,
        **profiles,
        recipe=recipe,
        halving=Halving(eta=2, rungs=3),
        data=DataSource.of(images),
        space=dict(space.choices),
        initial_architectures=(SEED.name,),
        edge_share=1.0,
        seed=3,
        workers=workers,
    )
    split = disc_split(images)
    trained: list[tuple[int, int]] = []

    def on_event(event: Event) -> None:
        if isinstance(event, TrainingEpoch):
            trained.append((event.trial_id, event.record.epoch))
            if trained[-1] == die_at:
                os.kill(os.getpid(), signal.SIGKILL)

    study = Study.resume(folder, config) if Study.exists(folder) else Study.create(folder, config, split, images)
    evaluator = TrainEvaluator(images, split, recipe, profiles)  # type: ignore[arg-type]  # names are ends
    search(study, evaluator, space, [SEED], on_event, resources=resources)
    return trained


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[int, int]]]:
    folder = tmp_path_factory.mktemp("brackets") / "study"
    return folder, drive(folder)


def test_no_epoch_is_trained_twice_and_only_the_best_go_on(undisturbed: tuple[Path, list[tuple[int, int]]]) -> None:
    folder, trained = undisturbed
    assert max(Counter(trained).values()) == 1
    records = Study.open(folder).trials()
    assert len(records) == TRIALS
    # NOTE: a bracket of four is trained to 1, 2 and 4 epochs; of the last one, with two slots, each rung promotes one.
    lengths = Counter((record.trial_id // 4, len(record.evaluation.history)) for record in records)
    assert lengths == {(0, 1): 2, (0, 2): 1, (0, 4): 1, (1, 1): 1, (1, 4): 1}
    for record in records:
        epochs = len(record.evaluation.history)
        assert record.evaluation.fidelity == ("trained" if epochs == 4 else f"trained {epochs} of 4 epochs")
        assert Study.open(folder).network(record.trial_id) is not None
    assert not list(folder.rglob("checkpoint*"))


def test_the_promoted_are_as_if_trained_at_once(undisturbed: tuple[Path, list[tuple[int, int]]]) -> None:
    study = Study.open(undisturbed[0])
    images = disc_images()
    profiles = {"edge": study.config.edge, "cloud": study.config.cloud}
    evaluator = TrainEvaluator(images, disc_split(images), study.config.recipe, profiles)  # type: ignore[arg-type]
    promoted = [each for each in study.trials() if each.evaluation.fidelity == "trained"]
    assert len(promoted) == 2
    for record in promoted:
        again = evaluator.evaluate(TrainingTask(study.architecture(record.trial_id), record.evaluation.seed))
        assert again.objective == record.objective
        kept = study.network(record.trial_id).state_dict()
        assert again.weights is not None
        assert all(torch.equal(value, kept[name]) for name, value in again.weights.items())


KILLED = """
import sys
from pathlib import Path
from tests.studies.test_brackets import drive
drive(Path(sys.argv[1]), (int(sys.argv[2]), int(sys.argv[3])))
"""


@pytest.mark.slow
def test_killed_at_every_rung_and_resumed_equals_undisturbed(
    tmp_path: Path, undisturbed: tuple[Path, list[tuple[int, int]]]
) -> None:
    folder = tmp_path / "study"
    last = max(undisturbed[1], key=lambda each: (each[1], -each[0]))
    for trial_id, epoch in ((2, 1), last):
        child = subprocess.run(
            [sys.executable, "-c", KILLED, str(folder), str(trial_id), str(epoch)],
            cwd=ROOT,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert child.returncode == -signal.SIGKILL
    drive(folder)
    one, other = Study.open(folder), Study.open(undisturbed[0])
    assert outcome(one.trials()) == outcome(other.trials())
    for trial_id in range(TRIALS):
        weights = [each.trial_folder(trial_id) / "weights.safetensors" for each in (one, other)]
        assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["process", "ray"])
def test_workers_continue_each_others_checkpoints_to_the_same_study(
    executor: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Whoever trains a candidate on: the study is that of one process that is fed as late as two workers are."""
    address = request.getfixturevalue("cluster").address if executor == "ray" else None
    settings = ExecutorSettings(workers=2, ray_address=address)
    resources = SearchResources(lambda evaluator: EXECUTORS[executor](evaluator, settings))
    trained = drive(tmp_path / "two", trials=10, workers=2, resources=resources)
    assert max(Counter(trained).values()) == 1
    drive(tmp_path / "one", trials=10, workers=2)
    two, one = Study.open(tmp_path / "two"), Study.open(tmp_path / "one")
    assert outcome(two.trials()) == outcome(one.trials())
    for trial_id in range(10):
        weights = [each.trial_folder(trial_id) / "weights.safetensors" for each in (two, one)]
        assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_study_that_asks_for_more_trials_fills_its_last_bracket_up(
    tmp_path: Path,
) -> None:
    drive(tmp_path / "study", trials=5)
    drive(tmp_path / "study", trials=7)
    assert [record.trial_id for record in Study.open(tmp_path / "study").trials()] == list(range(7))


def test_fidelities_are_never_compared(undisturbed: tuple[Path, list[tuple[int, int]]]) -> None:
    study = Study.open(undisturbed[0])
    records = study.trials()
    full = [record for record in records if record.evaluation.fidelity == "trained"]
    of_all, of_full = (front_hypervolume(each, study.config.edge, study.config.image_size) for each in (records, full))
    assert of_all == of_full
    assert front(records) == front(full) and front(full)
    stopped = [record for record in records if record.evaluation.fidelity != "trained"]
    assert {record.evaluation.fidelity for record in front(stopped)} == {"trained 2 of 4 epochs"}
    drawn = [
        record.model_copy(update={"evaluation": record.evaluation.model_copy(update={"fidelity": "drawn"})})
        for record in stopped
    ]
    both = {(record.trial_id, record.evaluation.fidelity) for record in front([*full, *drawn])}
    assert both == {(record.trial_id, record.evaluation.fidelity) for record in (*front(full), *front(drawn))}
    report = pareto_report(study)
    assert report.mixed and "trained 1 of 4 epochs; " in report.fidelity
    pair = choose_pair(study)
    assert {pair.edge.number, pair.cloud.number} == {record.trial_id for record in full}


def test_a_checkpoint_that_outlived_its_record_is_removed(tmp_path: Path) -> None:
    drive(tmp_path / "study", trials=1)
    leftover = Study.open(tmp_path / "study").checkpoint(0)
    leftover.write_bytes(b"killed just after the record was written")
    drive(tmp_path / "study", trials=1)
    assert not leftover.exists()


def test_halving_is_part_of_the_study(tmp_path: Path, undisturbed: tuple[Path, list[tuple[int, int]]]) -> None:
    config = Study.open(undisturbed[0]).config
    with pytest.raises(UserError, match="another successive halving"):
        Study.resume(undisturbed[0], config.model_copy(update={"halving": None}))


def test_fidelities_are_ordered_by_how_much_was_trained() -> None:
    ordered = ["drawn", trained_part(2, 18), trained_part(6, 18), "trained"]
    assert [round(standing(each), 2) for each in ordered] == [0, 0.11, 0.33, 1]
    assert highest(ordered) == "trained" and highest(ordered[:3]) == ordered[2] and highest([]) is None
