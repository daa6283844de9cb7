"""How every command may end, through the real command line as a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "0f14119"
ROOT = Path(__file__).resolve().parents[2]
FAULTY = """
import sys
from ussearch.cli import main
{fault}
main()
"""
A_DEFECT = """
import ussearch.{module} as module
def defect(*_, **__):
    raise TypeError("a defect\\nover postgresql://me:{password}@host/name")
module.{name} = defect
"""
KILLED = """
import os, signal
import ussearch.{module} as module
def stopped(*_):
    os.kill(os.getpid(), signal.{signal})
    while True:
        signal.pause()
module.{name} = stopped
"""


def ended(*arguments: object, fault: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``ussearch ARGUMENTS`` in a process in which ``fault`` was done before."""
    command = [sys.executable, "-c", FAULTY.format(fault=fault), *map(str, arguments)]
    paths = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **paths, **environment}
    )


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return shutil.copytree(FIXTURE / "study", tmp_path / "study")


def said_of_old_keys(stderr: str) -> bool:
    (line,) = stderr.splitlines()
    return line.startswith("ussearch: JSON keys with new names stand under their old ones, too, until 0.4.0: ")


def test_0_and_pure_json(study: Path) -> None:
    done = ended("pareto", study, "--json")
    assert done.returncode == 0
    assert said_of_old_keys(done.stderr)
    assert json.loads(done.stdout)["finished"] == 3


def test_1_where_an_inspecting_command_says_no() -> None:
    done = ended("check", FIXTURE / "bundle" / "cloud" / "model.onnx", "--profile", "jetson-nano", "--json")
    assert done.returncode == 1 and said_of_old_keys(done.stderr)
    assert [finding["rule"] for finding in json.loads(done.stdout)] == ["opset"]


def test_2_where_the_user_can_mend_it(tmp_path: Path) -> None:
    done = ended("pareto", tmp_path, "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("ussearch: ") and done.stderr.count("\n") == 1
    assert ended("pareto", "--nonsense").returncode == 2


def test_70_for_a_defect_with_its_traceback_in_the_study(study: Path) -> None:
    fault = A_DEFECT.format(module="studies.pareto", name="pareto_report", password="secret")
    done = ended("pareto", study, "--json", fault=fault)
    assert (done.returncode, done.stdout) == (70, "")
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    assert "unexpected TypeError (a defect over postgresql://me:***@host/name)" in done.stderr
    log = study / "error.log"
    assert str(log) in done.stderr
    text = log.read_text()
    assert "Traceback (most recent call last)" in text and "in defect" in text and "cli/pareto.py" in text
    assert "pareto" in text.splitlines()[0] and text.rstrip().endswith(
        "TypeError: a defect\nover postgresql://me:***@host/name"
    )
    assert "secret" not in text + done.stderr


def test_70_is_told_where_there_is_no_study(tmp_path: Path) -> None:
    fault = A_DEFECT.format(module="search_spaces.presets", name="load_preset", password="x")
    fault += "\nimport ussearch.search_spaces as rooms\nrooms.load_preset = defect"
    done = ended("presets", fault=fault, XDG_STATE_HOME=str(tmp_path))
    assert done.returncode == 70
    log = tmp_path / "ussearch" / "error.log"
    assert str(log) in done.stderr and "TypeError: a defect" in log.read_text()
    (tmp_path / "file").write_text("no folder")
    done = ended("presets", fault=fault, XDG_STATE_HOME=str(tmp_path / "file"), TMPDIR=str(tmp_path))
    assert done.returncode == 70
    (last,) = tmp_path.glob("ussearch-*.log")
    assert str(last) in done.stderr and "TypeError: a defect" in last.read_text()


def test_70_in_a_run_that_named_no_study(tmp_path: Path) -> None:
    fault = A_DEFECT.format(module="pipeline", name="choose_pair", password="x")
    run = ("run", "--profile", "raspberry-pi-4", "--phantoms", 48, "--image-size", 32, "--trials", 1, "--epochs", 1)
    start = f"import os\nos.chdir({str(tmp_path)!r})\n"
    done = ended(*run, "--threads", 1, "--seed-presets", "cea-net-standin", "--json", fault=start + fault)
    assert (done.returncode, done.stdout) == (70, ""), done.stderr
    (log,) = tmp_path.glob("studies/*/error.log")
    assert str(log.relative_to(tmp_path)) in done.stderr and "TypeError: a defect" in log.read_text()


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_130_and_143_where_it_was_stopped(study: Path, name: str, status: int) -> None:
    fault = KILLED.format(module="studies.pareto", name="pareto_report", signal=name)
    done = ended("pareto", study, "--json", fault=fault)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr == "ussearch: stopped; nothing half-written is left.\n"
    assert not (study / "error.log").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "module", "name"),
    [
        (("threshold", "--false-positives", "10%", "--out", "new"), "variant", "finalize"),
        (("evaluate", "--out", "new.json"), "foreign_data", "evaluate_pair"),
    ],
)
def test_130_where_a_bundle_was_being_judged_anew(
    tiny_study: Path, tiny_data: Path, tmp_path: Path, command: tuple[str, ...], module: str, name: str
) -> None:
    shutil.copytree(tiny_study / "bundle", tmp_path / "bundle")
    fault = f"import os\nos.chdir({str(tmp_path)!r})\n"
    fault += KILLED.format(module=f"pairs.bundles.{module}", name=name, signal="SIGINT")
    done = ended(command[0], "bundle", "--data", tiny_data, *command[1:], fault=fault)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "ussearch: stopped; nothing half-written is left.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_the_statuses_are_those_of_shells() -> None:
    from ussearch.cli.interrupts import INTERRUPTED, TERMINATED

    assert (INTERRUPTED, TERMINATED) == (128 + signal.SIGINT, 128 + signal.SIGTERM)
