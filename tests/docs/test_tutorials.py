"""The tutorials run as written, in an empty folder; their last commands leave what they promise."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.docs.run_tutorials import TUTORIALS, environment, missing, run


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("name", "study"), [("phantoms", "first"), ("busi", "busi")])
def test_a_tutorial_runs_as_written(name: str, study: str, tmp_path: Path) -> None:
    page = TUTORIALS / f"{name}.md"
    if variable := missing(page):
        pytest.skip(f"{page.name} needs {variable}, the folder of its data set")
    assert run(page, tmp_path, environment(Path(sys.executable), tmp_path)) == 0
    assert (tmp_path / "studies" / study / "bundle" / "bundle.yaml").is_file()
    assert (tmp_path / "studies" / study / "report.html").is_file()


def test_every_tutorial_is_tried() -> None:
    assert {page.stem for page in TUTORIALS.glob("*.md")} == {"phantoms", "busi"}
