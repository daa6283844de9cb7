"""The page of a data set: everything that is wrong has its picture, and nothing says where the data lie."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.datasets.conftest import disc, picture, save
from tests.datasets.test_frames import dicom
from tests.report.chromium import chromium
from ussearch.cli.data import app
from ussearch.datasets import check, open_dataset
from ussearch.report.data_page import data_page

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
SECRET = "ROE^JANE"


@pytest.fixture
def flawed(tmp_path: Path) -> Path:
    """Twelve scans of two classes: one double across the classes, and one of each fault."""
    root = tmp_path / "somewhere" / "clinic"
    for number in range(12):
        name = f"{'cyst' if number % 2 else 'solid'}/scan{number:02d}"
        save(root / f"images/{name}.png", picture(number))
        save(root / f"masks/{name}.png", disc())
    shutil.copy(root / "images/cyst/scan01.png", root / "images/solid/scan00.png")
    save(root / "masks/cyst/scan03.png", disc(radius=0))
    (root / "images/cyst/scan05.png").write_bytes(b"broken")
    save(root / "masks/cyst/scan07.png", disc(30, 30))
    (root / "masks/cyst/scan09.png").unlink()
    save(root / "masks/solid/orphan.png", disc())
    (root / "images/solid/scan02.png").unlink()
    dicom(root / "images/solid/scan02.dcm", picture(2)[None], PatientName=SECRET, PatientID="4711-99")
    return root


def section(page: str, name: str) -> str:
    (found,) = re.findall(rf'<section id="{name}">(.*?)</section>', page, re.DOTALL)
    return found


def test_every_fault_is_told_and_shown(flawed: Path) -> None:
    dataset = open_dataset(flawed, strict=False)
    page = data_page(check(dataset), dataset)
    problems = section(page, "problems")
    for kind in ("unreadable file", "size mismatch", "missing mask", "missing image"):
        assert kind in problems
    assert problems.count("cannot be read</div>") == 1
    assert "masks/cyst/scan07.png<br><small>30 x 30" in problems
    assert "masks/solid/orphan.png<br>" in problems and "images/cyst/scan09.png<br>" in problems
    assert section(page, "contradicting").count("<figure>") == 2
    assert "images/cyst/scan03.png" in section(page, "empty") and section(page, "empty").count("<figure>") == 1
    assert "Training cannot start" in page


def test_it_names_no_place_and_no_patient(flawed: Path) -> None:
    dataset = open_dataset(flawed, strict=False)
    page = data_page(check(dataset), dataset)
    assert "images/solid/scan02.dcm" not in page  # it is sound, so it is not shown
    assert str(flawed) not in page and "somewhere" not in page
    assert SECRET not in page and "4711-99" not in page


def test_names_are_escaped(tmp_path: Path) -> None:
    for name in ("a<b>", "c&d"):
        save(tmp_path / f"images/{name}.png", picture(1))
        save(tmp_path / f"masks/{name}.png", disc())
    dataset = open_dataset(tmp_path)
    page = data_page(check(dataset), dataset)
    assert "images/a&lt;b&gt;.png" in page and "a<b>" not in page


def test_a_split_that_tears_groups_apart_is_drawn(flawed: Path, tmp_path: Path) -> None:
    for sound in ("cyst/scan05", "cyst/scan07", "cyst/scan09"):
        (flawed / f"images/{sound}.png").unlink()
        (flawed / f"masks/{sound}.png").unlink(missing_ok=True)
    dataset = open_dataset(flawed, strict=False)
    names = [sample.id for sample in dataset.samples]
    file = tmp_path / "split.json"
    test = ["images/solid/scan00.png"]
    file.write_text(str({"train": [name for name in names if name not in test], "test": test}).replace("'", '"'))
    report = check(dataset, file)
    assert report.leakage is not None, report.problems
    shown = section(data_page(report, dataset), "split")
    assert "Groups on both sides: 1." in shown and shown.count("<figure>") == 2
    assert str(tmp_path) not in shown


def test_the_command_writes_it_also_beside_json(flawed: Path, tmp_path: Path) -> None:
    out = tmp_path / "pages" / "clinic.html"
    outcome = CliRunner().invoke(app, ["check", str(flawed), "--html", str(out), "--json"])
    assert outcome.exit_code == 1 and outcome.stdout.lstrip().startswith("{")
    assert out.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_it_opens_without_complaint_and_without_network(flawed: Path, tmp_path: Path, width: int) -> None:
    if not PROGRAM:
        pytest.skip("needs Debian's chromium: apt install chromium")
    dataset = open_dataset(flawed, strict=False)
    path = tmp_path / "page.html"
    path.write_text(data_page(check(dataset), dataset), encoding="utf-8")
    with chromium(PROGRAM, tmp_path / "profile") as browser:
        browser.open(path, width)
        assert browser.errors == []
        assert all(url.startswith(("file://", "data:")) for url in browser.requests)
        assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert browser.evaluate("document.querySelectorAll('figure').length") >= 8
        loaded = "[...document.querySelectorAll('svg image')].every((each) => each.getBBox().width > 0)"
        assert browser.evaluate(loaded)
    assert np.asarray(Image.open(flawed / "images/cyst/scan01.png")).any()  # the data are as they were
