"""One proposal: a pool of candidates nobody has tried, and the member that promises most for its training."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ussearch.studies.front import non_dominated
from ussearch.studies.samplers.candidate_pool import candidate_pool, combinations, every_combination
from ussearch.studies.samplers.cost_cache import CostCache
from ussearch.studies.samplers.history import History
from ussearch.studies.samplers.hypervolume_improvement import expected_improvement
from ussearch.studies.samplers.posterior import Posterior

Choices = dict[str, Any]
MOST_PRICED = 64
"""Candidates of a proposal that are priced, a tenth of a second each, before none of them counts as affordable."""
LOTS = 8
"""Candidates among which one is drawn by lot."""
MOST_ENUMERATED = 100_000
"""Combinations that are walked through where a pool holds nothing new; larger spaces are never used up."""


def gain_per_training(posterior: Posterior, candidates: Sequence[Choices]) -> npt.NDArray[np.float64]:
    """Return the gain in hypervolume that each of P candidates is expected to bring per cost of its training, [P].

    Where limits are known from finished trials only, the chance of keeping within them is a factor.
    """
    found = posterior.predict(candidates)
    gains = expected_improvement(found.mean, found.spread, found.costs, posterior.front, posterior.reference)
    return gains * found.within / found.training


@dataclass(frozen=True)
class Acquisition:
    """Chooses the next candidate after ``history``; ``seed`` decides where chance does."""

    history: History
    cache: CostCache
    seed: tuple[int, int]

    def random(self) -> Choices:
        """Return a new candidate at random; where prices are known, one within the limits.

        Then it is drawn by lot among the first of those, each as likely as it is quickly trained: nobody knows what any
        is good for, and a network that has nothing to start from can cost as much as ten others.
        """
        pricing, generator = self.cache.pricing, np.random.default_rng(self.seed)
        drawn = self._new(pricing.draw(self.history.space, generator) for _ in range(pricing.pool_size))
        first = next(drawn)
        if not pricing.priced:
            return first
        tried = itertools.islice(itertools.chain([first], drawn), MOST_PRICED)
        lots = list(itertools.islice(filter(self.cache.affordable, tried), LOTS))
        costs = [cost.features for each in lots if (cost := self.cache.cost(each)) is not None]
        if not lots:
            return first
        chances = 1 / pricing.training(np.array(costs))
        return lots[int(generator.choice(len(lots), p=chances / chances.sum()))]

    def best(self) -> Choices:
        """Return the new candidate that promises most; where prices are known, one within the limits.

        The pool is ranked by predicted costs; then candidates are priced, a shortlist at a time, until some can be
        afforded, and the best of those at exact costs is taken; one at random where none of the best can.
        """
        pricing, generator = self.cache.pricing, np.random.default_rng(self.seed)
        pool = list(self._new(candidate_pool(pricing, self.history.space, self._parents(), generator)))
        posterior = Posterior(self.history, self.cache, self.seed[1])
        ranked = _ranked(pool, posterior)
        if not pricing.priced:
            return ranked[0]
        for start in range(0, min(len(ranked), MOST_PRICED), pricing.shortlist):
            within = [each for each in ranked[start : start + pricing.shortlist] if self.cache.affordable(each)]
            if within:
                return _ranked(within, posterior)[0]
        return self.random()

    def _parents(self) -> list[Choices]:
        """Return the choices of the front within the limits."""
        feasible = np.flatnonzero(self.history.feasible)
        if not len(feasible):
            return []
        return [self.history.choices[number] for number in feasible[non_dominated(self.history.losses[feasible])]]

    def _new(self, candidates: Iterable[Choices]) -> Iterator[Choices]:
        """Return the candidates that nobody has tried, each once; where there are none, any that is left at all."""
        space = self.history.space
        candidates, again = itertools.tee(candidates)
        every = every_combination(space) if combinations(space) <= MOST_ENUMERATED else iter(())
        for source in (self._untaken(candidates), itertools.islice(self._untaken(every), 1)):
            first = next(source, None)
            if first is not None:
                return itertools.chain([first], source)
        return again

    def _untaken(self, candidates: Iterable[Choices]) -> Iterator[Choices]:
        seen = {self.cache.describe(choices).identity for choices in self.history.taken}
        for choices in candidates:
            identity = self.cache.describe(choices).identity
            if identity not in seen:
                seen.add(identity)
                yield choices


def _ranked(candidates: Sequence[Choices], posterior: Posterior) -> list[Choices]:
    """Return candidates by what they promise, best first; equal ones stay in order."""
    promised = gain_per_training(posterior, candidates)
    return [candidates[number] for number in np.argsort(-promised, kind="stable")]
