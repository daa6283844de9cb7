"""The exact interval of a share against the quantiles of the beta distribution that define it."""

from __future__ import annotations

import pytest
from scipy.stats import beta

from ussearch.evaluators.metrics.paired_bootstrap import exact_interval


@pytest.mark.parametrize(("count", "of"), [(0, 8), (8, 8), (3, 20)])
def test_the_interval_is_that_of_beta_quantiles(count: int, of: int) -> None:
    low = beta.ppf(0.025, count, of - count + 1) if count else 0.0
    high = beta.ppf(0.975, count + 1, of - count) if count < of else 1.0
    assert exact_interval(count, of) == pytest.approx((low, high))
