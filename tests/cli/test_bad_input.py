"""Every mistake of a user: one sentence, status 2, no traceback, nothing half-written."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .conftest import TINY_RUN, Command, Outcome


def assert_one_sentence(outcome: Outcome, *words: str) -> None:
    assert outcome.status == 2, outcome.out + outcome.err
    lines = [line for line in outcome.err.splitlines() if line.strip()]
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("ussearch: ")
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in lines[0], lines[0]


@pytest.fixture
def broken(tiny_data: Path, tmp_path: Path) -> Path:
    """A copy of the tiny data that a test may spoil."""
    return Path(shutil.copytree(tiny_data, tmp_path / "broken"))


def run_on(ussearch: Command, data: Path, study: Path, *extra: object) -> Outcome:
    return ussearch("run", "--profile", "jetson-nano", "--data", data, "--study", study, *TINY_RUN, *extra)


def test_unknown_profile(ussearch: Command, tiny_data: Path) -> None:
    outcome = ussearch("run", "--profile", "jetson-nanno", "--data", tiny_data)
    assert_one_sentence(outcome, "jetson-nanno", "jetson-nano")


def test_no_such_folder(ussearch: Command, tmp_path: Path) -> None:
    assert_one_sentence(run_on(ussearch, tmp_path / "nowhere", tmp_path / "s"), "nowhere")


def test_empty_folder(ussearch: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert_one_sentence(run_on(ussearch, tmp_path / "empty", tmp_path / "s"), "empty")


def test_image_without_mask(ussearch: Command, broken: Path, tmp_path: Path) -> None:
    (broken / "masks" / "p007.png").unlink()
    assert_one_sentence(run_on(ussearch, broken, tmp_path / "s"), "p007.png")
    assert not (tmp_path / "s").exists()


def test_mask_of_another_size(ussearch: Command, broken: Path, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((32, 64), np.uint8)).save(broken / "masks" / "p007.png")
    assert_one_sentence(run_on(ussearch, broken, tmp_path / "s"), "p007.png", "64")


def test_truncated_png(ussearch: Command, broken: Path, tmp_path: Path) -> None:
    path = broken / "images" / "p007.png"
    path.write_bytes(path.read_bytes()[:200])
    assert_one_sentence(run_on(ussearch, broken, tmp_path / "s"), "p007.png")


def test_all_masks_empty(ussearch: Command, broken: Path, tmp_path: Path) -> None:
    for path in (broken / "masks").iterdir():
        Image.fromarray(np.zeros((64, 64), np.uint8)).save(path)
    assert_one_sentence(run_on(ussearch, broken, tmp_path / "s"), "empty")


@pytest.mark.parametrize(("size", "nearest"), [(100, "96"), (0, "32"), (-64, "32"), (250, "256")])
def test_image_size_that_is_no_multiple_of_32(
    ussearch: Command, tiny_data: Path, tmp_path: Path, size: int, nearest: str
) -> None:
    assert_one_sentence(run_on(ussearch, tiny_data, tmp_path / "s", "--image-size", size), nearest)


def test_a_named_preset_that_cannot_take_the_size(ussearch: Command, tiny_data: Path, tmp_path: Path) -> None:
    outcome = run_on(ussearch, tiny_data, tmp_path / "s", "--warm-start", "lv-unet")
    assert_one_sentence(outcome, "lv-unet", "128")


def test_an_unknown_preset(ussearch: Command, tiny_data: Path, tmp_path: Path) -> None:
    outcome = run_on(ussearch, tiny_data, tmp_path / "s", "--warm-start", "unexd")
    assert_one_sentence(outcome, "unexd", "unext")


@pytest.mark.parametrize(
    ("option", "value", "word"),
    [
        ("--trials", 0, "trials"),
        ("--trials", -3, "trials"),
        ("--epochs", 0, "epochs"),
        ("--edge-share", 1.5, "edge-share"),
        ("--offload-share", -0.1, "offload-share"),
        ("--sampler", "nsga", "nsgaii"),
        ("--budget", "soon", "30m"),
        ("--accelerator", "tpu9", "cuda"),
        ("--reader", "busy", "busi"),
        ("--cloud-profile", "x86-sever", "x86-server"),
        ("--split-file", "missing.txt", "missing.txt"),
        ("--seed", -1, "seed"),
        ("--recipe", "missing.yaml", "missing.yaml"),
    ],
)
def test_values_that_cannot_be_meant(
    ussearch: Command, tiny_data: Path, tmp_path: Path, option: str, value: object, word: str
) -> None:
    assert_one_sentence(run_on(ussearch, tiny_data, tmp_path / "s", option, value), word)
    assert not (tmp_path / "s").exists()


def test_an_unwritable_study_folder(ussearch: Command, tiny_data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert_one_sentence(run_on(ussearch, tiny_data, tmp_path / "file" / "study"), "study")


def test_a_study_that_is_there_already(ussearch: Command, tiny_data: Path, tiny_study: Path) -> None:
    assert_one_sentence(run_on(ussearch, tiny_data, tiny_study), "--resume")


def test_nothing_to_resume(ussearch: Command, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = ussearch("run", "--profile", "jetson-nano", "--data", tiny_data, "--resume", *TINY_RUN)
    assert_one_sentence(outcome, "--study")


@pytest.mark.parametrize("command", ["pareto", "export"])
def test_a_folder_that_is_no_study(ussearch: Command, tmp_path: Path, command: str) -> None:
    assert_one_sentence(ussearch(command, tmp_path), "study")


def test_a_trial_that_is_not_there(ussearch: Command, tiny_study: Path) -> None:
    assert_one_sentence(ussearch("show", tiny_study, 99), "99")
    assert_one_sentence(ussearch("export", tiny_study, "--edge", 99), "99")


def test_a_corrupt_bundle(ussearch: Command, tiny_study: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(tiny_study / "bundle", tmp_path / "bundle"))
    model = bundle / "edge" / "model.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    assert_one_sentence(ussearch("verify", bundle), "model.onnx")
    assert_one_sentence(ussearch("infer", bundle, tmp_path / "x.png"), "model.onnx")


def test_an_image_that_is_none(ussearch: Command, tiny_study: Path, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"no image")
    assert_one_sentence(ussearch("infer", tiny_study / "bundle", tmp_path / "x.png"), "x.png")


def test_an_unknown_preset_name_in_presets(ussearch: Command) -> None:
    assert_one_sentence(ussearch("presets", "lvunet"), "lv-unet")


def test_a_wrong_option_is_named(ussearch: Command) -> None:
    outcome = ussearch("run", "--profil", "jetson-nano")
    assert outcome.status == 2
    assert "--profil" in outcome.err
    assert "Traceback" not in outcome.err


def test_a_recipe_with_a_wrong_field(ussearch: Command, tiny_data: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("learning_rat: 0.1")
    outcome = run_on(ussearch, tiny_data, tmp_path / "s", "--recipe", tmp_path / "recipe.yaml")
    assert_one_sentence(outcome, "learning_rat")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--workers", 0), ("--workers 0", "at least 1")),
        (("--trial-timeout", "soon"), ("soon", "30m")),
        (("--trial-timeout", "0"), ("--trial-timeout", "at least 1")),
        (("--storage", "nonsense"), ("--storage", "postgresql://")),
        (("--ray", "nowhere"), ("Ray", "nowhere", "HOST:PORT")),
    ],
)
def test_workers_and_databases_that_cannot_be_meant(
    ussearch: Command, tiny_data: Path, tmp_path: Path, options: tuple[object, ...], words: tuple[str, ...]
) -> None:
    if "--ray" in options:
        pytest.importorskip("ray", reason="needs the extra `ray`")
    assert_one_sentence(run_on(ussearch, tiny_data, tmp_path / "s", *options), *words)
    assert not (tmp_path / "s").exists()


def test_a_database_that_is_not_there(ussearch: Command, tiny_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="needs the extra `postgresql`")
    url = "postgresql://me:secret@127.0.0.1:1/name"
    outcome = run_on(ussearch, tiny_data, tmp_path / "s", "--storage", url)
    assert_one_sentence(outcome, "postgresql://me:***@127.0.0.1:1/name", "--storage")
    assert "secret" not in outcome.out + outcome.err
    assert not (tmp_path / "s").exists()
