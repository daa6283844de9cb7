"""A study and a bundle of commit 0f14119, from before files had numbers, through the real command line."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from ussearch.hardware_profiles import load_profile
from ussearch.schema import KEY

from .conftest import Command

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "0f14119"
RESUME = (
    *("run", "--profile", "raspberry-pi-4", "--phantoms", 48, "--image-size", 32, "--seed", 13, "--trials", 4),
    *("--epochs", 2, "--final-epochs", 2, "--seed-presets", "cea-net-standin", "--device", "cpu"),
    *("--threads", 1, "--workers", 1, "--no-compress", "--resume"),
)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return shutil.copytree(FIXTURE / "study", tmp_path / "study")


def records(study: Path) -> dict[int, Any]:
    return {int(path.parent.name): json.loads(path.read_text()) for path in study.glob("trials/*/record.json")}


def test_the_fixture_is_small_has_no_number_and_no_place() -> None:
    files = [path for path in FIXTURE.rglob("*") if path.is_file()]
    assert len(files) > 20 and sum(path.stat().st_size for path in files) < 5 * 2**20
    texts = {path: path.read_text() for path in files if path.suffix in {".json", ".yaml", ".txt", ".md", ".sha256"}}
    assert {path.name for path, text in texts.items() if KEY in text} == {"bundle.yaml"}
    assert not [path for path, text in texts.items() if re.search(r"/(home|root|tmp|work|Users)/", text)]


def test_an_old_study_opens(ussearch: Command, study: Path) -> None:
    outcome = ussearch("pareto", study, "--json")
    assert outcome.status == 0, outcome.err
    found = json.loads(outcome.out)
    known = records(study)
    shown = {trial["trial"]: trial for trial in found["trials"]}
    assert shown.keys() == known.keys() == {0, 1, 2}
    for trial_id, trial in shown.items():
        assert trial["architecture_id"] == known[trial_id]["architecture_id"]
        assert trial["lesion_dice"] == known[trial_id]["evaluation"]["metrics"]["lesion_dice"]
    for tier, frames_per_second in (("edge", 24), ("cloud", 5)):  # its profiles know no post-processing
        limits = found["limits"][tier]
        assert (limits["latency_ms"], limits["postprocessing_ms"]) == (1000 / frames_per_second, 0)
    assert "raspberry-pi-4, at most 41.7 ms (post-processing not counted) and 1024 MiB;" in " ".join(
        ussearch("pareto", study).out.split()
    )


def test_an_old_study_is_resumed_to_one_more_trial(ussearch: Command, study: Path) -> None:
    before = {path: path.read_bytes() for path in study.glob("trials/*/*")}
    outcome = ussearch(*RESUME, "--study", study)
    assert outcome.status == 0, outcome.err
    assert "3 of 4 trials are finished" in " ".join(outcome.out.split())
    assert {path: path.read_bytes() for path in before} == before
    assert records(study).keys() == {0, 1, 2, 3}
    assert records(study)[3][KEY] == 1
    assert (study / "study.yaml").read_text().startswith(f"{KEY}: 1\n")
    assert "The study keeps the profile raspberry-pi-4 that it was made with" in " ".join(outcome.err.split())
    stored = yaml.safe_load((study / "study.yaml").read_text())["edge"]["latency"]
    assert stored["kind"] == "roofline", "trials of one study are judged by the same prices"


def test_a_study_is_not_resumed_with_a_profile_of_ones_own_that_has_changed(
    ussearch: Command, study: Path, tmp_path: Path
) -> None:
    text = load_profile("raspberry-pi-4").to_yaml()
    (tmp_path / "raspberry-pi-4.yaml").write_text(text, encoding="utf-8")
    outcome = ussearch("run", "--study", study, "--resume", "--profiles-dir", tmp_path)
    assert outcome.status == 2
    assert "made with another edge profile" in " ".join(outcome.err.split())


def test_a_study_is_resumed_by_its_folder_alone(ussearch: Command, study: Path) -> None:
    before = {path: path.read_bytes() for path in study.glob("trials/*/*")}
    outcome = ussearch("run", "--study", study, "--resume", "--dry-run", "--json")
    assert outcome.status == 0, outcome.err
    run = yaml.safe_load((study / "study.yaml").read_text())
    plan = json.loads(outcome.out)
    assert (plan["trials"], plan["epochs"], plan["image_size"]) == (3, run["recipe"]["epochs"], run["image_size"])
    assert {path: path.read_bytes() for path in study.glob("trials/*/*")} == before


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--final-epochs", 7), "epochs of the full training (2, not 7)"),
        (("--final-restarts", 3), "full trainings (1, not 3)"),
        (("--seed", 1), "seed (13, not 1)"),
        (("--profile", "jetson-nano"), "edge profile (raspberry-pi-4, not jetson-nano)"),
    ],
)
def test_a_study_is_not_resumed_with_something_else(
    words: tuple[object, ...], named: str, ussearch: Command, study: Path
) -> None:
    outcome = ussearch("run", "--study", study, "--resume", *words)
    assert outcome.status == 2
    assert named in " ".join(outcome.err.split())


def test_an_old_study_is_reported(ussearch: Command, study: Path) -> None:
    outcome = ussearch("report", study)
    assert outcome.status == 0, outcome.err
    page = (study / "report.html").read_text()
    sampled = [record["architecture_id"] for record in records(study).values() if not record["name"]]
    assert len(sampled) == 2 and all(each in page for each in sampled)


def test_an_old_study_is_exported_without_training_again(ussearch: Command, study: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in study.glob("finalists/*/*")}
    assert len(before) == 6
    export = ("export", study, "--edge", 1, "--cloud", 2, "--no-compress", "--device", "cpu", "--json")
    outcome = ussearch(*export, "--out", tmp_path / "again")
    assert outcome.status == 0, outcome.err
    assert json.loads(outcome.out)["verified"] is True
    assert {path: path.read_bytes() for path in study.glob("finalists/*/*")} == before
    stated = json.loads((tmp_path / "again" / "bundle.yaml").read_text())["metrics"]["cloud"]
    before = json.loads((FIXTURE / "bundle" / "bundle.yaml").read_text())["metrics"]["cloud"]
    before["objective"] = before.pop("selection")
    assert stated == pytest.approx(before)


def test_an_old_bundle_is_verified_and_answers(ussearch: Command, tmp_path: Path) -> None:
    bundle = FIXTURE / "bundle"
    outcome = ussearch("verify", bundle, "--json")
    assert outcome.status == 0, outcome.out
    assert json.loads(outcome.out)["passed"] is True
    outcome = ussearch("infer", bundle, bundle / "vectors" / "00" / "image.png", "--out", tmp_path / "masks", "--json")
    assert outcome.status == 0, outcome.err
    assert list((tmp_path / "masks").glob("*.png"))


def test_every_file_of_a_new_study_has_a_number(tiny_study: Path) -> None:
    paths = [path for path in tiny_study.rglob("*") if path.suffix in {".json", ".yaml"}]
    files = {path: yaml.safe_load(path.read_text()) for path in paths if path.name != "vectors.json"}
    assert {path.name for path in files} >= {"study.yaml", "split.json", "baselines.json", "record.json", "bundle.yaml"}
    assert not [path for path, content in files.items() if type(content.get(KEY)) is not int]


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("study.yaml", "pareto"),
        ("baselines.json", "pareto"),
        ("trials/0001/record.json", "pareto"),
        ("split.json", "export"),
        ("trials/0001/architecture.yaml", "export"),
        ("finalists/0001/record.json", "export"),
        ("compressed/0001/compression.json", "report"),
    ],
)
def test_a_newer_file_is_refused(ussearch: Command, study: Path, name: str, command: str) -> None:
    path = study / name
    text = path.read_text()
    newer = f"{KEY}: 7\n{text}" if path.suffix == ".yaml" else text.replace("{", f'{{"{KEY}": 7,', 1)
    path.write_text(newer)
    outcome = ussearch(command, study, *(("--edge", 1, "--cloud", 2, "--no-compress") if command == "export" else ()))
    assert outcome.status == 2
    said = " ".join(outcome.err.split())
    assert f"{name} has the format 7 of a newer ussearch, formats up to 1 were expected: update ussearch." in said
    assert path.read_text() == newer
