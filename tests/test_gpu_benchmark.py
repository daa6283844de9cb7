"""The program that measures a GPU, as far as it runs without one."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.cards import META, MetaCards
from ussearch.accelerators import supplied

pytestmark = pytest.mark.usefixtures("benchmarks_importable")
PROGRAM = Path(__file__).resolve().parents[1] / "benchmarks" / "gpu.py"
MACHINE = {"device": "Test GPU", "capability": "9.0", "torch": "2.13", "CUDA": "13.0", "python": "3.12"}
ROWS: dict[str, dict[str, Any]] = {
    "parity/unext": {"logits": 1e-6, "gradients": 1e-4, "movement": 1e-3},
    "parity/bmis": {"logits": 1e-6, "gradients": 0.5, "movement": 1e-3},
    "bf16/lv-unet": {"pixels_differing": 0.001, "bf16": 0.71, "fp32": 0.72},
    **{f"batch/{name}/bf16/4": {"images_a_second": 800.0, "step_ms": 5.0} for name in ("cea-net-standin", "unext")},
    "batch/unet/bf16/4": {"images_a_second": 100.0, "step_ms": 40.0},
    "batch/unet/fp32/64": {"images_a_second": 220.0, "step_ms": 290.0},
    "workers/1": {"images_a_second": 800.0, "least_of_one": 800.0},
    "workers/4": {"images_a_second": 2000.0, "least_of_one": 480.0},
    "graph/unet/4": {"eager": 100.0, "captured": 150.0},
    "launches/distillation": {"step_ms": 90.0, "launches": 4000.0},
    "data/on the host": {"resident": 800.0, "copied": 700.0},
    "batch/laednet-l/bf16/64": {"failed": "OutOfMemoryError: CUDA out of memory."},
}


def measure_of(row: dict[str, Any], calls: list[str], key: str) -> Any:
    def measure(bench: Any) -> dict[str, Any]:
        calls.append(key)
        if "error" in row:
            raise RuntimeError(row["error"])
        return row

    return partial(measure, SimpleNamespace(device=META))


def test_rows_are_kept_one_by_one_and_the_next_run_goes_on_behind_what_spoilt_this_one(tmp_path: Path) -> None:
    from gpu import measured

    path, calls, cards = tmp_path / "rows.json", list[str](), MetaCards()
    asked = {"a": {"x": 1.0}, "b": {"error": "out of memory"}, "c": {"error": "device-side assert triggered"}, "d": {}}
    wanted = [(key, measure_of(row, calls, key)) for key, row in asked.items()]
    with supplied(cards):
        with pytest.raises(SystemExit, match="device-side assert"):
            measured(iter(wanted), path, MACHINE, 60.0)
        assert calls == ["a", "b", "c"]
        assert measured(iter(wanted), path, MACHINE, 0.0) == 1, "no time is left for d"
        assert measured(iter(wanted), path, MACHINE, 60.0) == 0
        assert calls == ["a", "b", "c", "d"]
        with pytest.raises(SystemExit, match="give another file"):
            measured(iter(wanted), path, {**MACHINE, "device": "another"}, 60.0)
    rows = json.loads(path.read_text())["rows"]
    assert rows["a"] == {"x": 1.0} and rows["b"] == {"failed": "RuntimeError: out of memory"}


def test_the_page_tells_what_was_measured(tmp_path: Path) -> None:
    from gpu import write_page

    (tmp_path / "rows.json").write_text(json.dumps({"machine": MACHINE, "rows": ROWS}))
    write_page(tmp_path / "rows.json", tmp_path / "gpu.md")
    text = (tmp_path / "gpu.md").read_text()
    assert "on Test GPU (compute capability 9.0), torch 2.13, CUDA 13.0" in text
    assert "MISSED by bmis." in text
    assert "| unet | bf16 | 100 |  |" in text and "| unet | fp32 |  | 220 |" in text
    assert "| 4 | 2000 | 2.50 |" in text and "| unet | 4 | 100 | 150 | 1.50 |" in text
    assert "| cea-net-standin | timed | 5.0 | 5.0 | 1.00 |" in text and "| unet | timed | 40.0 | 40.0 | 1.00 |" in text
    assert "| batch/laednet-l/bf16/64 | OutOfMemoryError: CUDA out of memory. |" in text


@pytest.mark.parametrize("kept", [None, {"machine": {**MACHINE, "capability": ""}, "rows": ROWS}])
def test_no_page_is_written_without_a_gpu(kept: dict[str, Any] | None, tmp_path: Path) -> None:
    from gpu import write_page

    rows = tmp_path / "rows.json"
    if kept:
        rows.write_text(json.dumps(kept))
    with pytest.raises(SystemExit, match="no rows of a GPU"):
        write_page(rows, tmp_path / "gpu.md")
    assert not (tmp_path / "gpu.md").exists()


@pytest.mark.slow
def test_the_program_runs_on_a_cpu_from_the_checkout_alone(tmp_path: Path) -> None:
    command = [sys.executable, str(PROGRAM), "--device", "cpu", "--quick", "--rows", str(tmp_path / "rows.json")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert {key.split("/")[0] for key in rows} == {"parity", "batch", "workers", "launches", "bf16", "data"}
    assert not [row for row in rows.values() if "failed" in row]
    assert rows["parity/unext"] == {"logits": 0.0, "gradients": 0.0, "movement": 0.0}
