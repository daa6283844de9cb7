"""What a terminal gets, and what everything else gets: moving pictures here, plain lines there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ussearch.studies import Study

from .conftest import TINY_RUN
from .terminal import ESCAPE, HIDE_CURSOR, SHOW_CURSOR, on_a_terminal

pytestmark = pytest.mark.slow


def run_of(data: Path, study: Path) -> tuple[object, ...]:
    return ("run", "--profile", "jetson-nano", "--data", data, "--study", study, *TINY_RUN, "--workers", 1)


@pytest.mark.parametrize("columns", [80, 140])
def test_a_run_draws_its_front_on_a_terminal(tiny_data: Path, tmp_path: Path, columns: int) -> None:
    session = on_a_terminal(*run_of(tiny_data, tmp_path / "s"), columns=columns)
    assert session.status == 0, session.text[-2000:]
    assert session.raw.count(HIDE_CURSOR) == session.raw.count(SHOW_CURSOR) >= 1
    assert session.raw.rindex(SHOW_CURSOR) > session.raw.rindex(HIDE_CURSOR)
    drawn, after = session.text.split("Pair: trial", 1)
    assert "objective (upper left is better)" in drawn and "of 4 trials, now" in drawn
    assert "accepted by ussearch verify" in " ".join(after.split())
    trials = [line for line in session.text.split("\n") if line.startswith("    0 ")]
    assert trials and all(len(line.rstrip()) <= columns for line in trials)


@pytest.mark.parametrize("terminate", [False, True], ids=["Ctrl-C", "SIGTERM"])
def test_who_is_stopped_gives_the_terminal_back_and_loses_nothing(
    terminate: bool, tiny_data: Path, tmp_path: Path
) -> None:
    study = tmp_path / "s"
    session = on_a_terminal(*run_of(tiny_data, study), interrupt_at=b"    0 ", terminate=terminate)
    assert session.status == (143 if terminate else 130), session.text[-2000:]
    assert session.raw.rindex(SHOW_CURSOR) > session.raw.rindex(HIDE_CURSOR)
    assert "with --resume continues the study" in " ".join(session.text.split())
    assert "Traceback" not in session.text
    assert [record.trial_id for record in Study.open(study).trials()][:1] == [0]


def test_no_color_means_plain_lines_on_a_terminal(tiny_data: Path, tmp_path: Path) -> None:
    session = on_a_terminal(*run_of(tiny_data, tmp_path / "s"), NO_COLOR="1")
    assert session.status == 0, session.text[-2000:]
    assert not ESCAPE.search(session.raw) and b"\r" not in session.raw.replace(b"\r\n", b"")
    assert "on the front" in session.text and "of 4 trials, now" not in session.text


def test_a_pipe_gets_plain_lines(tiny_data: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ussearch", *map(str, run_of(tiny_data, tmp_path / "s"))]
    finished = subprocess.run(command, capture_output=True, check=True)
    assert not ESCAPE.search(finished.stdout + finished.stderr) and b"\r" not in finished.stdout
    assert b"on the front" in finished.stdout


@pytest.mark.parametrize(("variables", "plain"), [({}, False), ({"NO_COLOR": "1"}, True)])
def test_tables_keep_to_the_terminal(variables: dict[str, str], plain: bool) -> None:
    session = on_a_terminal("profiles", columns=80, **variables)
    assert session.status == 0
    assert bool(ESCAPE.search(session.raw)) != plain
    assert max(len(line) for line in session.text.split("\n")) <= 80
