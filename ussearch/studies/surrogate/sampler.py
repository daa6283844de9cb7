"""The surrogate-assisted sampler as Optuna sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

from ussearch.studies.surrogate.history import History, categories, shared_distributions
from ussearch.studies.surrogate.infill import MOST_COSTS
from ussearch.studies.surrogate.market import Market
from ussearch.studies.surrogate.pricing import NoPricing, Pricing
from ussearch.studies.surrogate.proposal import Proposal


class SurrogateSampler(BaseSampler):
    """Learns the first objective from the finished trials and proposes what should add most to the hypervolume.

    The first objective is what costs a training; the others (at most two) are costs. With a ``pricing`` they are exact
    before training and candidates beyond the limits are never proposed; without, they are predicted. Choices must be
    categorical; others are drawn at random. A proposal depends on the seed, the trial's number and the trials of the
    study alone: nothing is remembered from one call to the next.
    """

    def __init__(
        self, seed: int, pricing: Pricing | None = None, *, startup: int = 4, pool: int = 384, shortlist: int = 8
    ) -> None:
        """``startup`` finished trials are drawn at random before anything is learnt.

        Of ``pool`` candidates the ``shortlist`` that look best are priced exactly.
        """
        self._seed, self._pricing = seed, pricing or NoPricing()
        self._startup, self._pool, self._shortlist = startup, pool, shortlist
        self._random = RandomSampler(seed)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the categorical choices of the trials so far; the first trial shows what there is to choose."""
        if len(study.directions) > 1 + MOST_COSTS:
            raise ValueError(f"the surrogate takes at most {1 + MOST_COSTS} objectives, not {len(study.directions)}")
        return shared_distributions(study.get_trials(deepcopy=False))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: Mapping[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the choices of a new candidate."""
        if not search_space:
            return {}
        proposal = Proposal(
            history=History.of(study, search_space),
            market=Market(self._pricing, categories(search_space)),
            pool_size=self._pool,
            shortlist=self._shortlist,
            seed=(self._seed, trial.number),
        )
        return proposal.random() if len(proposal.history) < self._startup else proposal.best()

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a value at random: for the first trial, and for what is not categorical."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        """Keep the seed: the trial's number already tells parallel proposals apart."""
