"""Trees on top of prices: scikit-learn's own predictions, held within bounds, kept as plain numbers."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.tree import DecisionTreeRegressor

from tests.hardware_profiles.test_kernel_prices import kernels_of, measured
from tests.hardware_profiles.test_profiles import minimal
from ussearch.hardware_profiles import Profile, parse_profile
from ussearch.hardware_profiles.latency.boosted import BoostedPrices, fit_boosted_prices
from ussearch.hardware_profiles.latency.kernel_cost_model import CacheEffect
from ussearch.regression_tree import RegressionTree


@lru_cache
def fitted() -> BoostedPrices:
    return fit_boosted_prices([measured(seed) for seed in range(12)])


def test_a_tree_says_what_scikit_learns_says() -> None:
    generator = np.random.default_rng(0)
    features = generator.random((300, 4))
    targets = np.sin(5 * features[:, 0]) + features[:, 2]
    theirs = DecisionTreeRegressor(max_depth=4, random_state=0).fit(features, targets)
    ours = RegressionTree.from_sklearn(theirs.tree_, 0.1, np.asarray, np.asarray)
    assert ours.predict(features) == pytest.approx(0.1 * theirs.predict(features), abs=1e-12)


@pytest.mark.parametrize(
    "changes", [{"left": (0, 0, 0)}, {"right": (9, 0, 0)}, {"value": (0.0,)}, {"threshold": (float("nan"), 0.0, 0.0)}]
)
def test_a_tree_that_would_loop_or_lead_nowhere_is_refused(changes: dict[str, object]) -> None:
    tree = {"feature": (0, -1, -1), "threshold": (0.5, 0.0, 0.0), "left": (1, 0, 0), "right": (2, 0, 0)}
    assert RegressionTree.model_validate({**tree, "value": (0.0, 1.0, 2.0)}).predict(
        np.array([[0.1], [0.9]])
    ).tolist() == [1, 2]
    with pytest.raises(ValidationError):
        RegressionTree.model_validate({**tree, "value": (0.0, 1.0, 2.0), **changes})


def test_networks_that_the_fit_has_not_seen_are_predicted() -> None:
    errors = [fitted().total_ms(kernels_of(seed)) / measured(seed).latency_ms - 1 for seed in range(50, 60)]
    assert np.abs(errors).mean() < 0.06


def test_it_is_non_negative_scales_and_survives_being_written() -> None:
    model, kernels = fitted(), kernels_of(60)
    assert min(model.kernel_ms(kernels)) >= 0
    assert model.kernel_ms([]) == ()
    assert model.times(3).total_ms(kernels) == pytest.approx(3 * model.total_ms(kernels))
    profile = Profile.model_validate(minimal(latency=model.model_dump()))
    assert parse_profile(profile.to_yaml(), "copy") == profile


def test_small_networks_stay_in_the_cache_within_what_was_measured() -> None:
    cache = CacheEffect(exponent=0.1, typical_mib=8, least_mib=4, most_mib=16)
    kernels = kernels_of(0)
    moved = sum(kernel.bytes for kernel in kernels) / 2**20
    assert cache.factor(kernels) == pytest.approx((min(max(moved, 4), 16) / 8) ** 0.1)
    assert cache.factor(kernels * 1000) == pytest.approx(2**0.1)
    assert CacheEffect().factor(kernels) == 1.0
