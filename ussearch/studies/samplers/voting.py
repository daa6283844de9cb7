"""The regressor: a Gaussian process and extremely randomised trees, which err in different ways."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ussearch.studies.samplers.features import Features
from ussearch.studies.samplers.gaussian_process import GaussianProcess

Floats = npt.NDArray[np.float64]
TREES = 50


class VotingRegressor:
    """Learns values [N] from columns; predicts mean and standard deviation [M] of what is free of noise.

    The process sees ``wide`` columns, of which it finds out what matters; the trees split on any column that comes by
    chance and are better off with ``narrow`` ones. Each is better than the other somewhere, their mean nearly always
    as good as the better one.
    """

    def __init__(self, wide: Features, narrow: Features, values: Floats, seed: int) -> None:
        """Learn from at least two finite values, equal ones too; ``seed`` draws the trees."""
        from sklearn import config_context
        from sklearn.ensemble import ExtraTreesRegressor

        self._mean, self._spread = float(values.mean()), float(values.std()) or 1.0
        scaled = (values - self._mean) / self._spread
        self._process = GaussianProcess(wide.groups).fit(wide.values, scaled[:, None])
        self._trees = ExtraTreesRegressor(TREES, max_features=0.5, random_state=seed, n_jobs=1)
        with config_context(skip_parameter_validation=True):
            self._trees.fit(narrow.values, scaled)

    def predict(self, wide: Features, narrow: Features) -> tuple[Floats, Floats]:
        """Return the mean of both members and the spread of their mixture."""
        mean, spread = self._process.predict(wide.values)
        # NOTE: a tree's own predict checks its input anew, which takes longer than predicting.
        values = narrow.values.astype(np.float32)
        votes = np.stack([tree.tree_.predict(values)[:, 0] for tree in self._trees.estimators_])
        means = np.stack([mean[:, 0], votes.mean(axis=0)])
        spreads = np.stack([spread, votes.std(axis=0)])
        variance = (spreads**2 + (means - means.mean(axis=0)) ** 2).mean(axis=0)
        return self._mean + self._spread * means.mean(axis=0), self._spread * np.sqrt(variance)
