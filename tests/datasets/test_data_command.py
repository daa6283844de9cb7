"""``ussearch data check`` shows the report, or encodes all of it."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image
from typer.testing import CliRunner

from ussearch.cli.data import app


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
