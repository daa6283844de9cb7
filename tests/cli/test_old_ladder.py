"""A study made with shared weights, which this version does not have: shown, reported, exported, but not resumed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ussearch import schema
from ussearch.schema import KEY

from .conftest import Command
from .test_old_files import FIXTURE

EXPORT = ("--edge", 1, "--cloud", 2, "--no-compress", "--accelerator", "cpu", "--json")


def of_version(version: int, content: Mapping[str, Any], evaluator: str) -> Mapping[str, Any]:
    """Return the fixture's configuration as a version wrote that of a search by the ladder."""
    asked = {**content, "evaluator": evaluator}
    return asked if version == 0 else {KEY: 1, **schema.STUDY.upgrades[0](asked)}


@pytest.fixture(params=[(0, "shared"), (1, "auto")], ids=lambda each: f"version {each[0]}")
def study(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A copy of the old study: trial 2 is judged on a rung, and finalist 1 was trained from drawn weights, too."""
    folder = Path(shutil.copytree(FIXTURE / "study", tmp_path / "study"))
    version, evaluator = request.param
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(dict(of_version(version, yaml.safe_load(path.read_text()), evaluator))))
    edit(folder / "trials" / "0002" / "record.json", {"evaluation": {"fidelity": "drawn + 31 steps"}})
    scratch = json.loads((folder / "finalists" / "0001" / "record.json").read_text())["made_from"]["attempts"]
    drawn = [{**each, "start": "drawn", "weights": "4f1e"} for each in scratch]
    edit(folder / "finalists" / "0001" / "record.json", {"made_from": {"attempts": [*scratch, *drawn]}})
    (folder / "ladder.json").write_text(json.dumps({"rungs": [], "chosen": "drawn + 31 steps"}))
    (folder / "shared.safetensors").write_bytes(b"shared weights")
    (folder / "rungs" / "drawn").mkdir(parents=True)
    (folder / "rungs" / "drawn" / "0001.json").write_text(json.dumps({"selection": 0.4, "seconds": 2.0}))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    yield folder
    made = {"bundle", "report.html", "log.txt", "postprocessing.json"}
    for path, content in before.items():
        assert path.relative_to(folder).parts[0] in made or path.read_bytes() == content, f"{path} was changed"


def edit(path: Path, changes: Mapping[str, Any]) -> None:
    """Change values of parts of a JSON file."""
    content = json.loads(path.read_text())
    for part, values in changes.items():
        content[part].update(values)
    path.write_text(json.dumps(content))


def test_what_it_found_is_shown_with_how_it_was_judged(ussearch: Command, study: Path) -> None:
    outcome = ussearch("pareto", study, "--json")
    assert outcome.status == 0, outcome.err
    fidelities = {trial["trial"]: trial["fidelity"] for trial in json.loads(outcome.out)["trials"]}
    assert fidelities == {0: "trained", 1: "trained", 2: "drawn + 31 steps"}
    assert "Drawn + 31 steps" in ussearch("show", study, 2).out
    assert ussearch("specialise", study, "--profile", "raspberry-pi-5").status == 0
    assert "evaluator" not in ussearch("config", study).out


def test_it_is_reported(ussearch: Command, study: Path) -> None:
    outcome = ussearch("report", study)
    assert outcome.status == 0, outcome.err
    evaluator = schema.STUDY.current(yaml.safe_load((study / "study.yaml").read_text()), "study.yaml")["evaluator"]
    assert f"nsgaii, {evaluator}" in (study / "report.html").read_text()


def test_its_pair_is_exported_and_a_finalist_with_drawn_weights_is_not_trained_again(
    ussearch: Command, study: Path, tmp_path: Path
) -> None:
    outcome = ussearch("export", study, *EXPORT, "--out", tmp_path / "bundle")
    assert outcome.status == 0, outcome.err
    assert json.loads(outcome.out)["verified"] is True


@pytest.mark.parametrize("more", [(), ("--dry-run",), ("--trials", 9)], ids=str)
def test_it_is_not_resumed(ussearch: Command, study: Path, more: tuple[object, ...]) -> None:
    outcome = ussearch("run", "--study", study, "--resume", *more)
    assert outcome.status == 2
    (said,) = outcome.err.strip().splitlines()
    assert f"The study in {study} was made with --evaluator" in said and "start anew in another study folder" in said
