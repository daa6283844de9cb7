from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import auc

from ussearch.pairs.routing.curves import compare, curve, oracle_confidence
from ussearch.pairs.routing.routing_gain import routing_gain

EDGE = np.array([0.5, 0.9, 0.2, 0.8])
CLOUD = np.array([0.9, 0.9, 0.6, 0.6])
Dice = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=30)


def test_quality_by_hand() -> None:
    found = curve(EDGE, CLOUD, np.array([0.1, 0.4, 0.2, 0.3]))
    # sent in the order 0, 2, 3, 1, with gains 0.4, 0.4, -0.2, 0
    assert found.quality == pytest.approx([0.6, 0.7, 0.8, 0.75, 0.75])
    assert found.shares == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert found.gap == pytest.approx(0.15)
    area = auc(found.shares, found.quality)
    assert found.area == pytest.approx(area)
    assert found.apgr == pytest.approx((area - 0.6) / 0.15)
    assert found.calls_saved == pytest.approx(0.5)


def test_skill_by_hand() -> None:
    oracle = curve(EDGE, CLOUD, oracle_confidence(EDGE, CLOUD))
    worst = curve(EDGE, CLOUD, -oracle_confidence(EDGE, CLOUD))
    assert oracle.quality == pytest.approx([0.6, 0.7, 0.8, 0.8, 0.75])
    assert oracle.skill(oracle) == pytest.approx(1)
    assert worst.skill(oracle) == pytest.approx(-1)  # the mirrored order lies as far below the straight line


@given(Dice)
def test_equal_confidences_are_chance_exactly(rows: list[tuple[float, float, float]]) -> None:
    edge, cloud, _ = np.array(rows).T
    found = curve(edge, cloud, np.zeros(len(rows)))
    assert found.quality == pytest.approx(np.linspace(edge.mean(), cloud.mean(), len(rows) + 1))


@given(st.lists(st.tuples(st.floats(0, 0.4), st.floats(0.5, 1)), min_size=2, max_size=30))
def test_equal_confidences_recover_half_of_a_gap(rows: list[tuple[float, float]]) -> None:
    edge, cloud = np.array(rows).T
    assert curve(edge, cloud, np.zeros(len(rows))).apgr == pytest.approx(0.5)


@given(Dice)
def test_no_order_beats_the_oracle(rows: list[tuple[float, float, float]]) -> None:
    edge, cloud, confidence = np.array(rows).T
    oracle = curve(edge, cloud, oracle_confidence(edge, cloud))
    assert (curve(edge, cloud, confidence).quality <= oracle.quality + 1e-12).all()


def test_saved_calls_mean_nothing_where_the_gap_is_a_point() -> None:
    assert curve(EDGE, EDGE + 0.01, EDGE).calls_saved is None


@pytest.mark.slow
def test_intervals_hold_the_truth_nearly_as_often_as_they_say() -> None:
    random = np.random.default_rng(0)
    hard = random.uniform(size=4000)
    cloud = np.clip(0.9 - 0.2 * hard + random.normal(0, 0.05, len(hard)), 0, 1)
    edge = np.clip(cloud - 0.2 * hard + random.normal(0, 0.05, len(hard)), 0, 1)
    confidences = {"good": -hard, "blind": random.normal(size=len(hard))}
    truth = {name: curve(edge, cloud, each).apgr for name, each in confidences.items()}
    held = []
    for part in np.split(np.arange(len(hard)), 25):
        some = {name: each[part] for name, each in confidences.items()}
        found = compare(edge[part], cloud[part], part, some, reference="blind", draws=100)
        for row in found.rows:
            assert row.apgr_interval is not None
            low, high = row.apgr_interval
            held.append(low < (truth[row.name] or 0.0) < high)
        difference, low, high = found.beyond["good"]
        assert 0 < low < difference < high
        assert set(found.beyond) == {"good"}
    assert 0.85 <= np.mean(held) <= 1


def test_images_of_one_patient_count_once() -> None:
    random = np.random.default_rng(1)
    edge, cloud = random.uniform(0.4, 0.8, 50), random.uniform(0.5, 0.9, 50)
    alone = compare(edge, cloud, np.arange(50), {"x": edge}, draws=400)
    doubled = compare(
        *(np.repeat(each, 4) for each in (edge, cloud, np.arange(50))), {"x": np.repeat(edge, 4)}, draws=400
    )
    width = [high - low for low, high in (alone.gap_interval, doubled.gap_interval)]
    assert width[1] == pytest.approx(width[0], rel=0.15)


@pytest.mark.parametrize(
    ("gain", "spread", "verdict"), [(0.05, 0.02, True), (0.01, 0.001, False), (0.05, 0.9, False), (-0.05, 0.01, False)]
)
def test_routing_is_worthwhile_where_the_gap_is_clear(gain: float, spread: float, verdict: bool) -> None:
    random = np.random.default_rng(2)
    edge = random.uniform(0.5, 0.8, 60)
    found = routing_gain(edge.tolist(), (edge + gain + random.normal(0, spread, 60)).tolist(), list(range(60)))
    assert found.worthwhile is verdict
    assert ("not worthwhile here" in found.sentence) is not verdict
