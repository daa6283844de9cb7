"""``benchmarks/budgets.py``: what counts as a promise that was kept, and that the page says what the rows say."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _benchmarks() -> Iterator[None]:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield
    sys.path.remove(str(ROOT / "benchmarks"))


def test_a_promise_is_time_a_bundle_and_two_presets() -> None:
    import budgets

    row = budgets.Row("phantoms", 5, 2, 0, 2, 389.9, 0, True, 2, 9, 64)
    assert row.limit_s == 390 and row.kept
    for broken in ({"seconds": 390.1}, {"status": 2}, {"verified": False}, {"presets": 1}):
        assert not replace(row, **broken).kept, broken


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    import budgets

    rows = [budgets.Row("images", 0.5, 1, 1, 2, 31.5, 0, verified, 2, 4, 128) for verified in (True, False)]
    for row in rows:
        budgets.append(tmp_path / "rows.csv", row)
    assert budgets.read(tmp_path / "rows.csv") == rows
    assert budgets.read(tmp_path / "none.csv") == []


def test_the_page_is_that_of_the_committed_rows() -> None:
    import budgets

    rows = budgets.read(budgets.ROWS)
    assert rows and len({row.key for row in rows}) == len(rows)
    text = budgets.REPORT.read_text(encoding="utf-8")
    assert text == budgets.page(rows)
    assert text.count("| kept |") == sum(row.kept for row in rows)
    assert text.count("| BROKEN |") == sum(not row.kept for row in rows)
