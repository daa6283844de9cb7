"""What is kept and what is undone, case by case, and the intervals that decide against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ussearch.compress.acceptance import accept
from ussearch.compress.speed import SpeedComparison
from ussearch.compress.width_multiplier import decide
from ussearch.evaluators.metrics.paired_bootstrap import Change, paired_change


def change(mean: float, low: float | None = None, high: float | None = None, tail: float = 0.0) -> Change:
    return Change(
        images=100,
        mean=mean,
        low=mean - 0.005 if low is None else low,
        high=mean + 0.005 if high is None else high,
        fifth_percentile=tail,
    )


def kept(
    ratio: float | None, given: Change, control: Change | None = None, *, retrained: bool = True, smaller: bool = True
) -> bool:
    speed = SpeedComparison(ratio=ratio, source="test")
    return accept(speed, given, control, retrained=retrained, smaller=smaller).kept


def test_nothing_slower_is_kept() -> None:
    assert kept(0.7, change(0.0)) and kept(1.01, change(0.0))
    assert not kept(1.03, change(0.05))


def test_a_training_may_lose_a_point_on_average_and_two_with_its_bound() -> None:
    assert kept(0.7, change(-0.0099, -0.0199))
    assert not kept(0.7, change(-0.0101))
    assert not kept(0.7, change(-0.009, -0.021))


def test_the_tail_is_held_against_the_same_training_alone() -> None:
    control = change(0.01, tail=-0.07)
    assert kept(0.7, change(0.0, tail=-0.089), control)
    assert not kept(0.7, change(0.0, tail=-0.091), control)
    assert kept(0.7, change(0.0, tail=-0.2), None)


def test_what_is_not_trained_again_may_lose_half_a_point() -> None:
    assert kept(0.5, change(-0.0049, tail=-0.049), retrained=False)
    assert not kept(0.5, change(-0.0051), retrained=False)
    assert not kept(0.5, change(0.0, tail=-0.051), retrained=False)


def test_a_training_that_gains_nothing_is_undone() -> None:
    assert not kept(1.0, change(-0.001), smaller=False)
    assert kept(1.0, change(0.001), smaller=False)
    assert kept(0.9, change(-0.001), smaller=False)


def test_without_a_speed_dice_decides() -> None:
    assert kept(None, change(0.0)) and not kept(None, change(-0.02))


def test_uniform_scaling_ships_unless_it_is_beaten() -> None:
    assert decide(change(0.02), 1.0)[0]
    assert decide(change(-0.004, -0.012, 0.004), 1.0)[0], "a tie goes to the plain network"
    assert not decide(change(-0.02, -0.03, -0.01), 1.0)[0]
    assert not decide(change(0.02), 1.1)[0], "a slower one is no comparison"


def test_intervals_are_those_of_a_percentile_bootstrap() -> None:
    random = np.random.default_rng(0)
    before = random.random(80)
    after = before + random.normal(0.02, 0.05, 80)
    found = paired_change(list(before), list(after), range(80))
    reference = stats.bootstrap((after - before,), np.mean, n_resamples=9999, method="percentile", rng=1)
    assert found.mean == pytest.approx(float((after - before).mean()))
    assert found.low == pytest.approx(reference.confidence_interval.low, abs=0.002)
    assert found.high == pytest.approx(reference.confidence_interval.high, abs=0.002)
    assert found.fifth_percentile == pytest.approx(float(np.percentile(after - before, 5)))


def test_images_of_one_patient_are_no_independent_evidence() -> None:
    random = np.random.default_rng(0)
    effect = np.repeat(random.normal(0, 0.1, 20), 4)
    alone = paired_change([0.0] * 80, list(effect), range(80))
    together = paired_change([0.0] * 80, list(effect), list(np.repeat(range(20), 4)))
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


def test_unequal_lengths_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="paired"):
        paired_change([0.1], [0.1, 0.2], [0])
