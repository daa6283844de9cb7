"""``ussearch data check`` shows the report, or encodes all of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from ussearch.cli.data import app
from ussearch.datasets import open_dataset, prepare, split
from ussearch.errors import UserError

from .conftest import disc


def test_command_shows_and_encodes(busi: Path) -> None:
    shown = CliRunner().invoke(app, ["check", str(busi)])
    assert shown.exit_code == 0 and "benign 6, malignant 4, normal 2" in shown.output
    (busi / "benign/benign (2).png").write_bytes(b"broken")
    Image.new("L", (9, 9)).save(busi / "benign/benign (3)_mask.png")
    encoded = CliRunner().invoke(app, ["check", str(busi), "--json"])
    content = json.loads(encoded.stdout)
    assert encoded.exit_code == 1 and content["sound"] is False and len(content["problems"]) == 2
    shown = CliRunner().invoke(app, ["check", str(busi)])
    assert shown.exit_code == 1 and "Training cannot start" in shown.output and "benign (3)_mask.png" in shown.output


def test_brackets_in_names_are_printed_as_they_are(busi: Path) -> None:
    folder = busi.rename(busi.parent / "[red]ü [x]")
    (folder / "benign/benign (2).png").write_bytes(b"broken")
    shown = CliRunner().invoke(app, ["check", str(folder)])
    assert shown.exit_code == 1 and str(folder) in shown.output.splitlines()[0]


def test_what_a_run_could_not_divide_is_refused_by_the_check_too(tmp_path: Path) -> None:
    """Three images: each would have to be a part of its own, and there are four."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 50), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number}.png")
        Image.fromarray(disc(40, 50)).save(tmp_path / "masks" / f"{number}.png")
    shown = CliRunner().invoke(app, ["check", str(tmp_path)])
    assert shown.exit_code == 1 and "Training cannot start" in shown.output
    with pytest.raises(UserError) as refused:
        split(prepare(open_dataset(tmp_path), 16))
    assert str(refused.value) in " ".join(shown.output.split())
