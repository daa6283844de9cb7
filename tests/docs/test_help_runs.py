"""The example of every command's help does what it says, in a folder where the names in it are there."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli import conftest as cli
from tests.datasets.test_frames import dicom
from tests.docs.test_help import COMMANDS, example_of
from ussearch.datasets import PhantomParameters
from ussearch.datasets.phantoms import make_phantom
from ussearch.weights import require_file, weights_named

ussearch = cli.ussearch
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

SERVERS = {"serve": "/v2/health/ready", "dashboard": "/dashboard"}
"""Commands that run until Ctrl-C, with what they answer."""
PATIENCE_S = 120.0
MADE_FIRST = ("run", "profile kit")
"""Examples that leave what others name."""
FROM_SCRATCH = ("--pretrained", "off")
SHORTER: dict[str, tuple[str, ...]] = {
    "run": (
        "--image-size",
        "64",
        "--trials",
        "6",
        "--epochs",
        "1",
        "--final-epochs",
        "1",
        "--no-compress",
        *FROM_SCRATCH,
    ),
    "compress": ("--epochs", "1", "--steps", "fuse,prune"),
    "export": ("--no-compress",),
    "bench": ("--rounds", "1", "--seconds", "0.2"),
    "profile kit": ("--networks", "12"),
    "profile calibrate": ("--networks", "12", "--profiles-dir", "profiles"),
    "profile fit": ("--profiles-dir", "profiles"),
}
"""What is appended so that an example takes seconds; what it names is what the user would get, only worse."""


def write_busi(folder: Path, count: int = 140, side: int = 64) -> None:
    """Write phantoms in the layout of BUSI, those without a lesion as normal; enough of them for a bound on risk."""
    parameters = PhantomParameters(count=count, seed=0, image_size=side)
    for index in range(count):
        phantom = make_phantom(parameters, index)
        label = ("benign", "malignant")[index % 2] if phantom.mask.any() else "normal"
        place = folder / label
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(phantom.image).save(place / f"{label} ({index}).png")
        Image.fromarray(phantom.mask * 255).save(place / f"{label} ({index})_mask.png")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with all that examples name: busi, studies/busi, bundle, images, weights, kit/results.csv."""
    folder = tmp_path_factory.mktemp("examples")
    write_busi(folder / "busi")
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (70, 90), dtype=np.uint8)).save(folder / "image.png")
    dicom(folder / "cine.dcm", rng.integers(0, 255, (3, 60, 80), dtype=np.uint8))
    for name in MADE_FIRST:
        command = [sys.executable, "-m", "ussearch", *example_of(name), *SHORTER[name]]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    measure = [sys.executable, "kit/measure.py", "--rounds", "1", "--seconds", "0.2"]
    subprocess.run(measure, cwd=folder, check=True, capture_output=True)
    shutil.copytree(folder / "studies" / "busi" / "bundle", folder / "bundle")
    weights = require_file(weights_named("efficientnet-lite0"))[0]
    shutil.copyfile(weights, folder / weights.name)
    return folder


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in (*MADE_FIRST, *SERVERS)])
def test_the_example_runs(name: str, place: Path, ussearch: cli.Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    outcome = ussearch(*example_of(name), *SHORTER.get(name, ()))
    assert outcome.status == 0, outcome.out + outcome.err
    assert outcome.out
    written = [word for word in example_of(name) if Path(word).suffix in (".png", ".html")]
    assert all(Path(word).is_file() for word in written)


def test_the_examples_that_come_first_left_what_they_say(place: Path) -> None:
    assert len(json.loads((place / "studies/busi/split.json").read_text(encoding="utf-8"))["indices"]["train"]) > 40
    assert (place / "studies/busi/bundle/bundle.yaml").is_file()
    assert len(list((place / "kit/models").glob("*.onnx"))) == 12


@pytest.mark.parametrize("name", SERVERS)
def test_the_example_serves_until_ctrl_c(name: str, place: Path) -> None:
    words, port = example_of(name), free_port()
    words[words.index("--port") + 1] = str(port)
    process = subprocess.Popen([sys.executable, "-m", "ussearch", *words], cwd=place)
    try:
        assert status_of(f"http://127.0.0.1:{port}{SERVERS[name]}", process) == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(30) in (0, 130)
    finally:
        process.kill()
        process.wait()


def status_of(url: str, process: subprocess.Popen[bytes]) -> int:
    """Return what ``url`` answers once the process listens."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
                answer.read()  # a server that is still sending would take the signal for a fault of this request
                return int(answer.status)
        except urllib.error.URLError:
            assert process.poll() is None and time.monotonic() < deadline, f"{url} never answered"
            time.sleep(0.2)


def free_port() -> int:
    """Return a port of the loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
