"""Drivers with worker processes, stopped and killed: no orphans, and the resumed study equals the undisturbed one."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import psutil
import pytest

from tests.studies.conftest import outcome
from ussearch.studies import Study

ROOT = Path(__file__).resolve().parents[3]
TRIALS = 6
WORKERS = 2


@contextmanager
def driving(folder: Path, until: str) -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
    """Start a driver with real training; yield it with its workers once it prints a line that begins with ``until``."""
    command = [sys.executable, "-m", "tests.studies.driver", str(folder), str(TRIALS), "", str(WORKERS)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(until):
                break
        yield process, psutil.Process(process.pid).children(recursive=True)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("undisturbed") / "study"
    with driving(folder, "epoch of trial") as (process, _):
        assert process.wait(180) == 0
    return Study.open(folder)


def assert_same_study(folder: Path, undisturbed: Study) -> None:
    study = Study.open(folder)
    assert outcome(study.trials()) == outcome(undisturbed.trials())
    for trial_id in range(TRIALS):
        weights = [each.trial_folder(trial_id) / "weights.safetensors" for each in (study, undisturbed)]
        assert weights[0].read_bytes() == weights[1].read_bytes()
    trials = optuna.load_study(study_name="search", storage=f"sqlite:///{folder / 'study.db'}").trials
    complete = [trial for trial in trials if trial.state == optuna.trial.TrialState.COMPLETE]
    assert sorted(trial.user_attrs["trial_id"] for trial in complete) == list(range(TRIALS))
    assert all(trial.state.is_finished() for trial in trials)


def assert_gone(workers: list[psutil.Process]) -> None:
    assert len(workers) == WORKERS
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive


@pytest.mark.slow
def test_interrupted_then_killed_then_resumed(tmp_path: Path, undisturbed: Study) -> None:
    folder = tmp_path / "study"
    with driving(folder, "epoch of trial") as (process, workers):
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "--resume" in errors and "Traceback" not in errors
        assert_gone(workers)
    with driving(folder, "epoch of trial") as (process, workers):
        process.kill()
        assert_gone(workers)
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("trials/*/record.json")}
    with driving(folder, "epoch of trial") as (process, workers):
        assert process.wait(180) == 0
        assert_gone(workers)
    assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in kept.items())
    assert_same_study(folder, undisturbed)
