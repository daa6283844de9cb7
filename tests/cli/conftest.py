"""The real command line, in this process, and tiny data for it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from ussearch.cli import main
from ussearch.datasets import PhantomParameters
from ussearch.datasets.phantoms import make_phantom


@dataclass(frozen=True)
class Outcome:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture
def ussearch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run ``ussearch ARGUMENTS`` and return its outcome; a traceback fails the test."""

    def call(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["ussearch", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return call


def write_data(folder: Path, count: int = 48, side: int = 64, seed: int = 0) -> Path:
    """Write phantoms as a plain data set, ``images/`` and ``masks/``, and return its folder."""
    parameters = PhantomParameters(count=count, seed=seed, image_size=side)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for index in range(count):
        phantom = make_phantom(parameters, index)
        Image.fromarray(phantom.image).save(folder / "images" / f"p{index:03d}.png")
        Image.fromarray(phantom.mask * 255).save(folder / "masks" / f"p{index:03d}.png")
    return folder


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data set of 48 phantoms of 64 pixels a side; tests must not change it."""
    return write_data(tmp_path_factory.mktemp("data") / "tiny")


TINY_RUN = (
    *("--trials", 4, "--epochs", 1, "--final-epochs", 1, "--image-size", 64, "--threads", 1, "--no-compress"),
    *("--pretrained", "off", "--final-restarts", 0),
)
"""A run that takes seconds; compression has tests of its own, and ``tiny_study`` trains from random starts, too."""


@pytest.fixture(scope="session")
def tiny_study(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished study with its bundle, made through the command line's own code."""
    from ussearch.pipeline import run
    from ussearch.run_options import config_from

    folder = tmp_path_factory.mktemp("studies") / "tiny"
    run(
        config_from(
            {
                **{"profile": "jetson-nano", "data": tiny_data, "study": folder, "image_size": 64, "threads": 1},
                **{"trials": 4, "epochs": 1, "final_epochs": 1, "offload_share": 0.3, "compress": False},
                **{"pretrained": "off"},
            }
        )
    )
    return folder


@pytest.fixture
def study(tiny_study: Path, tmp_path: Path) -> Path:
    """A copy of the finished study that a test may change."""
    return Path(shutil.copytree(tiny_study, tmp_path / "study"))
