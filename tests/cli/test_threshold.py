"""``ussearch threshold`` through the real command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from scipy.stats import beta

from tests.cli.conftest import Command
from ussearch.datasets import read_frames
from ussearch.files import sha256_of
from ussearch.pairs import Bundle, verify_bundle
from ussearch.runtime.integrity import MANIFEST

Bools = npt.NDArray[np.bool_]


def clopper_pearson(marked: int, images: int) -> tuple[float, float]:
    """Return the 95 % interval by its formula, the quantiles of two beta distributions."""
    low = float(beta.ppf(0.025, marked, images - marked + 1)) if marked else 0.0
    high = float(beta.ppf(0.975, marked + 1, images - marked)) if marked < images else 1.0
    return low, high


def marked_by_the_pair(bundle: Bundle, data: Path, chosen: tuple[int, ...]) -> tuple[Bools, Bools]:
    """Return which of the chosen images have a lesion, and which the pair marks, one prediction at a time."""
    files = [sorted((data / "images").iterdir())[number] for number in chosen]
    with_lesion = [bool(np.asarray(Image.open(data / "masks" / file.name)).any()) for file in files]
    pair = bundle.predictor()
    marked = [bool(pair.predict(frame).mask.any()) for file in files for frame in read_frames(file)]
    return np.array(with_lesion), np.array(marked)


@pytest.mark.slow
def test_a_variant_of_a_bundle(ussearch: Command, tiny_study: Path, tiny_data: Path, tmp_path: Path) -> None:
    parent = tiny_study / "bundle"
    before = sha256_of(parent / MANIFEST)
    outcome = ussearch("threshold", tiny_study, "--false-positives", "0%", "--out", tmp_path / "careful", "--json")
    assert outcome.status == 0, outcome.err
    told = json.loads(outcome.out)
    made = Bundle.load(tmp_path / "careful")
    assert told["bundle"] == str(tmp_path / "careful") and told["parent"]["digest"] == before
    assert "at most 0 %" in told["parent"]["reason"]
    for tier in ("edge", "cloud"):
        assert told["postprocessing_choice"][tier]["after"]["false_positive_rate"] == 0
    assert told["metrics"] == made.manifest.model_dump(mode="json")["metrics"]
    assert sha256_of(parent / MANIFEST) == before
    assert verify_bundle(tmp_path / "careful", tiny_data).passed
    assert made.manifest.provenance is not None
    assert made.manifest.provenance.commands[-1] == "ussearch threshold STUDY --false-positives 0% --out OUT --json"
    has_lesion, marked = marked_by_the_pair(made, tiny_data, made.split().calibration)
    for kind, rate in told["postprocessing_choice"]["rates"]["routed"].items():
        some = has_lesion == (kind == "sensitivity")
        assert (rate["images"], rate["marked"]) == (some.sum(), (some & marked).sum())
        assert (rate["low"], rate["high"]) == pytest.approx(clopper_pearson(rate["marked"], rate["images"]))
    again = ussearch(
        "threshold", tmp_path / "careful", "--false-positives", "1", "--data", tiny_data, "--out", tmp_path / "x"
    )
    assert again.status == 0, again.err
    assert "sensitivity" in again.out and "ussearch verify" in again.out
    empty = told["postprocessing_choice"]["edge"]["empty_images"]
    assert 0 < empty < 20 and f"Note: {empty} calibration images without a lesion are few" in again.out
    assert re.search(
        r"Marked calibration images without a lesion \(95 %\): edge \d+ of \d+, .*, pair \d+ of", again.out
    )
    assert Bundle.load(tmp_path / "x").manifest.parent is not None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "needs one goal: give either --false-positives or --sensitivity"),
        (("--false-positives", "10%", "--sensitivity", "95%"), "needs one goal"),
        (("--false-positives", "ten"), "--false-positives ten is not possible: expected a share such as 10% or 0.1"),
        (("--false-positives", "nan"), "--false-positives nan% is not possible"),
        (("--sensitivity", "120%"), "--sensitivity 120% is not possible: expected a share from 0% to 100%"),
        (("--false-positives", "10"), "--false-positives 10 is not possible: expected a share such as 10% or 0.1"),
    ],
)
def test_goals_that_cannot_be_meant(
    ussearch: Command, tiny_study: Path, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    outcome = ussearch("threshold", tiny_study, *arguments, "--out", tmp_path / "new")
    assert outcome.status == 2 and sentence in outcome.err and len(outcome.err.splitlines()) == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_nothing_is_overwritten(ussearch: Command, tiny_study: Path, tiny_data: Path, tmp_path: Path) -> None:
    bundle = tiny_study / "bundle"
    goal = ("--false-positives", "10%", "--data", tiny_data)
    for out in (bundle, bundle / "inside", tiny_study):
        refused = ussearch("threshold", bundle, *goal, "--out", out)
        assert refused.status == 2 and "it stays as it is" in refused.err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    refused = ussearch("threshold", bundle, *goal, "--out", tmp_path / "mine")
    assert refused.status == 2 and "a variant replaces nothing" in refused.err
    refused = ussearch("threshold", bundle, "--false-positives", "10%", "--out", tmp_path / "new")
    assert refused.status == 2 and "give the folder of that data with --data" in refused.err
    assert verify_bundle(bundle).passed


def test_the_study_keeps_what_becomes_of_probabilities_and_why(tiny_study: Path) -> None:
    kept = json.loads((tiny_study / "postprocessing.json").read_text(encoding="utf-8"))
    manifest = json.loads((tiny_study / "bundle" / MANIFEST).read_text(encoding="utf-8"))
    assert kept["postprocessing"] == manifest["postprocessing"]
    assert kept["postprocessing_choice"] == manifest["postprocessing_choice"]
    assert kept["trials"] == {tier: manifest[tier]["trial"] for tier in ("edge", "cloud")}
    reasons = {step["reason"] for step in kept["postprocessing_choice"]["edge"]["steps"]}
    assert len(reasons) == 1 and "calibration images with a lesion, at least 20 are asked for" in reasons.pop()
