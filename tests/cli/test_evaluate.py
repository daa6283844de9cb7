"""``ussearch evaluate`` through the real command line: a bundle on other data than its own."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from tests.cli.conftest import Command, write_data
from ussearch.cli.app import app
from ussearch.cli.run_parameters import READING
from ussearch.datasets import ReadingOptions
from ussearch.pairs import Bundle, verify_bundle
from ussearch.pairs.bundles.finalize import finalize
from ussearch.pairs.bundles.foreign_data import read_record


def test_the_options_that_say_how_files_are_read_are_one_list() -> None:
    assert set(READING) == {field.name for field in fields(ReadingOptions)}
    group = typer.main.get_command(app)
    evaluate, check = group.commands["evaluate"], group.commands["data"].commands["check"]  # type: ignore[attr-defined]
    of_each = [
        {name: (each.opts, each.help) for each in command.params if (name := each.name) in READING}
        for command in (evaluate, check)
    ]
    assert of_each[0] == of_each[1] and len(of_each[0]) == len(READING)


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
def test_the_cards_tables_and_what_differs(
    ussearch: Command, bundle: Path, tiny_study: Path, other: Path, tmp_path: Path
) -> None:
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
    of_study = ussearch("evaluate", tiny_study, "--data", other, "--json", "--out", tmp_path / "study.json")
    assert of_study.status == 0 and read_record(tmp_path / "study.json") == found, of_study.err
    assert again.status == 0 and "Note: Mean grey level" in again.out and "sensitivity" in again.out


@pytest.mark.slow
def test_its_own_data_are_recognised_and_alike(ussearch: Command, bundle: Path, tiny_data: Path) -> None:
    outcome = ussearch("evaluate", bundle, "--data", tiny_data, "--json")
    assert outcome.status == 0, outcome.err
    told = json.loads(outcome.out)
    record = Path(told["record"])
    assert record.parent == bundle.parent.resolve() and record.name == f"bundle-on-{told['data']}.json"
    split = json.loads((bundle / "split.json").read_text())
    parts = {part: len(indices) for part, indices in split["indices"].items()}
    assert told["own_images"] == parts
    assert told["warnings"] == [
        f"48 of the 48 images are those that the bundle was made from ({_listed(parts)}): figures on images that it "
        "learnt from, or was chosen by, flatter."
    ]


def _listed(parts: dict[str, int]) -> str:
    return ", ".join(f"{part} {count}" for part, count in parts.items())


def mixed(tiny_study: Path, tiny_data: Path, other: Path, folder: Path, parts: tuple[str, ...]) -> dict[str, int]:
    """Write ten foreign images beside three of each of the ``parts``, under other names, in another format."""
    named = json.loads((tiny_study / "split.json").read_text())
    own = [tiny_data / identity for part in parts for identity in named[part][:3]]
    files = [*own, *sorted((other / "images").iterdir())[:10]]
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
        for number, path in enumerate(files):
            with Image.open(path.parent.parent / kind / path.name) as image:
                image.convert("RGB" if kind == "images" else "L").save(folder / kind / f"x{number}.bmp")
    return dict.fromkeys(parts, 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (("train", "calibration", "test"), "figures on images that it learnt from, or was chosen by, flatter."),
        (("test",), "none of them taught it, but they are no other data."),
    ],
)
def test_some_of_its_own_images_are_recognised_whatever_they_are_called(
    ussearch: Command,
    bundle: Path,
    tiny_study: Path,
    tiny_data: Path,
    other: Path,
    tmp_path: Path,
    parts: tuple[str, ...],
    told: str,
) -> None:
    expected = mixed(tiny_study, tiny_data, other, tmp_path / "mixed", parts)
    outcome = ussearch("evaluate", bundle, "--data", tmp_path / "mixed", "--out", tmp_path / "x.json")
    assert outcome.status == 0, outcome.err
    assert read_record(tmp_path / "x.json").own_images == expected
    count = 3 * len(parts)
    own = f"{count} of the {count + 10} images are those that the bundle was made from"
    assert f"Note: {own} ({_listed(expected)}): {told}" in outcome.out


@pytest.mark.slow
def test_other_images_are_none_of_its_own(ussearch: Command, bundle: Path, other: Path, tmp_path: Path) -> None:
    outcome = ussearch("evaluate", bundle, "--data", other, "--json", "--out", tmp_path / "x.json")
    told = json.loads(outcome.out)
    assert told["own_images"] == {} and "made from" not in " ".join(told["warnings"])


@pytest.mark.slow
def test_a_bundle_of_before_tells_its_data_as_a_whole(
    ussearch: Command, bundle: Path, other: Path, tiny_data: Path, tmp_path: Path
) -> None:
    old = shutil.copytree(bundle, tmp_path / "old")
    manifest = Bundle.load(old).manifest
    record = json.loads((old / "split.json").read_text())
    del record["digests"]
    (old / "split.json").write_text(json.dumps(record))
    finalize(old, manifest)
    foreign, own = (
        ussearch("evaluate", old, "--data", data, "--out", tmp_path / f"{number}.json")
        for number, data in enumerate((other, tiny_data))
    )
    assert foreign.status == own.status == 0
    assert "of an older version, does not tell its images one by one" in foreign.out
    assert "This is the data set that the bundle was made from" in own.out
    assert read_record(tmp_path / "0.json").own_images is None
    made = ussearch("threshold", old, "--sensitivity", "0%", "--data", tiny_data, "--out", tmp_path / "new")
    assert made.status == 0, made.err
    assert json.loads((tmp_path / "new" / "split.json").read_text()).keys() == {*record, "digests"}


@pytest.mark.slow
def test_data_without_any_lesion(ussearch: Command, bundle: Path, other: Path, tmp_path: Path) -> None:
    shutil.copytree(other, tmp_path / "empty")
    for path in (tmp_path / "empty" / "masks").iterdir():
        Image.fromarray(np.zeros_like(np.asarray(Image.open(path)))).save(path)
    outcome = ussearch("evaluate", bundle, "--data", tmp_path / "empty", "--out", tmp_path / "x.json")
    assert outcome.status == 0, outcome.err
    assert "Note: No image has a lesion: false positives and specificity are all that can be told." in outcome.out
    assert "specificity" in outcome.out and "lesion Dice  " not in outcome.out and "sensitivity" not in outcome.out
    found = read_record(tmp_path / "x.json")
    for tier in ("edge", "cloud", "routed"):
        figures = getattr(found.metrics, tier)
        assert figures["lesion_dice"] is None and figures["false_positive_rate"] is not None
    refused = ussearch("run", "--profile", "jetson-nano", "--data", tmp_path / "empty", "--image-size", 64, "--dry-run")
    assert refused.status == 2 and "nothing can be learnt" in refused.err


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
