"""What docs/adding.md says works: its examples are files, and its commands are run in a copy of the checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.docs.run_tutorials import environment, run
from ussearch.datasets import PhantomParameters
from ussearch.datasets.phantoms import make_phantom

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "adding.md"
pytestmark = pytest.mark.timeout(3600)
_EXAMPLE = re.compile(r"^`(?P<path>examples/\S+)`:\n\n```\w+\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_page_shows_the_example_files_word_by_word() -> None:
    shown = {each["path"]: each["text"] for each in _EXAMPLE.finditer(PAGE.read_text(encoding="utf-8"))}
    files = [path for path in (ROOT / "examples").rglob("*.*") if path.suffix in (".py", ".yaml")]
    assert shown == {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in files}


def write_cases(folder: Path) -> None:
    """Write three patients of four frames in the layout of the example's reader."""
    parameters = PhantomParameters(count=12, seed=3, image_size=64)
    for index in range(12):
        case = folder / f"case-{index // 4 + 1:03d}"
        case.mkdir(parents=True, exist_ok=True)
        phantom = make_phantom(parameters, index)
        Image.fromarray(phantom.image).save(case / f"{index % 4 + 1}.png")
        Image.fromarray(phantom.mask * 255).save(case / f"{index % 4 + 1}-lesion.png")


@dataclass(frozen=True)
class Extended:
    """A copy of the checkout in which all commands of the page were run."""

    folder: Path
    variables: dict[str, str]

    def json_of(self, *arguments: str) -> Any:
        """Return what ``ussearch ARGUMENTS --json`` prints there."""
        command = [sys.executable, "-m", "ussearch", *arguments, "--json"]
        done = subprocess.run(command, cwd=self.folder, env=self.variables, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Extended:
    folder = tmp_path_factory.mktemp("extended") / "checkout"
    for part in ("ussearch", "examples", "tests"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    write_cases(folder / "cases")
    own = environment(Path(sys.executable), folder)
    variables = own | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": os.environ["COLUMNS"]}
    assert run(PAGE, folder, variables) == 0
    return Extended(folder, variables)


def ghost_parameters(in_channels: int, width: int) -> int:
    """Weights and norms of a 3×3 convolution to half the width and of a depthwise 3×3 on its output."""
    half = width // 2
    return (in_channels * half * 9 + 2 * half) + (half * 9 + 2 * half)


@pytest.mark.slow
def test_a_block_and_a_preset_are_added(extended: Extended) -> None:
    sheet = extended.json_of("presets", "ghost-unet")
    blocks = [(1, 16), (16, 32), (32, 32), (32, 64), (64, 64), (64, 64), (64 + 32, 32), (32 + 16, 16)]
    head = 16 + 1
    assert sheet["parameters_training"] == sum(ghost_parameters(*each) for each in blocks) + head
    exported = extended.json_of("verify", "ghost-bundle")
    assert exported["passed"] is True
    record = extended.json_of("show", "studies/ghost", "0")
    assert record["architecture"]["stages"][0]["blocks"][0]["kind"] == "ghost"


@pytest.mark.slow
def test_a_step_is_added(extended: Extended) -> None:
    (found,) = (extended.folder / "studies" / "ghost" / "compressed").rglob("compression.json")
    records = {record["step"]: record for record in json.loads(found.read_text(encoding="utf-8"))["records"]}
    assert list(records) == ["fuse", "clip"]
    assert records["clip"]["settings"]["deviations"] >= 3.0
    # whether so short a training leaves a weight that far out is chance
    assert records["clip"]["after"] is not None or records["clip"]["reason"] == "it changes nothing"


@pytest.mark.slow
def test_a_reader_is_added(extended: Extended) -> None:
    report = extended.json_of("data", "check", "cases")
    assert (report["reader"], report["images"], report["patients"]) == ("cases", 12, 3)
    assert report["problems"] == []


@pytest.mark.slow
def test_a_device_is_added(extended: Extended) -> None:
    profile = extended.json_of("profiles", "clinic-box", "--profiles-dir", "examples/adding/profiles")
    facts, latency = profile["facts"], profile["latency"]
    assert facts["fp32_gflops"] == pytest.approx(4 * 1.4 * 8)
    assert latency["ms_per_gmac"] == pytest.approx(2 / facts["fp32_gflops"] * 1e3, rel=1e-3)
    assert latency["ms_per_mib"] == pytest.approx(2**20 / (facts["bandwidth_gb_per_s"] * 1e9) * 1e3, rel=1e-3)
