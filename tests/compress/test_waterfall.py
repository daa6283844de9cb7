"""The waterfall: every row with its figures, the last one with its milliseconds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compress.conftest import MakeContext, Trained
from ussearch.compress import Compression, compress, steps_named
from ussearch.compress.waterfall import draw, rows
from ussearch.evaluators import costs
from ussearch.hardware_profiles import load_profile

PI = load_profile("raspberry-pi-4")


@pytest.fixture
def record(make_context: MakeContext, trained: Trained) -> Compression:
    """A chain that leaves the operators as they were."""
    return compress(trained.student.architecture, trained.student, steps_named(["fuse"]), make_context()).record


def test_rows_are_the_baseline_every_attempt_and_the_end(record: Compression, tmp_path: Path) -> None:
    found = rows(record)
    assert [row.verdict for row in found] == ["baseline", "kept", "end"]
    assert found[0].dice == found[-1].dice == record.start.mean_dice
    draw(record, tmp_path / "waterfall.png")
    assert (tmp_path / "waterfall.png").stat().st_size > 10_000


def test_the_end_has_milliseconds_though_its_operators_are_those_of_the_start(
    record: Compression, trained: Trained
) -> None:
    end = rows(record)[-1]
    expected = costs(trained.student.architecture, trained.images.image_size, PI).latency_ms
    assert end.latency_ms == pytest.approx(expected, rel=0.05)
    assert end.ratio == 1.0 and end.reason == f"the same operators, {PI.label}"
