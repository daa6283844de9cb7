"""Any Optuna sampler on a problem that knows how its candidates are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from ussearch.studies.samplers.history import distributions_of
from ussearch.studies.samplers.pricing import Pricing, Space

IN_VAIN = 10
"""After so many proposals in a row that nobody could use (known, or beyond the limits) the next is a draw."""


class WholeDraws(BaseSampler):
    """Where the sampler would draw a candidate value by value at random, the problem draws the whole of it.

    Of bases and edits nearly every value changes nothing in a candidate that anybody wants; drawn one by one, nearly
    every one would. A sampler that learns value by value decides those in which a draw differs from what is finished.
    """

    def __init__(
        self, sampler: BaseSampler, pricing: Pricing, space: Space, seed: int, *, startup: int | None = None
    ) -> None:
        """After ``startup`` finished trials ``sampler`` decides values one by one; None: it never should."""
        self._sampler, self._pricing, self._space = sampler, pricing, space
        self._seed, self._startup = seed, startup

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return every choice of the problem."""
        return distributions_of(self._space)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return what the sampler proposes; where that is nothing a draw, without what the sampler is to decide."""
        if not self._in_vain(study, trial):
            shared = self._sampler.infer_relative_search_space(study, trial)
            proposed = self._sampler.sample_relative(study, trial, shared)
            if proposed:
                return proposed
        drawn = self._pricing.draw(self._space, np.random.default_rng((self._seed, trial.number)))
        finished = [each.params for each in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))]
        if self._startup is None or len(finished) < self._startup or self._in_vain(study, trial):
            return drawn
        nearest = max(finished, key=lambda params: sum(params[name] == drawn[name] for name in drawn))
        return {name: value for name, value in drawn.items() if value == nearest[name]}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the sampler's own value for a choice that it left open, such as one that mutates."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Pass on."""
        self._sampler.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """Pass on."""
        self._sampler.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        """Keep the seed: the trial's number already tells parallel proposals apart."""

    def _in_vain(self, study: Study, trial: FrozenTrial) -> bool:
        last = [each for each in study.get_trials(deepcopy=False) if each.number < trial.number][-IN_VAIN:]
        return len(last) == IN_VAIN and all(each.state == TrialState.FAIL for each in last)
