from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ussearch.errors import UserError
from ussearch.pairs import Router, soft_dice_confidence, threshold_for_share
from ussearch.pairs.routing.thresholds import threshold_within_share

Scores = st.lists(st.floats(0, 1), min_size=1, max_size=40)


def confidence(*pixels: float) -> float:
    return float(soft_dice_confidence(np.array(pixels, np.float32).reshape(1, 1, 1, -1))[0])


def test_confidence_by_hand() -> None:
    # 2 * (0.9 + 0.6) / ((0.9 + 0.6 + 0.4 + 0.1) + 2)
    assert confidence(0.9, 0.6, 0.4, 0.1) == pytest.approx(3.0 / 4.0, abs=1e-6)
    assert confidence(1.0, 1.0, 0.0, 0.0) == 1
    assert confidence(0.5) == pytest.approx(2 * 0.5 / 1.5)


def test_an_empty_prediction_is_as_sure_as_its_likeliest_pixel() -> None:
    assert confidence(0.01, 0.02) == pytest.approx(0.98, abs=1e-6)
    assert confidence(0.49, 0.0) == pytest.approx(0.51, abs=1e-6)


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20))
def test_confidence_lies_between_0_and_1(pixels: list[float]) -> None:
    assert 0 <= confidence(*pixels) <= 1


@given(scores=Scores, share=st.floats(0, 1))
def test_no_threshold_comes_nearer_to_the_requested_share(scores: list[float], share: float) -> None:
    def realised(threshold: float) -> float:
        return abs(float((np.array(scores) < threshold).mean()) - share)

    best = min(realised(threshold) for threshold in [*scores, 2.0])
    assert realised(threshold_for_share(scores, share)) == pytest.approx(best, abs=1e-9)


@given(Scores)
def test_no_share_and_the_whole_are_kept_exactly(scores: list[float]) -> None:
    assert not Router(threshold_for_share(scores, 0), 0).offloads(np.array(scores)).any()
    assert Router(threshold_for_share(scores, 1), 1).offloads(np.array([*scores, 1.0])).all()


def test_a_threshold_lies_in_the_middle_between_two_scores() -> None:
    assert threshold_for_share([0.1, 0.4, 0.6, 0.9], 0.5) == pytest.approx(0.5)


@given(scores=Scores, share=st.floats(0, 1))
def test_a_budget_is_never_exceeded_and_used_as_far_as_scores_allow(scores: list[float], share: float) -> None:
    def realised(threshold: float) -> float:
        return float((np.array(scores) < threshold).mean())

    allowed = [realised(t) for t in [*scores, 2.0] if realised(t) <= share + 1e-9]
    assert realised(threshold_within_share(scores, share)) == pytest.approx(max(allowed))


@pytest.mark.parametrize(
    ("scores", "share", "expected"),
    [
        ([0.5], 1.5, "Offload share 1.5"),
        ([0.5], -0.1, "Offload share"),
        ([0.5], float("nan"), "Offload share nan"),
        ([], 0.5, "cannot be calibrated"),
        ([float("nan")], 0.5, "finite scores"),
    ],
)
def test_impossible_requests_are_refused(scores: list[float], share: float, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        threshold_for_share(scores, share)


def test_an_image_goes_to_the_cloud_where_the_edge_is_unsure() -> None:
    edge = np.array([[0.9, 0.1], [0.6, 0.4]], np.float32).reshape(2, 1, 1, 2)
    assert Router(0.75, 0.5).offloads(soft_dice_confidence(edge)).tolist() == [False, True]
