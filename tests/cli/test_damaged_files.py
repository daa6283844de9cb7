"""Every file of a study cut in half, as a full disk or a copy that stopped leaves it: one sentence, never a defect."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .conftest import Command

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "0f14119" / "study"
FILES = sorted(
    path.relative_to(FIXTURE).as_posix()
    for path in FIXTURE.rglob("*")
    if path.suffix in {".json", ".yaml", ".safetensors"}
)
OFTEN_READ = {"split.json"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in OFTEN_READ else pytest.mark.slow) for name in FILES]
)
def test_what_reads_a_damaged_file_names_it_and_the_hint(name: str, ussearch: Command, tmp_path: Path) -> None:
    study = shutil.copytree(FIXTURE, tmp_path / "study")
    path = study / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    outcomes = [
        ussearch(*words)
        for words in (("pareto", study), ("report", study), ("export", study, "--out", tmp_path / "pair"))
    ]
    for outcome in outcomes:
        assert outcome.status in {0, 2}, outcome.err
        if outcome.status:
            said = " ".join(outcome.err.split())
            assert path.parent.name in said and ":" in said and "Traceback" not in said, said
    assert not (study / "error.log").exists()
    read_by_all = {"study.yaml", "trials/0000/record.json", "trials/0001/record.json", "trials/0002/record.json"}
    assert name not in read_by_all or all(outcome.status == 2 for outcome in outcomes)
