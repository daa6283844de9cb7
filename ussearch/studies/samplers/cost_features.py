"""Costs as features: exact where a candidate is finished or priced, predicted where it is not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ussearch.studies.samplers.cost_cache import CostCache
from ussearch.studies.samplers.features import Features
from ussearch.studies.samplers.gaussian_process import GaussianProcess
from ussearch.studies.samplers.history import History
from ussearch.studies.samplers.pricing import Choices, Cost

Floats = npt.NDArray[np.float64]


def finished_features(history: History, cache: CostCache) -> Floats:
    """Return what N finished trials cost [N, F]: losses of the objectives, low fidelity, features of the prices."""
    costs = [cache.cost(choices) if cache.pricing.priced else None for choices in history.choices]
    return np.concatenate([history.losses[:, 1:], history.low_fidelity[:, None], _features(costs)], axis=1)


def candidate_features(candidates: Sequence[Choices], history: History, cache: CostCache, count: int) -> Floats:
    """Return the same [P, ``count``] of candidates as far as they have been priced, NaN elsewhere."""
    found = np.full((len(candidates), count), np.nan)
    for row, choices in zip(found, candidates, strict=True):
        cost = cache.known(choices)
        if cost is not None:
            low = np.nan if cost.low_fidelity is None else cost.low_fidelity
            row[:] = [*(np.array(cost.objectives) * history.signs[1:]), low, *cost.features]
    return found


def completed(costs: Floats, described: Features) -> Floats:
    """Return ``costs`` [N, F] with every NaN predicted from ``described`` by the rows that know that column.

    A column that fewer than two rows know stays as it is.
    """
    filled: Floats = costs.copy()
    unknown = np.isnan(costs)
    # NOTE: most columns are known for the same rows, and one fit serves them all.
    for pattern in np.unique(unknown, axis=1).T:
        if pattern.any() and (~pattern).sum() > 1:
            alike = (unknown == pattern[:, None]).all(axis=0)
            filled[np.ix_(pattern, alike)] = _predicted(costs[np.ix_(~pattern, alike)], described, ~pattern)
    return filled


def logarithms(costs: Floats) -> Floats:
    """Return costs [N, F] with columns of positive numbers as logarithms, without columns that hold NaN."""
    kept = costs[:, ~np.isnan(costs).any(axis=0)]
    positive = (kept > 0).all(axis=0)
    return np.where(positive, np.log(np.where(positive, kept, 1.0)), kept)


def _features(costs: Sequence[Cost | None]) -> Floats:
    """Return the features [N, K] of prices, NaN where there is none."""
    count = max((len(cost.features) for cost in costs if cost), default=0)
    return np.array([cost.features if cost else [np.nan] * count for cost in costs]).reshape(len(costs), count)


def _predicted(values: Floats, described: Features, known: npt.NDArray[np.bool_]) -> Floats:
    """Return predictions [P, K] for the rows that are not known; positive values are learnt as logarithms."""
    positive = (values > 0).all(axis=0)
    targets = np.where(positive, np.log(np.where(positive, values, 1.0)), values)
    mean, spread = targets.mean(axis=0), targets.std(axis=0)
    spread[spread == 0] = 1.0
    process = GaussianProcess(described.groups).fit(described.values[known], (targets - mean) / spread)
    found = process.predict(described.values[~known])[0] * spread + mean
    return np.where(positive, np.exp(np.where(positive, found, 0.0)), found)
