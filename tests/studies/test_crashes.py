"""Real processes, really killed: nothing finished is lost, and the resumed study equals the undisturbed one."""

from __future__ import annotations

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
from ussearch.studies import Study

ROOT = Path(__file__).resolve().parents[2]
TRIALS = 4


def command(folder: Path, *extra: str) -> list[str]:
    return [sys.executable, "-m", "tests.studies.driver", str(folder), str(TRIALS), *extra]


def drive(folder: Path, *extra: str) -> subprocess.CompletedProcess[str]:
    """Run the driver to its end."""
    return subprocess.run(command(folder, *extra), cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


@contextmanager
def driving(folder: Path, until: str) -> Iterator[subprocess.Popen[str]]:
    """Start the driver and wait until it prints a line that begins with ``until``."""
    with subprocess.Popen(
        command(folder), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(until):
                break
        yield process


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("undisturbed") / "study"
    result = drive(folder)
    assert result.returncode == 0, result.stderr
    return Study.open(folder)


def assert_same_study(folder: Path, undisturbed: Study) -> None:
    """Check records, weights and database against those of the undisturbed study."""
    study = Study.open(folder)
    assert outcome(study.trials()) == outcome(undisturbed.trials())
    for slot in range(TRIALS):
        weights = [each.trial_folder(slot) / "weights.safetensors" for each in (study, undisturbed)]
        assert weights[0].read_bytes() == weights[1].read_bytes()
    trials = optuna.load_study(study_name="search", storage=f"sqlite:///{folder / 'study.db'}").trials
    complete = [trial for trial in trials if trial.state == optuna.trial.TrialState.COMPLETE]
    assert sorted(trial.user_attrs["slot"] for trial in complete) == list(range(TRIALS))
    assert all(trial.state.is_finished() for trial in trials)
    assert not (folder / "lock.json").exists()


def test_killed_again_and_again_while_trials_are_written(tmp_path: Path, undisturbed: Study) -> None:
    folder = tmp_path / "study"
    kept = {"weights.safetensors:1": 1, "record.json:1": 1, "tell:1": 2, "told:2": 3}
    seen: dict[Path, int] = {}
    for crash, finished in kept.items():
        result = drive(folder, crash)
        assert result.returncode == -signal.SIGKILL, result.stderr
        assert [record.slot for record in Study.open(folder).trials()] == list(range(finished))
        assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in seen.items())
        seen = {path: path.stat().st_mtime_ns for path in folder.glob("trials/*/record.json")}
    result = drive(folder)
    assert result.returncode == 0, result.stderr
    assert_same_study(folder, undisturbed)


def test_killed_in_training_and_resumed_at_once(tmp_path: Path, undisturbed: Study) -> None:
    folder = tmp_path / "study"
    with driving(folder, "epoch of trial 2") as process:
        process.kill()
    killed = time.monotonic()
    with driving(folder, "epoch of trial") as process:
        assert time.monotonic() - killed < 15  # includes the import of torch on a busy machine
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
    assert drive(folder).returncode == 0
    assert_same_study(folder, undisturbed)


def test_a_second_driver_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    with driving(folder, "epoch of trial 0") as process:
        os.kill(process.pid, signal.SIGSTOP)
        try:
            second = drive(folder)
        finally:
            os.kill(process.pid, signal.SIGCONT)
        assert second.returncode == 2
        assert f"process {process.pid}" in second.stderr
        process.kill()
