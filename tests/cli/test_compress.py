"""``ussearch compress`` and the chain within ``run`` and ``export``, through the real command line."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import onnx
import pytest

from ussearch.compress import Compression
from ussearch.compress.quantisation import int8_nodes
from ussearch.pairs import Bundle
from ussearch.search_spaces import Architecture, build

from .conftest import TINY_RUN, Command


def test_compress_prints_its_waterfall_and_keeps_its_record(ussearch: Command, study: Path, tmp_path: Path) -> None:
    picture = tmp_path / "waterfall.png"
    outcome = ussearch("compress", study, "--epochs", 1, "--max-drop", 100, "--plot", picture)
    assert outcome.status == 0, outcome.err
    for word in ("fuse", "prune", "distil", "quantise", "deploy form, FP32", "shipped:", "paired bootstrap"):
        assert word in outcome.out
    assert picture.stat().st_size > 10_000
    folder = next((study / "compressed").iterdir())
    record = Compression.model_validate_json((folder / "compression.json").read_text())
    assert {each.step for each in record.records} == {"fuse", "prune", "distil", "quantise"}
    architecture = Architecture.from_yaml((folder / "network" / "architecture.yaml").read_text())
    assert build(architecture).architecture == architecture
    assert int8_nodes(onnx.load(folder / "model.onnx")) == [], "a Jetson Nano has no INT8"
    again = ussearch("compress", study, "--epochs", 1, "--max-drop", 100, "--json")
    assert again.status == 0, again.err
    assert Compression.model_validate_json(again.out).records == record.records, "finished steps are read"


def test_steps_are_chosen_and_a_budget_names_what_it_leaves_out(ussearch: Command, study: Path) -> None:
    outcome = ussearch("compress", study, "--steps", "fuse,prune", "--budget", "1s", "--json")
    assert outcome.status == 0, outcome.err
    record = json.loads(outcome.out)
    assert [each["step"] for each in record["records"]] == ["fuse"]
    assert set(record["skipped"]) == {"prune", "uniform scaling"}
    assert f"ussearch compress {study} --trial" in record["skipped"]["prune"]


def test_export_delivers_what_left_the_chain(ussearch: Command, study: Path, tmp_path: Path) -> None:
    outcome = ussearch("export", study, "--out", tmp_path / "bundle", "--budget", "1s")
    assert outcome.status == 0, outcome.out + outcome.err
    assert "skipped" in outcome.out and "accepted by ussearch verify" in outcome.out
    bundle = Bundle.load(tmp_path / "bundle")
    assert bundle.manifest.edge.compression
    Compression.model_validate_json((bundle.folder / "edge" / "compression.json").read_text())


def test_export_takes_the_steps_and_the_measurements_of_the_chain(
    ussearch: Command, study: Path, tmp_path: Path
) -> None:
    assert ussearch("compress", study, "--steps", "fuse").status == 0
    files = sorted(study.glob("compressed/*/steps/*.onnx"))
    rows = [f"{hashlib.sha256(path.read_bytes()).hexdigest()},5.0" for path in files]
    assert rows, "the chain's files lie in the study"
    board = tmp_path / "board.csv"
    board.write_text("\n".join(["sha256,latency_ms", *rows]) + "\n")
    outcome = ussearch("export", study, "--out", tmp_path / "b", "--steps", "fuse", "--measurements", board)
    assert outcome.status == 0, outcome.out + outcome.err
    record = Compression.model_validate_json((tmp_path / "b" / "edge" / "compression.json").read_text())
    assert [each.step for each in record.records] == ["fuse"] and "board.csv" in record.speed.source
    outcome = ussearch("export", study, "--steps", "prun")
    assert outcome.status == 2 and "Unknown step 'prun'" in outcome.err


def test_run_compresses_within_its_budget(ussearch: Command, tiny_data: Path, tmp_path: Path) -> None:
    arguments = ("run", "--profile", "x86-server", "--data", tiny_data, "--study", tmp_path / "s", *TINY_RUN)
    outcome = ussearch(*arguments, "--trials", 2, "--compress", "--budget", "10s", "--json")
    assert outcome.status == 0, outcome.err
    result = json.loads(outcome.out)
    assert result["verified"] and result["compression"]["skipped"]
    manifest = Bundle.load(Path(result["bundle"])).manifest
    assert manifest.edge.precision == result["compression"]["end"]["precision"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--steps", "prun"), "Unknown step 'prun'"),
        (("--trial", 99), "99"),
        (("--epochs", 0), "--epochs 0 is not possible"),
        (("--max-drop", -1), "--max-drop -1.0 is not possible"),
        (("--measurements", "nothing.csv"), "no table of measurements"),
        (("--unlabelled", "nowhere"), "--unlabelled nowhere is no folder"),
        (("--budget", "soon"), "'soon' is no time"),
    ],
)
def test_bad_input_is_one_sentence(
    ussearch: Command, tiny_study: Path, arguments: tuple[object, ...], sentence: str
) -> None:
    outcome = ussearch("compress", tiny_study, *arguments)
    assert outcome.status == 2
    assert sentence in outcome.err and len(outcome.err.strip().splitlines()) == 1
    assert not (tiny_study / "compressed").exists()


@pytest.mark.slow
def test_a_killed_chain_goes_on(ussearch: Command, study: Path) -> None:
    steps = ("--trial", 1, "--steps", "fuse,prune,distil")  # of the others prune finds too little to take
    arguments = ("compress", study, *steps, "--epochs", 2, "--max-drop", 100, "--no-uniform")
    process = subprocess.Popen(
        [sys.executable, "-m", "ussearch", *map(str, arguments)], stdout=subprocess.DEVNULL, env=dict(os.environ)
    )
    deadline = time.monotonic() + 120
    while not list(study.glob("compressed/*/steps/prune-*/record.json")) and time.monotonic() < deadline:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in study.glob("compressed/*/steps/*/record.json")}
    assert kept
    outcome = ussearch(*arguments)
    assert outcome.status == 0, outcome.err
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "finished steps are not repeated"
    assert next(study.glob("compressed/*/compression.json"))
