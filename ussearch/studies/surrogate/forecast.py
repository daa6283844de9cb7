"""What candidates are expected to add to the hypervolume of the finished trials."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from ussearch.studies.surrogate.columns import Columns, choice_blocks, standardised
from ussearch.studies.surrogate.ensemble import Ensemble
from ussearch.studies.surrogate.figures import completed, finished_figures, logarithms, offered_figures
from ussearch.studies.surrogate.history import History
from ussearch.studies.surrogate.infill import expected_improvement
from ussearch.studies.surrogate.market import Market
from ussearch.studies.surrogate.pricing import Choices

Floats = npt.NDArray[np.float64]
Pair = tuple[Columns, Columns]
MARGIN = 0.1
"""How far beyond the worst that was seen hypervolume still counts, as a share of the range."""


class Forecast:
    """Learns from a history with at least two finished trials; ``seed`` draws the trees of the regressor."""

    def __init__(self, history: History, market: Market, seed: int) -> None:
        self._history, self._market = history, market
        self._probes = market.probes()
        self._figures = finished_figures(history, market)
        before, _, costs = self._columns(self._probes)
        self._accuracy = Ensemble(*before, history.losses[:, 0], seed)
        self._excess = None
        if not market.priced and not history.feasible.all():
            self._excess = Ensemble(*before, history.excess, seed)
        # NOTE: one lucky training would keep the search away from all that is really better.
        self._losses = np.concatenate([self._accuracy.predict(*before)[0][:, None], history.losses[:, 1:]], axis=1)
        self._reference = self._beyond_all(costs)

    def gains(self, candidates: Sequence[Choices]) -> Floats:
        """Return what each of P candidates is expected to add to the hypervolume, [P], of the trials as learnt.

        Costs of candidates that have been priced are exact; those of others are predicted and taken for exact.
        Where limits are known from finished trials only, the chance of keeping within them is a factor.
        """
        history, (_, pair, costs) = self._history, self._columns(candidates)
        mean, spread = self._accuracy.predict(*pair)
        gains = expected_improvement(mean, spread, costs, self._losses[history.feasible], self._reference)
        if self._excess is None:
            return gains
        excess, doubt = self._excess.predict(*pair)
        return np.asarray(gains * ndtr(-excess / doubt), np.float64)

    def _beyond_all(self, probed: Floats) -> Floats:
        """Return a point [M] a little worse than all finished trials within the limits, and than the costs of probes.

        Without the probes (costs [P, C], none where nothing is priced) nothing slower than the slowest trial so far
        would ever be worth trying.
        """
        usable = self._losses[self._history.feasible if self._history.feasible.any() else slice(None)]
        within = np.array([self._market.affordable(choices) for choices in self._probes], bool)
        costs = np.concatenate([usable[:, 1:], probed[within]])
        reach = np.concatenate([np.ptp(usable[:, :1], axis=0), np.ptp(costs, axis=0)])
        worst = np.concatenate([usable[:, :1].max(axis=0), costs.max(axis=0)])
        return np.asarray(worst + MARGIN * np.where(reach > 0, reach, np.abs(worst) + 1e-9), np.float64)

    def _columns(self, candidates: Sequence[Choices]) -> tuple[Pair, Pair, Floats]:
        """Return the wide and the narrow columns of finished trials, those of candidates, and the candidates' costs."""
        history, finished = self._history, len(self._history)
        rows = [*history.choices, *self._probes, *candidates]
        known = finished + len(self._probes)
        choices = choice_blocks(rows, history.space)
        features = np.array([self._market.describe(row).features for row in rows]).reshape(len(rows), -1)
        others = offered_figures(rows[finished:], history, self._market, self._figures.shape[1])
        described = Columns.beside([*choices, standardised(features, features[:known])])
        figures = completed(np.concatenate([self._figures, others]), described)
        cheap = [standardised(column[:, None], column[:finished, None]) for column in logarithms(figures).T]
        wide = Columns.beside([*choices, standardised(features, features[:finished]), *cheap])
        narrow = Columns.beside([*choices, *cheap])
        before, after = slice(0, finished), slice(known, None)
        costs = figures[after, : history.losses.shape[1] - 1]
        return (wide.rows(before), narrow.rows(before)), (wide.rows(after), narrow.rows(after)), costs
