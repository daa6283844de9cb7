"""Every command, run in a data folder full of files that are named like its outputs: not one of them changes."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from ussearch.cli.app import app
from ussearch.datasets import PhantomParameters
from ussearch.datasets.phantoms import make_phantom

from .conftest import TINY_RUN, Command, Outcome

NAMED_LIKE_OUTPUTS = (
    *("report.html", "page.html", "front.png", "front.svg", "table.csv", "specialised.json", "results.csv"),
    *("study.yaml", "split.json", "baselines.json", "log.txt", "lock.json", "study.db", "storage.json"),
    *("bundle.yaml", "bundle.sha256", "run_edge.py", "MODEL_CARD.md", "edge/model.onnx", "vectors/vectors.json"),
    *("trials/0000/record.json", "finalists/0000/record.json", "compressed/0000/model.onnx", "router/fold.json"),
    *("masks/benign (0).png", "masks/benign (0)_mask.png", "bundle/bundle.yaml", "studies/mine.txt"),
    *("kit/kit.json", "kit/measure.py", "my-board.yaml", ".hidden.part", ".bundle.aside/notes.txt"),
)
NEEDS_ANOTHER_PROCESS = {"serve", "dashboard"}  # they run until they are stopped; see test_serve.py
MINUTES_OF_MEASURING = {"profile calibrate"}
FOUND = "found"  # the only new folder among the data, named by --out
Step = tuple[int, tuple[object, ...]]


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """Return a data set as BUSI has it, which can be trained on, full of what is not ours."""
    root = tmp_path / "busi"
    for name in NAMED_LIKE_OUTPUTS:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".png"):
            Image.new("L", (64, 64), len(name)).save(root / name)
        else:
            (root / name).write_text(f"the only copy of {name}")
    parameters = PhantomParameters(count=48, seed=3, image_size=64)
    for index in range(48):
        phantom, label = make_phantom(parameters, index), ("benign", "malignant")[index % 2]
        (root / label).mkdir(exist_ok=True)
        Image.fromarray(phantom.image).save(root / label / f"{label} ({index}).png")
        Image.fromarray(phantom.mask * np.uint8(255)).save(root / label / f"{label} ({index})_mask.png")
    (root / "normal").mkdir()
    shutil.copy(root / "benign" / "benign (0).png", root / "normal" / "normal (0).png")
    shutil.copy(root / "malignant" / "malignant (1).png", root / "normal" / "normal (0)_overlay.png")
    return root


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder, and of every link and folder that it is there."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(folder.rglob("*"))
    }


def all_commands() -> set[str]:
    """Return every command of the program, those of groups with the group's name."""

    def walk(command: object, name: str) -> set[str]:
        if hasattr(command, "commands"):
            return {found for key, each in command.commands.items() for found in walk(each, f"{name} {key}".strip())}
        return {name}

    return walk(typer.main.get_command(app), "")


@pytest.fixture
def checked(ussearch: Command, crowded: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Run a command inside of the data folder and hold every file there against what it was."""
    before = digests(crowded)
    assert len(before) > 120
    monkeypatch.chdir(crowded)

    def run(status: int, *arguments: object, named: str = "") -> Outcome:
        """``named`` is the folder in the data folder that an option of this command, or one before it, named."""
        outcome = ussearch(*arguments)
        assert outcome.status == status, (arguments, outcome.out, outcome.err)
        after = digests(crowded)
        assert {name: after.get(name) for name in before} == before, arguments
        assert {name for name in after.keys() - before.keys() if name.split("/")[0] != named} == set(), arguments
        if status == 2:
            assert outcome.err.startswith("ussearch: ") and outcome.err.count("\n") == 1, (arguments, outcome.err)
        return outcome

    return run


def test_what_would_write_among_the_data_is_refused_before_any_work(
    checked: Callable[..., Outcome], crowded: Path, tmp_path: Path
) -> None:
    run = ("run", "--profile", "jetson-nano", "--data", ".", *TINY_RUN)
    assert "inside the data set" in checked(2, *run).err
    assert "holds a study already" in checked(2, *run, "--study", ".").err
    assert "is of no study" in checked(2, *run, "--study", "benign").err
    assert "is of no study" in checked(2, *run, "--study", "trials", "--resume").err
    assert "is of no study" in checked(2, *run, "--study", "studies").err
    checked(2, *run, "--study", tmp_path / "s", "--out", ".")
    checked(2, *run, "--study", tmp_path / "s", "--out", "bundle")
    assert not (tmp_path / "s").exists()
    assert "page.html stands there already" in checked(2, "data", "check", ".", "--html", "page.html").err
    assert "results.csv stands there already" in checked(2, "data", "check", ".", "--write-manifest", "results.csv").err
    assert "is not empty" in checked(2, "profile", "kit", "--out", "kit", "--networks", 12).err
    checked(2, "profile", "fit", "results.csv", "--name", "my-board", "--profiles-dir", ".")
    for command in ("report", "export", "pareto", "route", "compress", "show", "infer", "verify", "route-report"):
        checked(2, command, ".", *{"show": ("0",), "infer": (".",)}.get(command, ()))


@pytest.mark.slow
def test_every_command_in_a_data_folder_leaves_it_as_it_was(checked: Callable[..., Outcome], tmp_path: Path) -> None:
    study, out = tmp_path / "study", tmp_path / "out"
    bundle, data, other = study / "bundle", ("--data", "."), ("--profile", "raspberry-pi-4")
    steps: list[Step] = [
        (0, ("config", *data)),
        (0, ("data", "check", ".")),
        (0, ("data", "check", ".", "--html", out / "page.html")),
        (0, ("data", "check", ".", "--image-size", 64, "--lesion", 255, "--grey-scale", "0,255", "--region", "whole")),
        (0, ("run", "--profile", "jetson-nano", *data, "--study", study, *TINY_RUN)),
        (0, ("pareto", study, "--plot", out / "front.svg")),
        (0, ("pareto", study, "--plot", out / "front.svg")),  # its own is replaced
        (2, ("pareto", study, "--plot", "front.svg")),
        (0, ("show", study, "0")),
        (0, ("report", study)),
        (0, ("report", study)),
        (2, ("report", study, "--out", "report.html")),
        (0, ("specialise", study, *other, "--out", out / "other", "--plot", out / "other.png")),
        (0, ("specialise", study, *other, "--out", out / "other", "--plot", out / "other.png")),
        (2, ("specialise", study, *other, "--out", ".")),
        (2, ("specialise", study, *other, "--plot", "front.png")),
        (0, ("compress", study, "--trial", 0, "--steps", "fuse", "--no-uniform", "--plot", out / "steps.png")),
        (2, ("compress", study, "--trial", 0, "--steps", "fuse", "--no-uniform", "--plot", "front.png")),
        (0, ("route", study, "--no-learn")),
        (0, ("route-report", study, "--csv", out / "table.csv", "--plot", out / "curves.png")),
        (0, ("route-report", study, "--csv", out / "table.csv", "--plot", out / "curves.png")),
        (2, ("route-report", study, "--csv", "table.csv")),
        (2, ("route-report", study, "--plot", "front.png")),
        (0, ("export", study, "--no-compress", "--out", out / "bundle", "--triton", out / "models")),
        (0, ("export", bundle, "--triton", out / "models")),
        (2, ("export", study, "--no-compress", "--out", ".")),
        (2, ("export", study, "--no-compress", "--out", "bundle")),
        (0, ("verify", bundle, *data)),
        (0, ("threshold", bundle, "--false-positives", "90%", *data, "--out", out / "bolder")),
        (2, ("threshold", bundle, "--false-positives", "90%", *data, "--out", ".")),
        (2, ("threshold", bundle, "--false-positives", "90%", *data, "--out", "benign")),
        (0, ("evaluate", bundle, *data, "--out", out / "record.json")),
        (2, ("evaluate", bundle, *data, "--out", "results.csv")),
        (0, ("weights", "list")),
        (2, ("weights", "add", "results.csv")),
        (2, ("weights", "get", "nothing")),
        (0, ("check", bundle / "edge" / "model.onnx", "--profile", "jetson-nano")),
        (0, ("bench", bundle / "edge" / "model.onnx")),
        (0, ("presets",)),
        (0, ("profiles",)),
        (0, ("profile", "kit", "--out", out / "kit", "--networks", 12)),
        (2, ("profile", "kit", "--out", "kit", "--networks", 12)),
        (2, ("profile", "fit", out / "kit" / "results.csv", "--name", "my-board", "--profiles-dir", ".")),
        (2, ("infer", bundle, ".")),
        (2, ("infer", bundle, ".", "--out", ".")),
        (2, ("infer", bundle, "benign/*.png", "--out", "benign")),
        (0, ("infer", bundle, ".", "--out", out / "masks")),
        (0, ("infer", bundle, ".", "--out", FOUND)),
        (0, ("infer", bundle, ".", "--out", FOUND)),
        (2, ("infer", bundle, "benign", "--out", "benign")),
        (2, ("run", "--profile", "jetson-nano", *data, "--study", "benign", *TINY_RUN)),
    ]
    tried = {command_of(arguments) for _, arguments in steps}
    assert tried == all_commands() - NEEDS_ANOTHER_PROCESS - MINUTES_OF_MEASURING
    named = ""
    for status, arguments in steps:
        named = FOUND if FOUND in arguments else named
        checked(status, *arguments, named=named)
    assert named == FOUND
    assert len(list(Path(FOUND).rglob("*_mask.png"))) == 48 + 1 + 1  # of three classes, and front.png


def command_of(arguments: tuple[object, ...]) -> str:
    """Return the words of a command line that name the command."""
    return " ".join(map(str, arguments[: 2 if arguments[0] in {"data", "profile", "weights"} else 1]))
