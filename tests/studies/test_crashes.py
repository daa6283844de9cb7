"""Real processes, really killed: nothing finished is lost, and the resumed study equals the undisturbed one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import pytest

from tests.studies.conftest import outcome
from tests.studies.driver import drive
from ussearch.studies import Study

ROOT = Path(__file__).resolve().parents[2]
TRIALS = 3


def status_of_driver(folder: Path, crash: str = "") -> int:
    """Run the driver to its end as a process of its own, forked: it needs to import nothing again."""

    def work() -> None:
        sys.exit(drive(folder, TRIALS, crash))

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(120)
    return process.exitcode if process.exitcode is not None else 1


@contextmanager
def driving(folder: Path, until: str) -> Iterator[subprocess.Popen[str]]:
    """Start the driver and wait until it prints a line that begins with ``until``."""
    command = [sys.executable, "-m", "tests.studies.driver", str(folder), str(TRIALS)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(until):
                break
        yield process


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("undisturbed") / "study"
    assert status_of_driver(folder) == 0
    return Study.open(folder)


def assert_same_study(folder: Path, undisturbed: Study) -> None:
    """Check records, weights and database against those of the undisturbed study."""
    study = Study.open(folder)
    assert outcome(study.trials()) == outcome(undisturbed.trials())
    for trial_id in range(TRIALS):
        weights = [each.trial_folder(trial_id) / "weights.safetensors" for each in (study, undisturbed)]
        assert weights[0].read_bytes() == weights[1].read_bytes()
    trials = optuna.load_study(study_name="search", storage=f"sqlite:///{folder / 'study.db'}").trials
    complete = [trial for trial in trials if trial.state == optuna.trial.TrialState.COMPLETE]
    assert sorted(trial.user_attrs["trial_id"] for trial in complete) == list(range(TRIALS))
    assert all(trial.state.is_finished() for trial in trials)
    assert not (folder / "lock.json").exists()


def test_killed_again_and_again_while_trials_are_written(tmp_path: Path, undisturbed: Study) -> None:
    folder = tmp_path / "study"
    kept = {"weights.safetensors:1": 1, "record.json:1": 1, "tell:1": 2, "told:2": 3}
    seen: dict[Path, int] = {}
    for crash, finished in kept.items():
        assert status_of_driver(folder, crash) == -signal.SIGKILL
        assert [record.trial_id for record in Study.open(folder).trials()] == list(range(finished))
        assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in seen.items())
        seen = {path: path.stat().st_mtime_ns for path in folder.glob("trials/*/record.json")}
    assert status_of_driver(folder) == 0
    assert_same_study(folder, undisturbed)


def test_killed_in_training_and_resumed_at_once(tmp_path: Path, undisturbed: Study) -> None:
    folder = tmp_path / "study"
    with driving(folder, "epoch of trial 1") as process:
        process.kill()
    killed = time.monotonic()
    with driving(folder, "epoch of trial") as process:
        assert time.monotonic() - killed < 60  # nothing waits for a heartbeat; importing torch takes what it takes
        assert process.wait(60) == 0
    assert_same_study(folder, undisturbed)


def test_interrupt_stops_cleanly(tmp_path: Path, undisturbed: Study) -> None:
    folder = tmp_path / "study"
    with driving(folder, "epoch of trial 1") as process:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "--resume" in errors and f"of {TRIALS} trials" in errors and "Traceback" not in errors
    assert not (folder / "lock.json").exists()
    trials = optuna.load_study(study_name="search", storage=f"sqlite:///{folder / 'study.db'}").trials
    assert all(trial.state.is_finished() for trial in trials)
    assert status_of_driver(folder) == 0
    assert_same_study(folder, undisturbed)


def test_a_second_driver_is_refused_while_the_first_lives(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "study"
    with driving(folder, "epoch of trial 0") as process:
        os.kill(process.pid, signal.SIGSTOP)
        try:
            assert status_of_driver(folder) == 2
        finally:
            process.kill()
    assert f"is being worked on by process {process.pid}" in capfd.readouterr().err
