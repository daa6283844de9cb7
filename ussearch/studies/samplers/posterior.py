"""What is expected of candidates after the finished trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from ussearch.studies.samplers.cost_cache import CostCache
from ussearch.studies.samplers.cost_features import candidate_features, completed, finished_features, logarithms
from ussearch.studies.samplers.features import Features, choice_blocks, standardised
from ussearch.studies.samplers.history import History
from ussearch.studies.samplers.pricing import Choices
from ussearch.studies.samplers.voting import VotingRegressor

Floats = npt.NDArray[np.float64]
Pair = tuple[Features, Features]
MARGIN = 0.1
"""How far beyond the worst that was seen hypervolume still counts, as a share of the range."""
LEAST_ROOM = 0.4
"""The least that it counts beyond the dearest, in logarithms: half as much again. Costs that hardly differ are worth
little, however much they may differ for each other."""


@dataclass(frozen=True)
class Prediction:
    """Of P candidates: the first loss is uncertain, costs are exact where they are known and taken for exact.

    ``mean`` and ``spread`` [P] of the first loss; ``costs`` [P, C], the other losses, as logarithms where they are
    positive; ``within`` [P], the chance of keeping the limits, 1 where prices tell; ``training`` [P], what a training
    costs, relative to each other.
    """

    mean: Floats
    spread: Floats
    costs: Floats
    within: Floats
    training: Floats


class Posterior:
    """Learns from a history with at least two finished trials; ``seed`` draws the trees of the regressor.

    Attributes:
        front: losses [K, 1 + C] of the trials within the limits, the first one as learnt, costs as logarithms where
            they are positive: half of the milliseconds is worth the same wherever one begins. Without costs
            (C = 0) where these are limits alone.
        reference: a point [1 + C] a little worse than all of them.
    """

    def __init__(self, history: History, cache: CostCache, seed: int) -> None:
        self._history, self._cache = history, cache
        self._probes = cache.probes()
        self._finished = finished_features(history, cache)
        before, _, known = self._features(self._probes)
        self._accuracy = VotingRegressor(*before, history.losses[:, 0], seed)
        self._excess = None
        if not cache.pricing.priced and not history.feasible.all():
            self._excess = VotingRegressor(*before, history.excess, seed)
        probed = known[:, : self._count]
        self._positive = (np.concatenate([history.losses[:, 1:], probed]) > 0).all(axis=0)
        # NOTE: one lucky training would keep the search away from all that is really better.
        learnt = self._accuracy.predict(*before)[0][:, None]
        losses = np.concatenate([learnt, self._scaled(history.losses[:, 1:])], axis=1)
        counted = 1 if cache.pricing.limits_only else losses.shape[1]
        self.front = losses[history.feasible, :counted]
        self.reference = self._beyond_all(losses, self._scaled(probed))[:counted]

    def predict(self, candidates: Sequence[Choices]) -> Prediction:
        """Return what is expected of P candidates, at their exact costs where they have been priced."""
        _, pair, known = self._features(candidates)
        mean, spread = self._accuracy.predict(*pair)
        within = np.ones(len(candidates))
        if self._excess is not None:
            excess, doubt = self._excess.predict(*pair)
            within = ndtr(-excess / doubt)
        training = self._cache.pricing.training(known[:, self._count + 1 :])
        training = np.ones(len(candidates)) if np.isnan(training).any() else training
        costs = self._scaled(known[:, : self._count])[:, : len(self.reference) - 1]
        return Prediction(mean, spread, costs, within, training)

    @property
    def _count(self) -> int:
        """The number of costs among the losses."""
        return int(self._history.losses.shape[1]) - 1

    def _scaled(self, costs: Floats) -> Floats:
        """Return costs [N, C] as logarithms where they are positive."""
        smallest = np.finfo(np.float64).tiny
        return np.where(self._positive, np.log(np.maximum(costs, smallest)), costs)

    def _beyond_all(self, losses: Floats, probed: Floats) -> Floats:
        """Return a point [M] a little worse than all finished trials within the limits, and than the costs of probes.

        Without the probes (costs [P, C], none where nothing is priced) nothing slower than the slowest trial so far
        would ever be worth trying.
        """
        usable = losses[self._history.feasible if self._history.feasible.any() else slice(None)]
        within = np.array([self._cache.affordable(choices) for choices in self._probes], bool)
        costs = np.concatenate([usable[:, 1:], probed[within]])
        room = MARGIN * np.concatenate([np.ptp(usable[:, :1], axis=0), np.ptp(costs, axis=0)])
        worst = np.concatenate([usable[:, :1].max(axis=0), costs.max(axis=0)])
        room = np.where(room > 0, room, MARGIN * np.abs(worst) + 1e-9)
        room[1:] = np.where(self._positive, np.maximum(room[1:], LEAST_ROOM), room[1:])
        return np.asarray(worst + room, np.float64)

    def _features(self, candidates: Sequence[Choices]) -> tuple[Pair, Pair, Floats]:
        """Return wide and narrow features of finished trials, those of candidates, and what candidates cost [P, F]."""
        history, finished = self._history, len(self._history)
        rows = [*history.choices, *self._probes, *candidates]
        known = finished + len(self._probes)
        choices = choice_blocks(rows, history.space)
        told = np.array([self._cache.describe(row).features for row in rows]).reshape(len(rows), -1)
        others = candidate_features(rows[finished:], history, self._cache, self._finished.shape[1])
        described = Features.beside([*choices, standardised(told, told[:known])])
        costs = completed(np.concatenate([self._finished, others]), described)
        self._finished = costs[:finished]  # what was predicted once stays: columns must be the same in every call
        cheap = [standardised(column[:, None], column[:finished, None]) for column in logarithms(costs).T]
        wide = Features.beside([*choices, standardised(told, told[:finished]), *cheap])
        narrow = Features.beside([*choices, *cheap])
        before, after = slice(0, finished), slice(known, None)
        return (wide.rows(before), narrow.rows(before)), (wide.rows(after), narrow.rows(after)), costs[after]
