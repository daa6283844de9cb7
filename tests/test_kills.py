"""``benchmarks/kills.py``: a sample of its places, and that its checks see what is lost."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = ROOT / "benchmarks" / "kills.py"


@pytest.fixture(autouse=True)
def _benchmarks() -> Iterator[None]:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield
    sys.path.remove(str(ROOT / "benchmarks"))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_at_places_of_every_stage_nothing_is_lost(tmp_path: Path) -> None:
    rows = tmp_path / "kills.csv"
    command = [sys.executable, PROGRAM, "--places", "1", "--rows", rows, "--work", tmp_path / "work"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 0, done.stdout + done.stderr
    with rows.open(newline="") as file:
        found = list(csv.DictReader(file))
    assert len(found) >= 20
    assert {row["command"] for row in found} == {"run", "export", "route", "compress"}
    assert {"write", "sync", "rename"} <= {row["operation"] for row in found}
    assert {row["lost"] for row in found} == {row["trained_again"] for row in found} == {"nothing"}
    assert any(row["bundle"] == "whole" for row in found) and max(int(row["finished"]) for row in found) > 3


def test_the_committed_rows_have_nothing_wrong() -> None:
    import kills

    rows = kills.read(kills.ROWS)
    assert [row for row in rows if not row.passed] == []
    assert len({(row.command, row.n) for row in rows}) == len(rows)
    assert {row.command for row in rows} == {"run", "export", "route", "compress"}


def test_a_row_with_anything_wrong_does_not_pass() -> None:
    import kills

    good = kills.Row("run", "search", "sync", 1, "x", 1, "nothing", "none", 0, "nothing", "nothing", "nothing")
    assert good.passed
    wrong = {"lost": "a", "bundle": "damaged", "next_status": 2, "trained_again": "a", "differs": "a", "left_over": "a"}
    for name, value in wrong.items():
        assert not replace(good, **{name: value}).passed, name


def test_operations_tell_what_is_finished() -> None:
    from killed.checks import finished_before
    from killed.operations import Operation

    done = [
        Operation("rename", "trials/0000/record.json", "trials/0000/.record.json.1.ab.part"),
        Operation("rename", "finalists/0000/attempts/a/record.json", "x"),
        Operation("write", "finalists/.0000.1.ab.part/record.json"),
        Operation("rename", "finalists/.0000.aside", "finalists/0000"),
    ]
    attempt, trial = "finalists/0000/attempts/a/record.json", "trials/0000/record.json"
    assert finished_before([], done[:1]) == {trial}
    assert finished_before([], done) == {trial, attempt}, "set aside, with nothing in its place, it counts"
    swapped = [*done, Operation("rename", "finalists/0000", "finalists/.0000.1.ab.part")]
    assert finished_before([], swapped) == {trial, "finalists/0000/record.json"}
    assert finished_before([trial], [Operation("removal", trial)]) == set()


def test_what_is_lost_or_trained_again_is_seen(tmp_path: Path) -> None:
    from killed.checks import digests, left_over, trained_again, training_seconds

    trial, attempt = "trials/0000/record.json", "finalists/0000/attempts/a/record.json"
    for name in (trial, attempt):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(json.dumps({"evaluation": {"training_seconds": 1.25}}))
    found, seconds = digests(tmp_path, {trial, attempt, "lost"}), training_seconds(tmp_path, {trial, attempt})
    assert found.keys() == {trial, attempt} and seconds == {attempt: 1.25}
    assert trained_again(tmp_path, found, seconds) == []
    (tmp_path / attempt).unlink()
    kept = tmp_path / "finalists" / "0000" / "record.json"
    for training_s, again in ((1.25, []), (1.5, [attempt])):
        kept.write_text(json.dumps({"attempts": [{"training_seconds": training_s}]}))
        assert trained_again(tmp_path, found, seconds) == again
    (tmp_path / trial).write_text("{}")
    assert set(trained_again(tmp_path, found, seconds)) == {trial, attempt}
    (tmp_path / ".x.aside").mkdir()
    assert left_over(tmp_path) == [".x.aside"]


def test_every_operation_is_seen(tmp_path: Path) -> None:
    program = (
        "import json, os, shutil, sys; from pathlib import Path; from killed.operations import Watch\n"
        "root = Path(sys.argv[1]); watch = Watch(root / 'study'); watch.begin()\n"
        "folder = root / 'study' / 'a'; folder.parent.mkdir(); folder.mkdir()\n"
        "file = (folder / 'b').open('w'); os.fsync(file.fileno()); file.close()\n"
        "(folder / 'b').rename(folder / 'c'); (folder / 'c').read_text(); (root / 'other').write_text('')\n"
        "os.link(folder / 'c', folder / 'd'); (folder / 'd').unlink(); shutil.rmtree(folder)\n"
        "print(json.dumps([[each.kind, each.path] for each in watch.operations]))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "benchmarks")])}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True, env=environment
    )
    assert json.loads(done.stdout) == [
        ["folder", "a"],
        ["write", "a/b"],
        ["sync", "a/b"],
        ["rename", "a/c"],
        ["link", "a/d"],
        ["removal", "a/d"],
        ["removal", "a/c"],
        ["removal", "a"],
    ]


def test_what_counts_as_finished_is_in_its_place() -> None:
    from killed.checks import finished_before
    from killed.operations import Operation

    part, place = "compressed/0/steps/.fuse-1.2.ab.part", "compressed/0/steps/fuse-1"
    written = Operation("write", f"{part}/record.json", "")
    moved = Operation("rename", place, part)
    assert finished_before((), [written]) == set()
    assert finished_before((), [written, moved]) == {f"{place}/record.json"}
    assert finished_before(("bundle/bundle.yaml",), [Operation("rename", ".bundle.aside", "bundle")]) == {
        "bundle/bundle.yaml"
    }
