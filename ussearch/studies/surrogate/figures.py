"""Figures known before training: exact where a candidate is finished or priced, predicted where it is not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ussearch.studies.surrogate.columns import Columns
from ussearch.studies.surrogate.gaussian_process import GaussianProcess
from ussearch.studies.surrogate.history import History
from ussearch.studies.surrogate.market import Market
from ussearch.studies.surrogate.pricing import Choices, Offer

Floats = npt.NDArray[np.float64]


def finished_figures(history: History, market: Market) -> Floats:
    """Return the figures [N, F] of finished trials: losses of the costs, low fidelity, features of the offers."""
    offers = [market.offer(choices) if market.priced else None for choices in history.choices]
    features = _features(offers)
    return np.concatenate([history.losses[:, 1:], history.low_fidelity[:, None], features], axis=1)


def offered_figures(candidates: Sequence[Choices], history: History, market: Market, count: int) -> Floats:
    """Return the figures [P, ``count``] of candidates as far as they have been priced, NaN elsewhere."""
    figures = np.full((len(candidates), count), np.nan)
    for row, choices in zip(figures, candidates, strict=True):
        offer = market.known(choices)
        if offer is not None:
            low = np.nan if offer.low_fidelity is None else offer.low_fidelity
            row[:] = [*(np.array(offer.costs) * history.signs[1:]), low, *offer.features]
    return figures


def completed(figures: Floats, columns: Columns) -> Floats:
    """Return ``figures`` [N, F] with every NaN predicted from ``columns`` by the rows that know that figure.

    A figure that fewer than two rows know stays as it is.
    """
    filled: Floats = figures.copy()
    unknown = np.isnan(figures)
    # NOTE: most figures are known for the same rows, and one fit serves them all.
    for pattern in np.unique(unknown, axis=1).T:
        if pattern.any() and (~pattern).sum() > 1:
            alike = (unknown == pattern[:, None]).all(axis=0)
            filled[np.ix_(pattern, alike)] = _predicted(figures[np.ix_(~pattern, alike)], columns, ~pattern)
    return filled


def logarithms(figures: Floats) -> Floats:
    """Return figures [N, F] with columns of positive numbers as logarithms, without columns that hold NaN."""
    kept = figures[:, ~np.isnan(figures).any(axis=0)]
    positive = (kept > 0).all(axis=0)
    return np.where(positive, np.log(np.where(positive, kept, 1.0)), kept)


def _features(offers: Sequence[Offer | None]) -> Floats:
    """Return the features [N, K] of offers, NaN where there is no offer."""
    count = max((len(offer.features) for offer in offers if offer), default=0)
    return np.array([offer.features if offer else [np.nan] * count for offer in offers]).reshape(len(offers), count)


def _predicted(values: Floats, columns: Columns, known: npt.NDArray[np.bool_]) -> Floats:
    """Return predictions [P, K] for the rows that are not known; positive values are learnt as logarithms."""
    positive = (values > 0).all(axis=0)
    targets = np.where(positive, np.log(np.where(positive, values, 1.0)), values)
    mean, spread = targets.mean(axis=0), targets.std(axis=0)
    spread[spread == 0] = 1.0
    process = GaussianProcess(columns.groups).fit(columns.values[known], (targets - mean) / spread)
    found = process.predict(columns.values[~known])[0] * spread + mean
    return np.where(positive, np.exp(np.where(positive, found, 0.0)), found)
