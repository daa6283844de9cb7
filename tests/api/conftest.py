"""A folder with a study and a bundle, as the examples of the docstrings expect them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pairs.conftest import cloud_member, data_folder, edge_member, finished, pair_data
from tests.report.conftest import make_material, make_record
from ussearch.pairs import Bundle

__all__ = ["cloud_member", "data_folder", "edge_member", "finished", "pair_data"]


@pytest.fixture(scope="session")
def examples(finished: Bundle, data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``study`` with three finished trials of six, ``bundle`` of hand-made networks, ``scan.png``, ``other.png``."""
    root = tmp_path_factory.mktemp("examples")
    shutil.copytree(finished.folder, root / "bundle")
    for number, name in ((5, "scan.png"), (6, "other.png")):
        shutil.copyfile(data_folder / "images" / f"{number:02d}.png", root / name)
    dice_and_ms = ((0.4, 30.0), (0.6, 10.0), (0.7, 20.0))
    make_material(root / "study", [make_record(trial_id, *figures) for trial_id, figures in enumerate(dice_and_ms)])
    return root


@pytest.fixture
def there(examples: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Be in that folder."""
    monkeypatch.chdir(examples)
    yield examples
