from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Command
from ussearch.pairs import Bundle, verify_bundle
from ussearch.runtime.decision import EVERYTHING_STAYS
from ussearch.runtime.integrity import MANIFEST, SEAL, digests, write_manifest
from ussearch.serving.board import run_edge_source


@pytest.fixture(scope="module")
def study(tiny_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the study whose bundle is routed anew."""
    folder = tmp_path_factory.mktemp("routed") / "tiny"
    shutil.copytree(tiny_study, folder)
    return folder


def router(ussearch: Command, study: Path, *arguments: object) -> dict[str, object]:
    outcome = ussearch("route", study, "--json", *arguments)
    assert outcome.status == 0, outcome.err
    found: dict[str, object] = json.loads(outcome.out)["router"]
    return found


def _with_an_older_runner(bundle: Bundle) -> Path:
    """Seal the bundle with another ``run_edge.py``, as an older version would have; returns the runner's path."""
    folder, manifest = bundle.folder, bundle.manifest
    (folder / "run_edge.py").write_text("# of an older version", encoding="utf-8")
    for name in (MANIFEST, SEAL):
        (folder / name).unlink()
    write_manifest(folder, manifest.model_copy(update={"files": digests(folder)}).to_text())
    return folder / "run_edge.py"


def test_a_policy_rewrites_the_bundle_and_leaves_the_networks(ussearch: Command, study: Path) -> None:
    before = Bundle.load(study / "bundle")
    logits = np.load(study / "bundle" / "vectors" / "00" / "edge_logits.npy")
    runner = _with_an_older_runner(before)
    found = router(ussearch, study, "--policy", "calls", "--calls", "5/10")
    assert runner.read_text(encoding="utf-8") == run_edge_source()
    after = Bundle.load(study / "bundle")
    assert found["policy"] == {"kind": "calls", "calls": 5, "per": 10}
    assert after.manifest.metrics.edge == before.manifest.metrics.edge
    assert after.manifest.metrics.cloud == before.manifest.metrics.cloud
    np.testing.assert_array_equal(np.load(study / "bundle" / "vectors" / "00" / "edge_logits.npy"), logits)
    assert verify_bundle(study / "bundle").passed
    assert before.manifest.provenance is not None and after.manifest.provenance is not None
    added = after.manifest.provenance.commands[len(before.manifest.provenance.commands) :]
    assert len(added) == 1 and added[0].startswith("ussearch route ") and "--calls 5/10" in added[0]
    pair, images = after.predictor(), after.split().calibration
    assert len(images) == found["calibration_images"]
    assert "confidence" in pair.edge.outputs


def test_few_images_ship_soft_dice_confidence_and_it_is_said(ussearch: Command, study: Path) -> None:
    found = router(ussearch, study, "--policy", "share", "--share", 0.25)
    assert found["score"] == "soft_dice_confidence"
    assert "too few to learn from" in str(found["score_reason"])
    assert found["requested_share"] == 0.25


def test_without_a_policy_the_edge_answers_alone_where_routing_does_not_pay(ussearch: Command, study: Path) -> None:
    found = router(ussearch, study)
    worth = found["worth"]
    assert isinstance(worth, dict)
    pays = worth["gap"] >= 0.02 and worth["low"] > 0
    assert (found["threshold"] == EVERYTHING_STAYS) is not pays
    assert ("not worthwhile here" in str(found["reason"])) is not pays


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--policy", "luck"), "Unknown policy 'luck'"),
        (("--policy", "calls", "--calls", "many"), "--calls many is not possible"),
        (("--policy", "latency"), "--mean-ms and --cloud-ms"),
        (("--policy", "latency", "--mean-ms", 0.01, "--cloud-ms", 5, "--edge-ms", 3), "takes 3.0 ms"),
        (("--policy", "risk", "--risk", 2), "calibration images are too few"),
        (("--policy", "share", "--share", 1.5), "Offload share 1.5"),
        (("--folds", 1), "--folds 1 is not possible"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    ussearch: Command, study: Path, arguments: tuple[object, ...], sentence: str
) -> None:
    before = (study / "bundle" / "bundle.sha256").read_text()
    outcome = ussearch("route", study, *arguments)
    assert outcome.status == 2
    assert sentence in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
    assert (study / "bundle" / "bundle.sha256").read_text() == before


def test_the_report_stands_beside_baselines_and_on_a_table(ussearch: Command, study: Path, tmp_path: Path) -> None:
    outcome = ussearch("route-report", study, "--json", "--csv", tmp_path / "r.csv", "--plot", tmp_path / "r.svg")
    assert outcome.status == 0, outcome.err
    found = json.loads(outcome.out)
    names = [row["name"] for row in found["rows"]]
    assert names == ["random", "oracle", "SDC", "mean entropy", "flip agreement", "image complexity"]
    rows = list(csv.DictReader((tmp_path / "r.csv").read_text().splitlines()))
    assert len(rows) == found["images"] == len(Bundle.load(study / "bundle").split().test)
    edge = np.array([float(row["edge_dice"]) for row in rows])
    cloud = np.array([float(row["cloud_dice"]) for row in rows])
    assert found["gap"] == pytest.approx((cloud - edge).mean(), abs=1e-5)
    manifest = Bundle.load(study / "bundle").manifest.metrics
    assert edge.mean() == pytest.approx(manifest.edge["dice_all"], abs=1e-5)
    assert cloud.mean() == pytest.approx(manifest.cloud["dice_all"], abs=1e-5)
    assert np.mean([row["route"] == "cloud" for row in rows]) == pytest.approx(manifest.offload_share)
    assert (tmp_path / "r.svg").read_text().startswith("<?xml")
    assert "worthwhile" in ussearch("route-report", study).out


def test_a_bundle_needs_its_data(ussearch: Command, study: Path, tiny_data: Path) -> None:
    assert "with --data" in ussearch("route-report", study / "bundle").err
    outcome = ussearch("route-report", study / "bundle", "--data", tiny_data, "--json")
    assert json.loads(outcome.out)["images"] == len(Bundle.load(study / "bundle").split().test)
