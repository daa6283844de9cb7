"""Candidates of one proposal: each is described, priced and turned into figures once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ussearch.studies.surrogate.columns import Space
from ussearch.studies.surrogate.pool import random_choices
from ussearch.studies.surrogate.pricing import Choices, Description, NoPricing, Offer, Pricing

Floats = npt.NDArray[np.float64]
PROBES = 24
"""Random candidates that are priced to learn what choices cost; always the same, so that prices can be remembered."""
PROBE_SEED = 0


class Market:
    """Remembers what ``pricing`` told about candidates of ``space``."""

    def __init__(self, pricing: Pricing, space: Space) -> None:
        """Nothing is asked before it is needed."""
        self.priced = not isinstance(pricing, NoPricing)
        self._pricing, self._space = pricing, space
        self._descriptions: dict[tuple[Any, ...], Description] = {}
        self._offers: dict[tuple[Any, ...], Offer | None] = {}

    def describe(self, choices: Choices) -> Description:
        """Return what is known at once."""
        key = self._key(choices)
        if key not in self._descriptions:
            self._descriptions[key] = self._pricing.describe(choices)
        return self._descriptions[key]

    def offer(self, choices: Choices) -> Offer | None:
        """Return the exact costs; None where the candidate cannot be had."""
        key = self._key(choices)
        if key not in self._offers:
            self._offers[key] = self._pricing.price(choices)
        return self._offers[key]

    def affordable(self, choices: Choices) -> bool:
        """Return whether the candidate can be had within the limits, which is taken for granted without prices."""
        if not self.priced:
            return True
        offer = self.offer(choices)
        return offer is not None and offer.feasible

    def known(self, choices: Choices) -> Offer | None:
        """Return the offer if it was asked for before."""
        return self._offers.get(self._key(choices))

    def probes(self) -> list[dict[str, Any]]:
        """Return candidates that can be had, with their prices known; none without prices."""
        if not self.priced:
            return []
        generator = np.random.default_rng(PROBE_SEED)
        drawn = [random_choices(self._space, generator) for _ in range(PROBES)]
        return [choices for choices in drawn if self.offer(choices) is not None]

    def _key(self, choices: Choices) -> tuple[Any, ...]:
        return tuple(choices[name] for name in self._space)
