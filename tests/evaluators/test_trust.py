"""Trust in a cheap accuracy: against scipy, against cases whose answer is known, and at the limits of the rule."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau

from ussearch.evaluators.trust import FEWEST, Trust, measure_trust


def noisy(spread: float, count: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = generator.random(count)
    return truth + generator.normal(0, spread, count), truth, generator.random(count)


def test_tau_is_scipys_and_lies_within_its_interval() -> None:
    cheap, truth, macs = noisy(0.2)
    trust = measure_trust(cheap, truth, macs, truth + 0.01)
    assert trust.tau == pytest.approx(kendalltau(cheap, truth).statistic)
    assert trust.interval[0] < trust.tau < trust.interval[1]
    assert trust.macs_tau == pytest.approx(kendalltau(macs, truth).statistic)
    assert trust.ceiling == pytest.approx(1.0) and len(trust.quartile_taus) == 4
    assert trust.trusted


def test_a_perfect_order_has_no_regret_and_a_reversed_one_much() -> None:
    _, truth, macs = noisy(0.0)
    assert measure_trust(truth, truth, macs).regret == 0
    reversed_order = measure_trust(-truth, truth, macs)
    assert reversed_order.tau == pytest.approx(-1) and reversed_order.regret > 0.8


@pytest.mark.slow
def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Many samples from one joint distribution, whose τ a large sample tells."""
    large_cheap, large_truth, _ = noisy(0.25, 4000, seed=1)
    expected = kendalltau(large_cheap, large_truth).statistic
    within = 0
    for seed in range(40):
        cheap, truth, macs = noisy(0.25, 60, seed=100 + seed)
        low, high = measure_trust(cheap, truth, macs).interval
        within += low <= expected <= high
    assert within >= 34


@pytest.mark.parametrize(
    ("change", "doubt"),
    [
        ({"tau": 0.45}, "below 0.5"),
        ({"interval": (0.29, 0.8)}, "begins at 0.29"),
        ({"macs_tau": 0.7}, "MACs alone"),
        ({"architectures": FEWEST - 1}, "are needed"),
        ({"tau": float("nan")}, "below 0.5"),
    ],
)
def test_each_condition_of_the_rule_counts(change: dict[str, object], doubt: str) -> None:
    good = Trust(
        architectures=40,
        tau=0.6,
        interval=(0.4, 0.8),
        macs_tau=0.3,
        quartile_taus=(0.5,) * 4,
        ceiling=0.8,
        regret=0.0,
    )
    assert good.trusted
    worse = good.model_copy(update=change)
    assert not worse.trusted and doubt in "; ".join(worse.doubts)


def test_scores_that_do_not_vary_rank_nothing() -> None:
    _, truth, macs = noisy(0.1)
    assert measure_trust(np.zeros(60), truth, macs).tau == 0
    with pytest.raises(ValueError, match="were given"):
        measure_trust([1.0], [1.0, 2.0], [1.0, 2.0])
