"""The log: what is kept in the study, what is shown, and that nobody else's logging changes."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.evaluators.conftest import tiny
from tests.studies.conftest import FormulaEvaluator
from ussearch import logs
from ussearch.evaluators import TrainingTask
from ussearch.studies.executors import ProcessExecutor
from ussearch.studies.executors.ray_cluster import _evaluated_remotely
from ussearch.studies.executors.serialization import SerializedEvaluator, SerializedOutcome, SerializedTask

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d (DEBUG|INFO|WARNING|ERROR) ussearch(\.\w+)+: .+")
RUN = ("run", "--profile", "jetson-nano", "--phantoms", "40", "--image-size", "64", "--trials", "2", "--epochs", "1")
RUN = (*RUN, "--final-epochs", "1", "--warm-start", "", "--workers", "2", "--no-compress", "--json")


def ussearch(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ussearch", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_is_said_before_there_is_a_study_is_kept_and_without_one_nothing_is_written(tmp_path: Path) -> None:
    path, begun = tmp_path / "log.txt", tmp_path / "study.yaml"
    with logs.listening(logs.LogFile(path, begun), logging.INFO):
        logging.getLogger("ussearch.first").info("early")
        logging.getLogger("ussearch.first").debug("too small")
    assert list(tmp_path.iterdir()) == []
    with logs.listening(logs.LogFile(path, begun), logging.INFO):
        logging.getLogger("ussearch.first").info("early")
        begun.touch()
        logging.getLogger("ussearch.second").warning("late, %d", 3)
        lines = path.read_text().splitlines()
    assert all(LINE.fullmatch(line) for line in lines)
    assert [line.split(" ", 1)[1] for line in lines] == [
        "INFO ussearch.first: early",
        "WARNING ussearch.second: late, 3",
    ]
    logging.getLogger("ussearch.second").warning("afterwards")
    assert path.read_text().splitlines() == lines


@pytest.fixture
def root_at_warning() -> Iterator[None]:
    """The root logger as Python starts it: a library that another test uses may have changed its level."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.WARNING)
    yield
    root.setLevel(level)


@pytest.mark.usefixtures("root_at_warning")
def test_others_get_what_they_got_and_the_tree_is_left_as_it_was(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = (logs.TREE.level, logs.TREE.propagate, list(logs.TREE.handlers))
    begun = tmp_path / "begun"
    begun.touch()
    with (
        pytest.raises(ZeroDivisionError),
        logs.listening(logs.LogFile(tmp_path / "a", begun), logging.DEBUG),
        logs.listening(logs.LogFile(tmp_path / "b", begun), logging.INFO),
    ):
        logging.getLogger("ussearch.part").debug("detail")
        logging.getLogger("ussearch.part").info("step")
        logging.getLogger("ussearch.part").warning("trouble")
        raise ZeroDivisionError
    assert [record.message for record in caplog.records] == ["trouble"]  # the root logger's level is WARNING
    assert [len((tmp_path / name).read_text().splitlines()) for name in "ab"] == [3, 2]
    assert (logs.TREE.level, logs.TREE.propagate, list(logs.TREE.handlers)) == before


@pytest.mark.usefixtures("root_at_warning")
def test_two_that_listen_at_once_may_end_in_any_order(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = (logs.TREE.level, logs.TREE.propagate, list(logs.TREE.handlers))
    (tmp_path / "begun").touch()
    both = [logs.listening(logs.LogFile(tmp_path / each, tmp_path / "begun"), logging.DEBUG) for each in "ab"]
    speaker = logging.getLogger("ussearch.part")
    for each in both:
        each.__enter__()
    speaker.debug("to both")
    both[0].__exit__(None, None, None)
    speaker.debug("to one")
    both[1].__exit__(None, None, None)
    speaker.debug("to none")
    assert [len((tmp_path / each).read_text().splitlines()) for each in "ab"] == [1, 2]
    assert caplog.records == []
    assert (logs.TREE.level, logs.TREE.propagate, list(logs.TREE.handlers)) == before


def test_the_library_is_silent_where_nobody_listens() -> None:
    program = "import logging, ussearch; logging.getLogger('ussearch.any').error('words')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


def test_what_workers_say_arrives_with_its_level_and_logger(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="ussearch"):
        executor = ProcessExecutor(FormulaEvaluator(), 1)
        executor.submit(TrainingTask(tiny(), 4, 4))
        (pid, *_) = (executor.collect(lambda _: None), *executor.pids)[1:]
        executor.close()
    said = [(each.name, each.levelno, each.getMessage()) for each in caplog.records if "worker" in each.getMessage()]
    assert ("ussearch.studies.executors.local", logging.DEBUG, f"worker {pid}: task 4 begins") in said


def test_a_task_on_a_cluster_streams_what_it_says_beside_its_outcome() -> None:
    evaluator = SerializedEvaluator.of(FormulaEvaluator(), same_machine=False)
    handlers = list(logs.TREE.handlers)
    *before, last = _evaluated_remotely(evaluator, 1, SerializedTask.of(TrainingTask(tiny(), 4, 4)), logging.INFO)
    said = [each for each in before if isinstance(each, logs.RemoteRecord)]
    assert [(each.level, each.logger) for each in said] == [(logging.INFO, "ussearch.studies.executors.local")]
    assert said[0].text.startswith("task 4 ends after")
    assert isinstance(last, SerializedOutcome)
    assert logs.TREE.handlers == handlers  # the next task in this process finds the log as this one did


@pytest.mark.parametrize(
    ("words", "levels"),
    [
        (("-vv",), {"INFO", "DEBUG"}),
        pytest.param(("-v",), {"INFO"}, marks=pytest.mark.slow),
        pytest.param((), set(), marks=pytest.mark.slow),
    ],
)
def test_a_run_keeps_a_log_and_shows_as_much_as_was_asked_for(
    words: tuple[str, ...], levels: set[str], tmp_path: Path
) -> None:
    study = tmp_path / "study"
    done = ussearch(*RUN, "--study", study, *words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verified"] is True
    shown = done.stderr.splitlines()
    assert {line.split(" ")[1] for line in shown if LINE.fullmatch(line)} == levels
    kept = (study / "log.txt").read_text().splitlines()
    assert kept and all(LINE.fullmatch(line) for line in kept)
    assert any("INFO ussearch.timetable: plan begins" in line for line in kept)
    assert any("INFO ussearch.studies.search: trial 1 (" in line for line in kept)
    assert any(re.search(r" INFO ussearch.studies.executors.local: worker \d+: task 1 ends", line) for line in kept)
    assert any("worker" in line and "task 0 begins" in line for line in shown) == ("DEBUG" in levels)


@pytest.mark.parametrize("words", ["-q config", "config -q", "-v config -v"])
def test_before_or_after_the_command_standard_output_is_the_same(words: str) -> None:
    plain, asked = ussearch("config"), ussearch(*words.split())
    assert (asked.returncode, asked.stdout) == (0, plain.stdout)


def test_commands_of_groups_take_them_too() -> None:
    assert ussearch("profile", "kit", "--help", "-v").returncode == 0
    assert ussearch("profile", "kit", "-q", "--like", "nothing").returncode == 2
