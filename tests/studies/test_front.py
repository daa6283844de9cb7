"""Dominance and hypervolume against brute force and Optuna."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.studies.conftest import EDGE, run_search
from ussearch.studies import TrialRecord, front, front_hypervolume, hypervolume, non_dominated

points = st.lists(st.tuples(*[st.integers(0, 6)] * 3), min_size=1, max_size=12)


@given(points)
def test_non_dominated_is_its_definition(rows: list[tuple[int, int, int]]) -> None:
    expected = [
        not any(all(a <= b for a, b in zip(other, row, strict=True)) and other != row for other in rows) for row in rows
    ]
    assert non_dominated(np.array(rows, float)).tolist() == expected


@given(points)
def test_hypervolume_counts_the_dominated_cells(rows: list[tuple[int, int, int]]) -> None:
    cells = np.stack(np.meshgrid(*[np.arange(6)] * 3, indexing="ij"), -1).reshape(-1, 3)
    dominated = (np.array(rows)[:, None] <= cells[None]).all(axis=2).any(axis=0).sum()
    assert hypervolume(np.array(rows, float), np.array([6.0, 6.0, 6.0])) == pytest.approx(dominated)


def test_hypervolume_equals_optunas() -> None:
    from optuna._hypervolume.wfg import compute_hypervolume

    losses = np.random.default_rng(0).random((60, 3))
    reference = np.array([0.9, 0.8, 0.95])
    inside = losses[(losses < reference).all(axis=1)]
    assert hypervolume(losses, reference) == pytest.approx(compute_hypervolume(inside, reference))
    assert hypervolume(losses + 1, reference) == 0.0


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrialRecord, ...]:
    return run_search(tmp_path_factory.mktemp("front") / "s", trials=14)[1]


def test_front_is_sorted_by_latency_and_dice_rises_where_memory_does_not_pay(records: tuple[TrialRecord, ...]) -> None:
    chosen = front(records)
    latencies = [record.costs().latency_ms for record in chosen]
    assert latencies == sorted(latencies) and chosen
    best = max(records, key=lambda record: record.objective or 0)
    assert best in chosen


def test_views_keep_to_the_limits(records: tuple[TrialRecord, ...]) -> None:
    assert all(record.feasible("edge") for record in front(records, "edge", feasible_only=True))
    assert all(record.feasible("cloud") for record in front(records, "cloud", feasible_only=True))


def test_fidelities_are_never_mixed(records: tuple[TrialRecord, ...]) -> None:
    worse = records[0].evaluation.model_copy(update={"fidelity": "drawn", "metrics": {"objective": -1.0}})
    drawn = records[0].model_copy(update={"trial_id": 99, "evaluation": worse})
    assert drawn in front([*records, drawn])
    assert all(record in front([*records, drawn]) for record in front(records))


def test_front_hypervolume_is_a_share_that_grows(records: tuple[TrialRecord, ...], tmp_path: Path) -> None:
    shares = [front_hypervolume(records[:count], EDGE, 64) for count in range(len(records) + 1)]
    assert (np.diff(shares) >= -1e-12).all() and shares[0] == 0.0 < shares[-1] < 1.0
