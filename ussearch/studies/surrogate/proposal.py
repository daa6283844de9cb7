"""One proposal: a pool of candidates nobody has tried, and the member that promises most."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ussearch.studies.front import non_dominated
from ussearch.studies.surrogate.forecast import Forecast
from ussearch.studies.surrogate.history import History
from ussearch.studies.surrogate.market import Market
from ussearch.studies.surrogate.pool import candidate_pool, every_combination, random_choices

Choices = dict[str, Any]
MOST_ENUMERATED = 100_000
"""Combinations that are walked through where a pool holds nothing new; larger spaces are never used up."""


@dataclass(frozen=True)
class Proposal:
    """Chooses the next candidate after ``history``; ``seed`` decides where chance does."""

    history: History
    market: Market
    pool_size: int
    shortlist: int
    seed: tuple[int, int]

    def random(self) -> Choices:
        """Return a new candidate at random, within the limits where prices are known."""
        generator = np.random.default_rng(self.seed)
        drawn = self._new([random_choices(self.history.space, generator) for _ in range(self.pool_size)])
        return next((each for each in drawn if self.market.affordable(each)), drawn[0])

    def best(self) -> Choices:
        """Return the new candidate with the greatest expected gain; where prices are known, one within the limits.

        The pool is ranked by predicted costs; then candidates are priced, ``shortlist`` at a time, until some can be
        afforded, and the best of those at exact costs is taken.
        """
        pool = self._new(
            candidate_pool(self.history.space, self._parents(), self.pool_size, np.random.default_rng(self.seed))
        )
        forecast = Forecast(self.history, self.market, self.seed[1])
        ranked = _ranked(pool, forecast)
        if not self.market.priced:
            return ranked[0]
        for start in range(0, len(ranked), self.shortlist):
            within = [each for each in ranked[start : start + self.shortlist] if self.market.affordable(each)]
            if within:
                return _ranked(within, forecast)[0]
        return ranked[0]

    def _parents(self) -> list[Choices]:
        """Return the choices of the front within the limits."""
        feasible = np.flatnonzero(self.history.feasible)
        if not len(feasible):
            return []
        return [self.history.choices[number] for number in feasible[non_dominated(self.history.losses[feasible])]]

    def _new(self, candidates: Sequence[Choices]) -> list[Choices]:
        """Return the candidates that nobody has tried, each once; where there are none, any that is left at all."""
        taken = {self.market.describe(choices).identity for choices in self.history.taken}
        rest = itertools.islice(every_combination(self.history.space), MOST_ENUMERATED)
        found = list(self._untaken(candidates, taken)) or list(itertools.islice(self._untaken(rest, taken), 1))
        return found or list(candidates)

    def _untaken(self, candidates: Iterable[Choices], taken: set[str]) -> Iterable[Choices]:
        seen = set(taken)
        for choices in candidates:
            identity = self.market.describe(choices).identity
            if identity not in seen:
                seen.add(identity)
                yield choices


def _ranked(candidates: Sequence[Choices], forecast: Forecast) -> list[Choices]:
    """Return candidates by falling gain; equal ones stay in order."""
    return [candidates[number] for number in np.argsort(-forecast.gains(candidates), kind="stable")]
