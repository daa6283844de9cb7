"""The surrogate-assisted sampler as Optuna sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

from ussearch.studies.samplers.acquisition import Acquisition
from ussearch.studies.samplers.cost_cache import CostCache
from ussearch.studies.samplers.history import History, categories, distributions_of, shared_distributions
from ussearch.studies.samplers.hypervolume_improvement import MOST_COSTS
from ussearch.studies.samplers.pricing import Pricing


class SurrogateSampler(BaseSampler):
    """Learns the first objective from the finished trials and proposes what should add most to the hypervolume.

    The first objective is what costs a training; the others (at most two) are costs. With a ``pricing`` they are exact
    before training and candidates beyond the limits are never proposed; without, they are predicted. Choices must be
    categorical; others are drawn at random. A proposal depends on the seed, the trial's number and the trials of the
    study alone: nothing is remembered from one call to the next but what candidates are and cost.
    """

    def __init__(self, seed: int, pricing: Pricing | None = None, *, startup: int = 4) -> None:
        """``startup`` trials are finished before anything is learnt; until then candidates are drawn at random."""
        self._seed, self._pricing, self._startup = seed, pricing or Pricing(), startup
        self._random = RandomSampler(seed)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the categorical choices: those of the problem, else those that the first trial shows."""
        if len(study.directions) > 1 + MOST_COSTS:
            raise ValueError(f"the surrogate takes at most {1 + MOST_COSTS} objectives, not {len(study.directions)}")
        known = self._pricing.choices
        return distributions_of(known) if known else shared_distributions(study.get_trials(deepcopy=False))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: Mapping[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the choices of a new candidate."""
        if not search_space:
            return {}
        acquisition = Acquisition(
            history=History.of(study, search_space),
            cache=CostCache(self._pricing, categories(search_space)),
            seed=(self._seed, trial.number),
        )
        return acquisition.random() if len(acquisition.history) < self._startup else acquisition.best()

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a value at random: for a first trial of which nothing is known, and for what is not categorical."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        """Keep the seed: the trial's number already tells parallel proposals apart."""
