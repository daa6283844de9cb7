"""The program that measures, as a program: on tiny models, on bad input, and under an old Python."""

from __future__ import annotations

import ast
import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import scipy.ndimage
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from tests.old_pythons import old_python
from ussearch.cli.app import app
from ussearch.errors import UserError
from ussearch.hardware_profiles.measuring import measure
from ussearch.hardware_profiles.measuring.bench import Measurement, bench
from ussearch.serving.board import run_edge_source

SOURCE = Path(measure.__file__)
QUICK = ("--rounds", "2", "--seconds", "0.05", "--patience", "0", "--threads", "1", "--runtime", "onnxruntime")
FIGURES = "min = {0} ms, max = 13.8 ms, mean = 11.9 ms, median = {1} ms, percentile(99%) = 13.5 ms"
TRTEXEC_82 = "\n".join(
    f"[11/21/2026-10:00:00] [I] {line}"
    for line in (
        "TensorRT version: 8.2.1",
        "Timing trace has 250 queries over 3.01 s",
        f"Latency: {FIGURES.format(11.9, 12.1)}",
        f"GPU Compute Time: {FIGURES.format(11.5, 11.8)}",
    )
)


def tiny_model(path: Path, channels: int = 4, side: int = 16) -> Path:
    """Write a convolution with a ReLU."""
    weight = np.random.default_rng(0).random((channels, 1, 3, 3), dtype=np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], pads=[1] * 4, name="conv"),
        helper.make_node("Relu", ["c"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, side, side])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, channels, side, side])],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def run_program(
    *arguments: str, python: str = sys.executable, program: Path = SOURCE
) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, str(program), *arguments], capture_output=True, text=True, check=False, timeout=300)


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_a_csv_of_every_model_and_the_nodes_beside_it(tmp_path: Path) -> None:
    models = [tiny_model(tmp_path / f"{name}.onnx", side=side) for name, side in (("small", 16), ("large", 256))]
    done = run_program(*map(str, models), "--out", str(tmp_path / "results.csv"), *QUICK)
    assert done.returncode == 0, done.stderr
    small, large = rows_of(tmp_path / "results.csv")
    assert (small["model"], large["model"]) == ("small.onnx", "large.onnx")
    assert 0 < float(small["latency_ms"]) < float(large["latency_ms"])
    for row in (small, large):
        assert float(row["p50_ms"]) <= float(row["p90_ms"]) <= float(row["p95_ms"]) <= float(row["p99_ms"])
        assert float(row["base_rss_mib"]) < float(row["peak_rss_mib"]) < 2000
        assert (row["runtime"], row["precision"], row["threads"]) == ("onnxruntime", "fp32", "1")
        assert int(row["rounds"]) >= 2  # more where the machine was slow
        assert float(row["latency_ms"]) <= float(row["p90_ms"])
    nodes = json.loads((tmp_path / "results.nodes.json").read_text())
    assert any("Conv" in operator for operator, *_ in nodes["large.onnx"])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["absent.onnx"], "No model at absent.onnx"),
        (["--threads", "0"], "must be positive"),
        (["--provider", "Nonsense", "--one", "MODEL"], "has no Nonsense here"),
        (["BROKEN", *QUICK], "cannot be measured"),
    ],
)
def test_mistakes_are_one_sentence_and_nothing_is_written(arguments: list[str], expected: str, tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    places = {"MODEL": str(tiny_model(tmp_path / "m.onnx")), "BROKEN": str(tmp_path / "broken.onnx")}
    done = run_program(*(places.get(each, each) for each in arguments), "--out", str(tmp_path / "r.csv"))
    assert done.returncode == 2
    assert expected in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "r.csv").exists()


def test_what_trtexec_prints_is_read() -> None:
    row = measure.parse_trtexec(TRTEXEC_82)
    assert (row["p50_ms"], row["p99_ms"], row["runs"], row["runtime_version"]) == (11.8, 13.5, 250, "8.2.1")
    with pytest.raises(measure.MeasurementError, match="no latency"):
        measure.parse_trtexec("&&&& FAILED")


def test_percentiles_are_numpys() -> None:
    times = np.random.default_rng(0).gamma(9, size=401)
    row = measure.percentiles(list(times))
    for share in measure.PERCENTILES:
        assert row[f"p{share}_ms"] == pytest.approx(np.percentile(times, share, method="higher"), rel=0.02)
    assert (row["sd_ms"], row["runs"]) == (pytest.approx(times.std()), len(times))


def rounds_of(*stretches: tuple[float, float]) -> list[dict[str, Any]]:
    """One round; every stretch is (time of the matrix product, time of each of its runs)."""
    return [{"stretches": [[reference, [milliseconds] * 3] for reference, milliseconds in stretches], "busy": 0.0}]


def test_only_what_ran_beside_a_fast_core_makes_the_latency(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "m.onnx")
    fast, slow = [(1.0, 10.0 + 0.1 * step) for step in range(8)], [(1.3, 13.0)] * 60
    row = measure.finished(model, rounds_of(*slow, *fast), 1.0)
    assert row["latency_ms"] == pytest.approx(10.2) and row["reference_ms"] == 1.0
    assert (row["slowed"], row["p50_ms"], row["runs"]) == (0, 13.0, 3 * 68)


def test_a_model_that_hardly_met_a_fast_core_is_said_so(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "m.onnx")
    few = rounds_of(*[(1.0, 10.0)] * (measure.ENOUGH - 1), *[(1.3, 13.0)] * 35)
    assert measure.unsettled(few, 1.0) and measure.finished(model, few, 1.0)["slowed"] == 1
    assert measure.finished(model, few, 1.0)["latency_ms"] == 10.0  # the fastest twentieth: the best that was seen
    assert not measure.unsettled([{"p50_ms": 3.0}], 0.0)  # trtexec tells no stretches


def test_rounds_go_on_for_models_that_met_a_slowed_core_until_patience_ends(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    models = [tiny_model(tmp_path / f"{name}.onnx") for name in ("steady", "unlucky")]
    asked: list[str] = []

    def apart(path: Path, _: Any) -> dict[str, Any]:
        asked.append(path.stem)
        fast = path.stem == "steady" or asked.count("unlucky") > 4
        return rounds_of(*[(1.0 if fast else 2.0, 5.0)] * 10)[0]

    monkeypatch.setattr(measure, "measure_apart", apart)
    rows = measure.measure_all(models, SimpleNamespace(rounds=2, patience=60.0), lambda _: None)
    assert (asked.count("steady"), asked.count("unlucky")) == (2, 5)
    assert [row["slowed"] for row in rows] == [0, 0]
    asked.clear()
    rows = measure.measure_all(models, SimpleNamespace(rounds=2, patience=0.0), lambda _: None)
    assert asked.count("unlucky") == 2 and [row["slowed"] for row in rows] == [0, 1]


def test_the_share_of_others_leaves_out_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure.os, "cpu_count", lambda: 2)
    assert measure.busy_share([0.0, 0.0, 0.0], [10.0, 13.0, 8.0]) == pytest.approx(0.25)
    assert measure.busy_share([0.0, 0.0, 0.0], [10.0, 9.9, 10.0]) == 0.0
    assert measure.busy_share(None, None) is None


@pytest.mark.slow
def test_bench_is_the_same_from_python_and_from_the_command_line(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "m.onnx", side=128)
    found = bench(path, rounds=1, seconds=0.05)
    assert isinstance(found, Measurement) and found.frames_per_second == pytest.approx(1000 / found.latency_ms)
    arguments = ["bench", str(path), "--rounds", "1", "--seconds", "0.1", "--profile", "raspberry-pi-5", "--json"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    shown = json.loads(result.stdout)
    assert shown.keys() >= found.to_dict().keys()
    assert shown["prediction"]["source"].startswith("predicted for raspberry-pi-5")
    text = CliRunner().invoke(app, arguments[:-1], catch_exceptions=False).output
    assert "measured (ms)" in text and "predicted (ms)" in text


def test_bench_refuses_what_it_cannot_measure(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(UserError, match="not an ONNX file"):
        bench(tmp_path / "broken.onnx")
    with pytest.raises(UserError, match="999 threads were asked for"):
        bench(tiny_model(tmp_path / "m.onnx"), threads=999)


@pytest.mark.parametrize(("call_ms", "ns_per_pixel"), [(0.4, 30.0), (0.0, 10.0), (2.0, 0.0)])
def test_post_processing_is_a_call_and_a_part_in_proportion_to_the_pixels(
    call_ms: float, ns_per_pixel: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now_s=0.0)
    monkeypatch.setitem(sys.modules, "made_up_clock", clock)  # type: ignore[arg-type]
    monkeypatch.setattr(measure.time, "perf_counter", lambda: clock.now_s)
    runner = tmp_path / "run_edge.py"
    runner.write_text(
        "import made_up_clock\n\ndef lesion_mask(probabilities, how):\n"
        f"    made_up_clock.now_s += {call_ms / 1e3} + {ns_per_pixel / 1e9} * probabilities.size\n"
    )
    found = measure.measure_postprocessing(runner)
    assert found["postprocessing_call_ms"] == pytest.approx(call_ms, abs=1e-6)
    assert found["postprocessing_ms"] == pytest.approx(call_ms + ns_per_pixel * 256**2 / 1e6, abs=1e-6)


def test_masks_are_made_up_like_those_of_a_network() -> None:
    generator = np.random.RandomState(0)
    masks = [measure.made_up(np, generator, 256) for _ in range(20)]
    assert all(mask.dtype == np.float32 and 0 <= mask.min() < mask.max() <= 1 for mask in masks)
    lesions = [scipy.ndimage.label(mask >= 0.5, np.ones((3, 3)))[1] for mask in masks]
    assert 5 <= np.median(lesions) <= 25 and 0.03 < np.mean([(mask >= 0.5).mean() for mask in masks]) < 0.2


def test_it_is_valid_python_3_6_and_imports_nothing_else() -> None:
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"), feature_version=(3, 6))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= set(sys.stdlib_module_names) | {"numpy", "onnxruntime"}


@pytest.mark.parametrize("version", ["3.6", *(pytest.param(each, marks=pytest.mark.slow) for each in ("3.7", "3.8"))])
def test_it_measures_under_old_pythons(version: str, tmp_path: Path) -> None:
    python = old_python(version, tmp_path / "venv")
    model = tiny_model(tmp_path / "m.onnx")
    program = tmp_path / "kit" / "measure.py"
    program.parent.mkdir()
    shutil.copyfile(SOURCE, program)
    (program.parent / "run_edge.py").write_text(run_edge_source(), encoding="utf-8")
    done = run_program(str(model), "--out", str(tmp_path / "r.csv"), *QUICK, python=python, program=program)
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = rows_of(tmp_path / "r.csv")
    assert float(row["latency_ms"]) > 0
    whole_ms, call_ms = float(row["postprocessing_ms"]), float(row["postprocessing_call_ms"])
    assert whole_ms > 0 and whole_ms >= call_ms >= 0
