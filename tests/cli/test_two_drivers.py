"""One driver a study: while ``run``, ``export``, ``route``, ``compress`` or ``specialise --out`` works, no other may.

The first driver works in this process; at each stage the second one is a process of its own, through the command line.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import TINY_RUN, Command
from ussearch import pipeline
from ussearch.cli import main
from ussearch.events import Event, StageStarted
from ussearch.pairs.delivery import compression, specialised
from ussearch.pairs.delivery.compression import CompressionRequest
from ussearch.run_config import RunConfig
from ussearch.run_options import config_from


def second_driver(place: Path, *arguments: object) -> tuple[int, str]:
    """Run ``ussearch ARGUMENTS`` as another process; return its status and what it says on standard error."""
    said = place / "second.txt"
    child = os.fork()
    if child == 0:
        status = 70
        try:
            sys.argv = ["ussearch", *map(str, arguments)]
            sys.stdout = sys.stderr = said.open("w")
            main()
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
        finally:
            sys.stderr.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said.read_text()


class Rival:
    """Tries every command on a study that is being worked on, and notes in which stages they were refused."""

    def __init__(self, place: Path, study: Path, data: Path) -> None:
        self.stages: list[str] = []
        self._place, self._study, self._data = place, study, data

    def tries(self, stage: str) -> None:
        """Start each of the commands; all must be refused in one sentence."""
        run = ("run", "--profile", "jetson-nano", "--data", self._data, "--study", self._study, *TINY_RUN)
        commands: list[tuple[object, ...]] = [(*run, "--resume")]
        if (self._study / "study.yaml").exists():
            commands += [(name, self._study) for name in ("export", "route", "compress")]
        for command in commands:
            status, said = second_driver(self._place, *command)
            assert status == 2, (stage, command, said)
            lines = said.strip().splitlines()
            assert f"{self._study} is being worked on by process {os.getpid()}" in " ".join(lines[-1:]), said
            assert "Traceback" not in said
        self.stages.append(stage)

    def hears(self, event: Event) -> None:
        """Try at the beginning of every stage."""
        if isinstance(event, StageStarted):
            self.tries(event.name)


def request_for(study: Path, data: Path, **changes: Any) -> RunConfig:
    tiny = {
        "profile": "jetson-nano",
        "trials": 2,
        "epochs": 1,
        "final_epochs": 1,
        "image_size": 64,
        "threads": 1,
        "pretrained": "off",
    }
    return config_from({**tiny, "data": data, "study": study, **changes})


def test_in_every_stage_of_run(tiny_data: Path, tmp_path: Path) -> None:
    rival = Rival(tmp_path, tmp_path / "study", tiny_data)
    pipeline.run(request_for(tmp_path / "study", tiny_data, budget=1), rival.hears)
    assert rival.stages == ["plan", "search", "full training", "ensemble", "compress", "route", "export", "verify"]
    assert not list(tmp_path.rglob("lock.json"))


@pytest.fixture
def study(tiny_study: Path, tmp_path: Path) -> Path:
    """A finished study without its full trainings, so that every command has work to do."""
    copy = Path(shutil.copytree(tiny_study, tmp_path / "study"))
    shutil.rmtree(copy / "finalists")
    return copy


@pytest.mark.slow
def test_in_every_stage_of_export(study: Path, tiny_data: Path, tmp_path: Path) -> None:
    rival = Rival(tmp_path, study, tiny_data)
    spec = pipeline.ExportRequest(compression=CompressionRequest(steps=("fuse",)))
    pipeline.export(study, spec, on_event=rival.hears)
    assert rival.stages == ["plan", "full training", "ensemble", "compress", "route", "export", "verify"]


def test_while_a_router_is_fitted(study: Path, tiny_data: Path, tmp_path: Path) -> None:
    rival = Rival(tmp_path, study, tiny_data)
    pipeline.route(study, on_event=rival.hears)
    assert rival.stages == ["route"]


def hooked(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, before: Callable[[], None]) -> None:
    """Call ``before`` ahead of a function of a module."""
    original = getattr(module, name)

    def hook(*arguments: Any, **settings: Any) -> Any:
        before()
        return original(*arguments, **settings)

    monkeypatch.setattr(module, name, hook)


def test_while_a_candidate_is_compressed(
    ussearch: Command, study: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rival = Rival(tmp_path, study, tiny_data)
    hooked(monkeypatch, compression, "train_pair", lambda: rival.tries("full training"))
    hooked(monkeypatch, compression, "compress", lambda: rival.tries("chain"))
    assert ussearch("compress", study, "--steps", "fuse").status == 0
    assert rival.stages == ["full training", "chain"]


def test_while_another_device_is_specialised_for(
    ussearch: Command, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("specialise", study, "--profile", "raspberry-pi-5", "--train", 1, "--out", tmp_path / "out")
    seen: list[tuple[int, str]] = []
    hooked(monkeypatch, specialised, "train_specialised", lambda: seen.append(second_driver(tmp_path, *command)))
    assert ussearch(*command).status == 0
    ((status, said),) = seen
    assert status == 2 and f"{tmp_path / 'out'} is being worked on by process {os.getpid()}" in said
    assert not (tmp_path / "out" / "lock.json").exists()


def test_a_folder_that_may_not_be_replaced_is_refused_before_anything_is_trained(
    ussearch: Command, study: Path, tiny_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("three years")
    (tmp_path / "file").write_text("")
    run = ("run", "--profile", "jetson-nano", "--data", tiny_data, "--study", tmp_path / "new", *TINY_RUN)
    for out in (tmp_path / "mine", tmp_path / "file", tmp_path / "file" / "bundle", study):
        for command in (("export", study), run):
            outcome = ussearch(*command, "--out", out)
            assert outcome.status == 2 and "choose another folder" in outcome.err, outcome.err
            assert len(outcome.err.strip().splitlines()) == 1
    assert not (study / "finalists").exists() and not (tmp_path / "new").exists()
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "three years"


def test_route_renames_back_what_a_kill_set_aside_and_refuses_it_before_anything_is_trained(
    ussearch: Command, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "fit_router", lambda *_, **__: pytest.fail("something was trained"))
    shutil.move(study / "bundle", study / ".bundle.aside")
    (study / ".bundle.aside" / "README").write_text("added")
    outcome = ussearch("route", study)
    assert outcome.status == 2 and "README does not belong to the bundle" in outcome.err
    assert (study / "bundle" / "README").exists()
