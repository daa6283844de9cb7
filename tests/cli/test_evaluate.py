"""``ussearch evaluate`` through the real command line: a bundle on other data than its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Command, write_data
from ussearch.pairs import verify_bundle
from ussearch.pairs.bundles.foreign_data import read_record


@pytest.fixture(scope="module")
def bundle(tiny_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a bundle, beside which records may be written."""
    place = tmp_path_factory.mktemp("evaluated") / "bundle"
    shutil.copytree(tiny_study / "bundle", place)
    return place


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantoms of another seed, brighter and twice as wide as those of the bundle."""
    folder = write_data(tmp_path_factory.mktemp("other") / "data", count=24, seed=9)
    for kind in ("images", "masks"):
        for path in (folder / kind).iterdir():
            pixels = np.repeat(np.asarray(Image.open(path)), 2, axis=1)
            if kind == "images":
                pixels = np.minimum(pixels.astype(np.int64) + 110, 255).astype(np.uint8)
            Image.fromarray(pixels).save(path)
    return folder


@pytest.mark.slow
def test_the_cards_tables_and_what_differs(ussearch: Command, bundle: Path, other: Path, tmp_path: Path) -> None:
    outcome = ussearch("evaluate", bundle, "--data", other, "--json", "--out", tmp_path / "record.json")
    assert outcome.status == 0, outcome.err
    told = json.loads(outcome.out)
    found = read_record(tmp_path / "record.json")
    assert told == {"record": str(tmp_path / "record.json"), **found.model_dump(mode="json")}
    assert found.metrics.images == 24 and found.counts.parts["test"].images == 24
    assert {each.kind for each in found.metrics.subgroups} == {"all", "size"}
    text = " ".join(found.warnings)
    assert "Mean grey level: 100 %" in text and "Width in pixels: 100 %" in text and "Height" not in text
    assert "p000" not in outcome.out and str(other) not in (tmp_path / "record.json").read_text()
    assert verify_bundle(bundle).passed
    again = ussearch("evaluate", bundle, "--data", other, "--out", tmp_path / "record.json")
    assert again.status == 0 and "Note: Mean grey level" in again.out and "sensitivity" in again.out


@pytest.mark.slow
def test_its_own_data_are_recognised_and_alike(ussearch: Command, bundle: Path, tiny_data: Path) -> None:
    outcome = ussearch("evaluate", bundle, "--data", tiny_data, "--json")
    assert outcome.status == 0, outcome.err
    told = json.loads(outcome.out)
    record = Path(told["record"])
    assert record.parent == bundle.parent.resolve() and record.name == f"bundle-on-{told['data']}.json"
    assert told["warnings"] == [
        "This is the data set that the bundle was made from: figures on images that it learnt from flatter."
    ]


@pytest.mark.slow
def test_nothing_of_others_is_overwritten_and_nothing_written_into_the_bundle(
    ussearch: Command, bundle: Path, other: Path, tmp_path: Path
) -> None:
    letter = tmp_path / "letter.json"
    letter.write_text('{"dear": "you"}')
    refused = ussearch("evaluate", bundle, "--data", other, "--out", letter)
    assert refused.status == 2 and str(letter) in refused.err and letter.read_text() == '{"dear": "you"}'
    refused = ussearch("evaluate", bundle, "--data", other, "--out", bundle / "record.json")
    assert refused.status == 2 and "is inside the bundle" in refused.err
    assert verify_bundle(bundle).passed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--folders", "rooms"), "--folders rooms is not possible"),
        (("--lesion", "7"), "7"),
        (("--grey-scale", "9,1"), "9,1"),
        (("--reader", "nobody"), "nobody"),
    ],
)
def test_options_that_cannot_be_meant(
    ussearch: Command, bundle: Path, other: Path, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    outcome = ussearch("evaluate", bundle, "--data", other, "--out", tmp_path / "x.json", *arguments)
    assert outcome.status == 2 and sentence in outcome.err and len(outcome.err.splitlines()) == 1
    assert not (tmp_path / "x.json").exists()


@pytest.mark.slow
def test_deeper_files_than_those_of_training_are_refused_until_their_levels_are_told(
    ussearch: Command, bundle: Path, other: Path, tmp_path: Path
) -> None:
    deep = tmp_path / "deep"
    shutil.copytree(other, deep)
    for path in (deep / "images").iterdir():
        Image.fromarray(np.asarray(Image.open(path)).astype(np.uint16) * 257).save(path)
    refused = ussearch("evaluate", bundle, "--data", deep, "--out", tmp_path / "x.json")
    assert refused.status == 2 and "--grey-scale LOW,HIGH" in refused.err
    told = ussearch(
        "evaluate", bundle, "--data", deep, "--grey-scale", "0,65535", "--out", tmp_path / "x.json", "--json"
    )
    assert told.status == 0, told.err
    plain = ussearch("evaluate", bundle, "--data", other, "--out", tmp_path / "y.json", "--json")
    assert json.loads(told.out)["metrics"] == json.loads(plain.out)["metrics"]
