"""Searches whose workers are killed, hang or die of what they are given: nothing is lost, nothing counted twice."""

from __future__ import annotations

import itertools
import os
import threading
import time
from functools import partial
from pathlib import Path

import optuna
import psutil
import pytest

from tests.evaluators.conftest import tiny
from tests.studies.conftest import SPACE, SPLIT, make_config, outcome, run_search
from tests.studies.executors.conftest import collected
from tests.studies.executors.troubles import TroubledEvaluator, Unsendable
from ussearch.errors import UserError
from ussearch.evaluators import TrainingTask
from ussearch.events import Event, TrainingEpoch, TrialRepeated
from ussearch.studies import Study, TrialRecord, search
from ussearch.studies.executors import LocalExecutor, ProcessExecutor
from ussearch.studies.resources import SearchResources
from ussearch.studies.suggest import derived_seed
from ussearch.studies.timings import SearchTimings

TRIALS = 14
WORKERS = 2


def workers_left() -> list[psutil.Process]:
    """Return worker processes that are still there; a Ray cluster of other tests' is none of theirs."""
    children = psutil.Process().children(recursive=True)
    return [each for each in children if "ussearch.studies.executors.worker_process" in " ".join(each.cmdline())]


def seed_of(trial_id: int) -> int:
    return derived_seed(make_config().seed, trial_id, 1)


def resources(limit_s: float | None = None) -> SearchResources:
    """Two processes, for formula figures in milliseconds."""
    return SearchResources(lambda evaluator: ProcessExecutor(evaluator, WORKERS), limit_s=lambda architecture: limit_s)


def assert_each_once(study: Study, records: tuple[TrialRecord, ...]) -> None:
    assert [record.trial_id for record in records] == list(range(len(records)))
    assert study.trials() == records
    loaded = optuna.load_study(study_name="search", storage=f"sqlite:///{study.folder / 'study.db'}")
    assert sorted(trial.user_attrs["trial_id"] for trial in loaded.trials) == [record.trial_id for record in records]
    assert all(trial.state.is_finished() for trial in loaded.trials)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrialRecord, ...]:
    """What two workers must find, found by one that cannot be overtaken: in this process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return run_search(folder / "s", TroubledEvaluator(folder), trials=TRIALS, workers=WORKERS)[1]


def test_lost_trials_are_repeated_and_the_study_is_the_same(
    tmp_path: Path, undisturbed: tuple[TrialRecord, ...]
) -> None:
    """One worker is killed from outside in the middle of a trial, one kills itself, one hangs; a GPU is full, and one
    reports an error that spoils its worker."""
    troubles = {
        seed_of(1): ("hang", 1),
        seed_of(4): ("killed", 1),
        seed_of(6): ("hang", 1),
        seed_of(9): ("out of memory on the GPU", 1),
        seed_of(11): ("spoilt", 1),
    }
    evaluator = TroubledEvaluator(tmp_path, troubles)
    study = Study.create(tmp_path / "s", make_config(trials=TRIALS, workers=WORKERS), SPLIT)
    repeated: dict[int, str] = {}

    def on_event(event: Event) -> None:
        if isinstance(event, TrialRepeated):
            repeated[event.trial_id] = event.reason
        if isinstance(event, TrainingEpoch) and event.trial_id == 1 and 1 not in repeated:
            psutil.Process(int((tmp_path / f"{seed_of(1)}.1").read_text())).kill()

    records = search(study, evaluator, SPACE, on_event=on_event, resources=resources(limit_s=4))
    assert outcome(records) == outcome(undisturbed)
    assert not any(record.failed for record in records)
    assert_each_once(study, records)
    assert set(repeated) == {1, 4, 6, 9, 11}
    assert "SIGKILL" in repeated[1] and "SIGKILL" in repeated[4]
    assert "time limit of 4 s (--trial-timeout)" in repeated[6] and "CUDA out of memory" in repeated[9]
    assert "ended with status 1" in repeated[11] and "device-side assert" in repeated[11]
    assert "SpoiltProcess" in (study.trial_folder(11) / "traceback.txt").read_text()
    assert [evaluator.attempts(seed_of(trial_id)) for trial_id in range(TRIALS)].count(2) == 5
    assert not workers_left()


@pytest.mark.slow
def test_trials_lost_twice_are_failed_with_the_reason_and_the_search_goes_on(tmp_path: Path) -> None:
    troubles = {seed_of(0): ("killed", 9), seed_of(2): ("crash", 9), seed_of(3): ("memory", 9)}
    evaluator = TroubledEvaluator(tmp_path, troubles)
    study, records = run_search(tmp_path / "s", evaluator, trials=5, workers=WORKERS, resources=resources())
    assert_each_once(study, records)
    failures = {record.trial_id: record.evaluation.failure or "" for record in records if record.failed}
    assert set(failures) == {0, 2, 3}
    assert all(failure.startswith("given up after a second try: ") for failure in failures.values())
    assert "SIGKILL" in failures[0] and "SIGABRT" in failures[2] and "no room for 7 TiB" in failures[3]
    assert [evaluator.attempts(seed_of(trial_id)) for trial_id in range(5)] == [2, 1, 2, 2, 1]
    assert "trial 0 is tried again" in (study.folder / "log.txt").read_text()


def test_the_whole_traceback_of_a_lost_trial_stays_in_its_folder(tmp_path: Path) -> None:
    evaluator = TroubledEvaluator(tmp_path, {seed_of(1): ("bug", 1), seed_of(2): ("memory", 9)})
    study, records = run_search(tmp_path / "s", evaluator, trials=4)
    assert [record.failed for record in records] == [False, False, True, False]
    assert [path.parent.name for path in sorted(study.folder.glob("trials/*/traceback.txt"))] == ["0001", "0002"]
    once = (study.trial_folder(1) / "traceback.txt").read_text()
    assert once.startswith("Traceback (most recent call last):") and "in _fail" in once
    assert once.count("TypeError: this is\na defect") == 1
    twice = (study.trial_folder(2) / "traceback.txt").read_text()
    assert twice.count("Traceback (most recent call last):") == twice.count("MemoryError: no room for 7 TiB") == 2


def test_what_a_worker_said_before_its_end_is_kept_whole(tmp_path: Path) -> None:
    executor = ProcessExecutor(TroubledEvaluator(tmp_path, {1: ("talking crash", 1)}), 1)
    executor.submit(TrainingTask(tiny(), 1, 1))
    outcomes, _ = collected(executor, 1)
    executor.close()
    assert "SIGABRT" in outcomes[1].reason
    reason, *said = outcomes[1].traceback.splitlines()
    assert reason == outcomes[1].reason
    assert said[:2000] == [f"line {number} of what it said" for number in range(2000)]


def test_workers_that_cannot_start_end_the_search(tmp_path: Path) -> None:
    executor = ProcessExecutor(Unsendable(), 3)
    for trial_id in range(3):
        executor.submit(TrainingTask(tiny(), trial_id, trial_id))
    with pytest.raises(UserError, match=r"No worker process can be started.*no such driver.*--resume"):
        collected(executor, 1)
    executor.close()
    assert not workers_left()


def test_as_many_drafts_ahead_as_the_number_of_workers_allows(tmp_path: Path) -> None:
    """The same for any executor: the lag is the configuration's, not the machine's."""

    class Watching(LocalExecutor):
        most = 0

        def submit(self, task: TrainingTask) -> None:
            super().submit(task)
            self.most = max(self.most, len(self._tasks))

    found = {}
    for workers in (1, 3):
        made: list[Watching] = []

        def make(evaluator: object, made: list[Watching] = made) -> Watching:
            made.append(Watching(evaluator))  # type: ignore[arg-type]
            return made[0]

        folder = tmp_path / str(workers)
        folder.mkdir()
        evaluator = TroubledEvaluator(folder)
        _, records = run_search(folder / "s", evaluator, trials=16, workers=workers, resources=SearchResources(make))
        found[workers] = outcome(records)
        assert made[0].most == 1 + 4 * (workers - 1)
        assert len({record.architecture_id for record in records}) == 16
    assert found[1][0] == found[3][0] and found[1] != found[3]


def test_another_number_of_workers_is_another_study(tmp_path: Path) -> None:
    study, _ = run_search(tmp_path / "s", trials=1, workers=2)
    with pytest.raises(UserError, match="another number of workers"):
        Study.resume(study.folder, study.config.changed(execution={"workers": 1}))
    text = (study.folder / "study.yaml").read_text()
    (study.folder / "study.yaml").write_text(text.replace("    workers: 2\n", ""))
    assert Study.open(study.folder).config.workers == 1  # studies from before there were workers


def test_time_is_accounted_for(tmp_path: Path) -> None:
    """By a clock that is a second on whenever it is read."""
    readings = itertools.count()
    clock = partial(next, readings)
    timings = SearchTimings(clock=clock)
    resources = SearchResources(partial(LocalExecutor, clock=clock), timings=timings)
    run_search(tmp_path / "s", TroubledEvaluator(tmp_path), trials=6, resources=resources)
    assert set(timings.driver_s) == {"opening", "drafting", "handing out", "waiting", "keeping"}
    assert sum(timings.driver_s.values()) < timings.wall_s < next(readings)
    assert timings.evaluation_s == 6 < timings.driver_s["waiting"], "read when a trial begins and when it ends"
    everything = timings.evaluation_s + timings.starting_s + timings.lacking_s + timings.moving_s + timings.ending_s
    assert everything == timings.wall_s and timings.moving_s > 0
    assert timings.lacking_s > timings.driver_s["drafting"] > 0 and timings.starting_s > 0


def test_submitting_does_not_wait_and_closing_ends_a_hanging_worker(tmp_path: Path) -> None:
    executor = ProcessExecutor(TroubledEvaluator(tmp_path, {1: ("hang", 1)}), 1)
    executor.submit(TrainingTask(tiny(), 1, 0))  # returns though the task hangs
    collector = threading.Thread(target=lambda: executor.collect(lambda message: None), daemon=True)
    collector.start()
    while not (tmp_path / "1.1").exists():
        time.sleep(0.05)
    (pid,) = executor.pids
    assert pid != os.getpid()
    executor.close()
    assert not psutil.pid_exists(pid)
