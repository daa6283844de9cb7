"""``benchmarks/same_results.py``: what it lets differ, and what it does not."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parents[1]
RECORD = "study/trials/0000/record.json"


@pytest.fixture(autouse=True)
def _benchmarks() -> Iterator[None]:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield
    sys.path.remove(str(ROOT / "benchmarks"))


def made(folder: Path, *, objective: str) -> Path:
    """A trial, its weights and a bundle of two files; ``objective`` is what its metric is called."""
    (folder / RECORD).parent.mkdir(parents=True)
    (folder / "study/bundle/edge").mkdir(parents=True)
    evaluation = {"metrics": {"lesion_dice": 0.5, objective: 0.4}, "history": [{"epoch": 1, "seconds": 2.0}]}
    record = {"architecture_id": "abc", "started": "monday", "evaluation": evaluation}
    (folder / RECORD).write_text(json.dumps(record))
    save_file({"a": torch.arange(4.0)}, folder / "study/trials/0000/weights.safetensors")
    (folder / "study/bundle/edge/model.onnx").write_bytes(b"a network")
    (folder / "study/bundle/bundle.yaml").write_text(
        json.dumps({"files": {"edge/model.onnx": "d", "MODEL_CARD.md": "d"}})
    )
    return folder


def edit(folder: Path, change: Callable[[Any], None], name: str = RECORD) -> None:
    content = json.loads((folder / name).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content))


def wrong(before: Path, after: Path) -> list[str]:
    import same_results

    return list(same_results.compared(before, after).wrong)


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    return made(tmp_path / "before", objective="selection"), made(tmp_path / "after", objective="objective")


def test_the_same_twice_is_the_same(both: tuple[Path, Path]) -> None:
    assert wrong(*both) == []


def test_times_format_numbers_and_their_digests_may_differ(both: tuple[Path, Path]) -> None:
    def later(record: Any) -> None:
        record |= {"started": "tuesday", "schema_version": 1}
        record["evaluation"]["history"][0]["seconds"] = 3.0

    edit(both[1], later)
    save_file({"a": torch.arange(4.0)}, both[1] / "study/trials/0000/weights.safetensors", {"schema_version": "1"})
    edit(both[1], lambda manifest: manifest["files"].update({"MODEL_CARD.md": "e"}), "study/bundle/bundle.yaml")
    assert wrong(*both) == []


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("architecture_id", lambda record: record.update(architecture_id="abd")),
        ("lesion_dice", lambda record: record["evaluation"]["metrics"].update(lesion_dice=0.5000000001)),
        ("objective", lambda record: record["evaluation"]["metrics"].pop("objective")),
        ("new", lambda record: record.update(new=1)),
        ("history.0.epoch", lambda record: record["evaluation"]["history"][0].update(epoch=1.0)),
    ],
)
def test_no_other_value_may(both: tuple[Path, Path], key: str, change: Callable[[Any], None]) -> None:
    edit(both[1], change)
    assert any(key in line and RECORD in line for line in wrong(*both))


def test_no_network_its_digest_or_its_weights_may(both: tuple[Path, Path]) -> None:
    (both[1] / "study/bundle/edge/model.onnx").write_bytes(b"another network")
    edit(both[1], lambda manifest: manifest["files"].update({"edge/model.onnx": "e"}), "study/bundle/bundle.yaml")
    save_file({"a": torch.arange(4.0) + 1e-7}, both[1] / "study/trials/0000/weights.safetensors")
    found = wrong(*both)
    assert len(found) == 3
    for name in ("edge/model.onnx: digest", "files.edge/model.onnx", "weights.safetensors: digest"):
        assert any(name in line for line in found)


def test_no_file_may_be_missing_or_new(both: tuple[Path, Path]) -> None:
    (both[1] / RECORD).rename(both[1] / "study/other.json")
    assert wrong(*both) == ["study/other.json was not there before", f"{RECORD} is missing"]


def test_what_was_renamed_is_compared_under_its_new_name(
    both: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import same_results

    monkeypatch.setattr(same_results, "RENAMED_KEYS", {("study/*", "metrics.selection"): "metrics.value"})
    monkeypatch.setattr(same_results, "RENAMED_FILES", {"study/trials/": "study/candidates/"})

    def renamed(record: Any) -> None:
        metrics = record["evaluation"]["metrics"]
        metrics["value"] = metrics.pop("objective")

    edit(both[1], renamed)
    (both[1] / "study/trials").rename(both[1] / "study/candidates")
    assert wrong(*both) == []
    edit(
        both[1],
        lambda record: record["evaluation"]["metrics"].update(value=0.3),
        RECORD.replace("trials", "candidates"),
    )
    assert [line.split(": ")[1] for line in wrong(*both)] == ["evaluation.metrics.value"]
