"""The surrogate's parts against independent references: improvement, regressors, pool, costs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState, create_trial
from scipy.optimize import check_grad
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from tests.margins import above, reaches
from ussearch.studies import hypervolume
from ussearch.studies.samplers import Cost, Pricing
from ussearch.studies.samplers.acquisition import gain_per_training
from ussearch.studies.samplers.candidate_pool import candidate_pool, combinations, every_combination
from ussearch.studies.samplers.cost_cache import CostCache
from ussearch.studies.samplers.cost_features import completed, logarithms
from ussearch.studies.samplers.features import Features, choice_blocks, standardised
from ussearch.studies.samplers.gaussian_process import GaussianProcess
from ussearch.studies.samplers.history import History, shared_distributions
from ussearch.studies.samplers.hypervolume_improvement import expected_improvement
from ussearch.studies.samplers.posterior import Posterior
from ussearch.studies.samplers.voting import VotingRegressor

Floats = npt.NDArray[np.float64]
SPACE: dict[str, tuple[Any, ...]] = {"kind": ("a", "b", "c"), "width": (8, 64, 16), "flag": (False, True)}


def volume(losses: Floats, reference: Floats) -> float:
    """Return the hypervolume in one to three objectives by the study's own sweep; missing ones are made equal."""
    missing = 3 - losses.shape[1]
    padded = np.concatenate([losses, np.zeros((len(losses), missing))], axis=1)
    return hypervolume(padded, np.append(reference, np.ones(missing)))


def gain(losses: Floats, front: Floats, reference: Floats) -> float:
    return volume(np.vstack([front, losses]), reference) - volume(front, reference)


@pytest.mark.parametrize("costs", [0, 1, 2])
@pytest.mark.parametrize("size", [0, 1, 7])
def test_expected_improvement_is_the_mean_gain_over_the_distribution(costs: int, size: int) -> None:
    generator = np.random.default_rng(10 * costs + size)
    front, known = generator.random((size, 1 + costs)), generator.random((3, costs)) * 0.8
    mean, spread = generator.random(3), 0.02 + 0.3 * generator.random(3)
    reference = np.full(1 + costs, 0.9)
    found = expected_improvement(mean, spread, known, front, reference)
    levels = norm.ppf((np.arange(500) + 0.5) / 500)  # equally likely values instead of random ones
    for number in range(3):
        draws = mean[number] + spread[number] * levels
        expected = np.mean([gain(np.append(draw, known[number])[None], front, reference) for draw in draws])
        assert found[number] == pytest.approx(expected, rel=2e-2, abs=1e-4)


@pytest.mark.parametrize("costs", [0, 1, 2])
def test_expected_improvement_without_doubt_is_the_gain(costs: int) -> None:
    generator = np.random.default_rng(costs)
    front, points = generator.random((9, 1 + costs)), generator.random((40, 1 + costs))
    reference = np.full(1 + costs, 0.8)
    found = expected_improvement(points[:, 0], np.full(40, 1e-9), points[:, 1:], front, reference)
    expected = [gain(point[None], front, reference) for point in points]
    assert found == pytest.approx(expected, abs=1e-7)
    assert max(expected) > 0


def test_more_costs_than_are_supported_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 2"):
        expected_improvement(np.zeros(1), np.ones(1), np.zeros((1, 3)), np.zeros((0, 4)), np.ones(4))


def regression(samples: int, seed: int = 3) -> tuple[Floats, Floats, Floats]:
    generator = np.random.default_rng(seed)
    inputs = generator.random((samples + 30, 5))
    values = np.sin(4 * inputs[:, 0]) + inputs[:, 1] ** 2 + 0.05 * generator.standard_normal(len(inputs))
    return inputs, (values - values.mean()) / values.std(), np.arange(len(inputs)) < samples  # type: ignore[return-value]


def test_gaussian_process_agrees_with_another_implementation() -> None:
    inputs, values, known = regression(40)
    groups = np.array([0, 1, 2, 3, 3])
    process = GaussianProcess(groups).fit(inputs[known], values[known, None])
    *lengths, signal, noise = process._parameters
    kernel = ConstantKernel(np.exp(signal)) * Matern(np.exp(np.array(lengths))[groups], nu=2.5)
    other = GaussianProcessRegressor(kernel + WhiteKernel(np.exp(noise) + 1e-8), optimizer=None)
    other.fit(inputs[known], values[known])
    mean, spread = process.predict(inputs[~known])
    other_mean, other_spread = other.predict(inputs[~known], return_std=True)
    assert mean[:, 0] == pytest.approx(other_mean, abs=1e-6)
    assert spread**2 + np.exp(noise) == pytest.approx(other_spread**2, abs=1e-6)  # its noise is part of its spread


@reaches(correlation=above(0.9), what_matters=above(0))
def process_fit(seed: int, folder: Path) -> dict[str, float]:
    """Of predictions with the truth; and by how much (ln) what matters has shorter lengths than what does not."""
    inputs, values, known = regression(40, seed)
    process = GaussianProcess(np.array([0, 1, 2, 3, 3])).fit(inputs[known], values[known, None])
    lengths = process._parameters[:4]
    mean, _ = process.predict(inputs[~known])
    return {
        "correlation": float(np.corrcoef(mean[:, 0], values[~known])[0, 1]),
        "what_matters": float(min(lengths[2:]) - max(lengths[:2])),
    }


def test_gaussian_process_finds_what_matters(tmp_path: Path) -> None:
    process_fit.check(3, tmp_path)


def test_slope_of_the_posterior_is_right() -> None:
    inputs, values, known = regression(15)
    process = GaussianProcess(np.array([0, 0, 1, 2, 2]))
    squares = process._squares(inputs[known], inputs[known])
    targets = np.stack([values[known], inputs[known, 1] - 0.5], axis=1)
    start = np.array([0.3, -0.2, 1.0, 0.1, -2.0])
    error = check_grad(
        lambda p: process._loss(p, squares, targets)[0], lambda p: process._loss(p, squares, targets)[1], start
    )
    assert error < 1e-4


def features_of(values: Floats) -> Features:
    return Features(values, np.arange(values.shape[1]))


@reaches(correlation=above(0.9), spread_far_off=above(1.3), within=above(0.8))
def ensemble_fit(seed: int, folder: Path) -> dict[str, float]:
    """Of predictions with the truth; the spread far off as a multiple of that nearby; errors within 2.5 spreads."""
    inputs, values, known = regression(40, seed)
    ensemble = VotingRegressor(
        features_of(inputs[known]), features_of(inputs[known]), 100 + 5 * values[known], seed=seed
    )
    mean, spread = ensemble.predict(features_of(inputs[~known]), features_of(inputs[~known]))
    far = features_of(inputs[~known] + 20)
    errors = np.abs(mean - (100 + 5 * values[~known]))
    return {
        "correlation": float(np.corrcoef(mean, values[~known])[0, 1]),
        "spread_far_off": float(ensemble.predict(far, far)[1].mean() / spread.mean()),
        "within": float((errors < 2.5 * spread).mean()),
    }


def test_ensemble_predicts_and_knows_where_it_cannot(tmp_path: Path) -> None:
    ensemble_fit.check(3, tmp_path)


@pytest.mark.parametrize("values", [np.zeros(4), np.array([0.0, 0.0, 0.0, 1e6])])
def test_ensemble_takes_ties_and_outliers(values: Floats) -> None:
    inputs = features_of(np.random.default_rng(0).random((4, 2)))
    mean, spread = VotingRegressor(inputs, inputs, values, seed=0).predict(inputs, inputs)
    assert np.isfinite(mean).all()
    assert (spread > 0).all()


def test_columns_tell_order_where_there_is_one() -> None:
    kind, width, flag = choice_blocks(list(every_combination(SPACE)), SPACE)
    assert kind.shape == (18, 3)
    assert np.linalg.norm(kind[0] - kind[-1]) == pytest.approx(1)
    assert [width[number, 0] for number in (0, 4, 2)] == [0, 0.5, 1]  # 8, 16, 64 by size, whatever the order of values
    assert sorted(set(flag[:, 0])) == [0, 1]


def test_standardised_columns_weigh_like_one_and_drop_what_does_not_vary() -> None:
    block = np.random.default_rng(0).random((50, 4)) * [1, 10, 100, 0] + 5
    scaled = standardised(block, block)
    assert scaled.shape == (50, 3)
    assert (scaled**2).sum(axis=1).mean() == pytest.approx(1)


def pool_of(size: int) -> Pricing:
    return type("Pool", (Pricing,), {"pool_size": size})()


def test_pool_holds_everything_of_a_small_space_and_relatives_of_the_front_in_a_large_one() -> None:
    generator = np.random.default_rng(0)
    assert len(candidate_pool(pool_of(18), SPACE, [], generator)) == combinations(SPACE) == 18
    large = {f"c{number}": tuple(range(5)) for number in range(12)}
    parent = dict.fromkeys(large, 3)
    pool = candidate_pool(pool_of(100), large, [parent], generator)
    near = [sum(choices[name] != 3 for name in large) <= 4 for choices in pool]
    assert 40 <= sum(near) <= 60
    assert len({tuple(choices.values()) for choices in pool}) == len(pool)
    assert all(choices[name] in large[name] for choices in pool for name in large)


def test_unknown_costs_are_predicted_and_known_ones_stay() -> None:
    inputs = np.random.default_rng(0).random((40, 2))
    truth = np.stack([np.exp(2 * inputs[:, 0]), -inputs[:, 1], np.full(40, np.nan)], axis=1)
    costs = truth.copy()
    costs[30:, 0] = np.nan
    costs[25:, 1] = np.nan
    filled = completed(costs, features_of(inputs))
    assert (filled[:30, 0] == truth[:30, 0]).all()
    assert filled[30:, 0] == pytest.approx(truth[30:, 0], rel=0.1)
    assert filled[25:, 1] == pytest.approx(truth[25:, 1], abs=0.05)
    assert np.isnan(filled[:, 2]).all()
    assert logarithms(filled).shape == (40, 2)
    assert (logarithms(filled)[:, 1] == filled[:, 1]).all()  # negative costs have no logarithm


def trial(choices: dict[str, Any], values: list[float] | None, **more: Any) -> optuna.trial.FrozenTrial:
    return create_trial(
        state=TrialState.COMPLETE if values else TrialState.FAIL,
        values=values,
        params=choices,
        distributions={name: CategoricalDistribution(SPACE[name]) for name in choices},
        **more,
    )


def history_of(trials: list[optuna.trial.FrozenTrial]) -> History:
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.add_trials(trials)
    return History.of(study, shared_distributions(study.trials))


def test_history_turns_objectives_and_leaves_failures_out() -> None:
    first, second, third = list(every_combination(SPACE))[:3]
    history = history_of(
        [
            trial(first, [0.5, 3.0], constraints={"latency": -1.0, "memory": 2.0}),
            trial(second, None),
            trial({}, [0.9, 1.0]),  # a preset, which has no choices
            trial(third, [0.6, 4.0], user_attrs={"low_fidelity": 0.4}),
        ]
    )
    assert history.losses.tolist() == [[-0.5, 3.0], [-0.6, 4.0]]
    assert history.feasible.tolist() == [False, True]
    assert history.low_fidelity[1] == 0.4
    assert np.isnan(history.low_fidelity[0])
    assert history.choices == [first, third]
    assert history.taken == [first, second, third]


@pytest.mark.parametrize("limits_only", [False, True])
def test_where_costs_are_limits_alone_the_first_objective_is_all_that_is_gained(limits_only: bool) -> None:
    """Expected improvement of every textbook (Jones et al. 1998), however slow; else the slow gain less."""
    everything = list(every_combination(SPACE))
    trials = [trial(each, [0.1 * number, 1.0 + number]) for number, each in enumerate(everything[:9])]
    history = history_of(trials)
    pricing = type("Limits", (Pricing,), {"limits_only": limits_only})()
    posterior = Posterior(history, CostCache(pricing, history.space), seed=0)
    found, best = posterior.predict(everything), posterior.front[:, 0].min()
    z = (best - found.mean) / found.spread
    textbook = found.spread * (z * norm.cdf(z) + norm.pdf(z))
    agrees = np.allclose(gain_per_training(posterior, everything), textbook)
    assert agrees == limits_only == (found.costs.shape[1] == 0)


class CheapAccuracy(Pricing):
    """A pricing whose only news is a cheap estimate of the first objective, which the choices do not tell."""

    priced: ClassVar[bool] = True

    def __init__(self, estimates: dict[str, float]) -> None:
        self.estimates = estimates

    def price(self, choices: Any) -> Cost:
        return Cost((1.0,), True, low_fidelity=self.estimates[self.describe(choices).identity])


def test_a_cheap_accuracy_is_learnt_from() -> None:
    everything = list(every_combination(SPACE))
    estimates = np.random.default_rng(4).permutation(len(everything)) / len(everything)
    pricing = CheapAccuracy({repr(sorted(c.items())): float(e) for c, e in zip(everything, estimates, strict=True)})
    trials = [
        trial(choices, [2 * float(estimate), 1.0], user_attrs={"low_fidelity": float(estimate)})
        for choices, estimate in zip(everything[:12], estimates[:12], strict=True)
    ]
    history = history_of(trials)
    cache = CostCache(pricing, history.space)
    rest = everything[12:]
    assert all(cache.affordable(choices) for choices in rest)
    gains = gain_per_training(Posterior(history, cache, seed=0), rest)
    assert gains[np.argmax(estimates[12:])] == gains.max()


class Courses(Pricing):
    """Latency in ``unit`` by width; one kind has no price, and another is the only one with a longer training."""

    priced: ClassVar[bool] = True
    probes: ClassVar[int] = 0

    def __init__(self, unit: float = 1.0) -> None:
        self.unit = unit

    def price(self, choices: Mapping[str, Any]) -> Cost | None:
        if choices["kind"] == "b":
            return None
        return Cost((choices["width"] * self.unit,), True, (1.0 if choices["kind"] == "c" else 0.25,))

    def training(self, features: Floats) -> Floats:
        return np.asarray(features[:, 0])


def finished_with(kinds: str, unit: float = 1.0) -> History:
    found = [each for each in every_combination(SPACE) if each["kind"] in kinds]
    return history_of([trial(each, [each["width"] / 80, each["width"] * unit]) for each in found[::2]])


def test_a_price_that_becomes_known_changes_no_column_of_what_was_learnt() -> None:
    history = finished_with("ab")
    cache = CostCache(Courses(), history.space)
    posterior = Posterior(history, cache, seed=0)
    last = [each for each in every_combination(SPACE) if each["kind"] == "c"]
    before = gain_per_training(posterior, last)
    assert all(cache.affordable(choices) for choices in last)
    assert np.isfinite([before, gain_per_training(posterior, last)]).all()


def test_what_a_candidate_promises_does_not_depend_on_the_unit_of_costs() -> None:
    left = [each for each in every_combination(SPACE) if each["kind"] == "c"]
    gains = []
    for unit in (1.0, 1000.0):
        history = finished_with("a", unit)
        cache = CostCache(Courses(unit), history.space)
        assert all(cache.affordable(choices) for choices in left)
        gains.append(gain_per_training(Posterior(history, cache, seed=0), left))
    assert gains[0] == pytest.approx(gains[1], rel=1e-6)
