"""Candidates of a problem: each is described and priced once."""

from __future__ import annotations

from typing import Any

import numpy as np

from ussearch.studies.samplers.pricing import Choices, Cost, Description, Pricing, Space

PROBE_SEED = 0


class CostCache:
    """Remembers what ``pricing`` told about candidates of ``space``."""

    def __init__(self, pricing: Pricing, space: Space) -> None:
        """Nothing is asked before it is needed."""
        self.pricing, self.space = pricing, space
        self._descriptions: dict[tuple[Any, ...], Description] = {}
        self._costs: dict[tuple[Any, ...], Cost | None] = {}

    def describe(self, choices: Choices) -> Description:
        """Return what is known at once."""
        key = self._key(choices)
        if key not in self._descriptions:
            self._descriptions[key] = self.pricing.describe(choices)
        return self._descriptions[key]

    def cost(self, choices: Choices) -> Cost | None:
        """Return the exact costs; None where the candidate cannot be had."""
        key = self._key(choices)
        if key not in self._costs:
            self._costs[key] = self.pricing.price(choices)
        return self._costs[key]

    def affordable(self, choices: Choices) -> bool:
        """Return whether the candidate can be had within the limits, which is taken for granted without prices."""
        if not self.pricing.priced:
            return True
        cost = self.cost(choices)
        return cost is not None and cost.feasible

    def known(self, choices: Choices) -> Cost | None:
        """Return the costs if they were asked for before."""
        return self._costs.get(self._key(choices))

    def probes(self) -> list[dict[str, Any]]:
        """Return random candidates that can be had, with their costs known; none without prices."""
        if not self.pricing.priced:
            return []
        generator = np.random.default_rng(PROBE_SEED)
        drawn = [self.pricing.draw(self.space, generator) for _ in range(self.pricing.probes)]
        return [choices for choices in drawn if self.cost(choices) is not None]

    def _key(self, choices: Choices) -> tuple[Any, ...]:
        return tuple(choices[name] for name in self.space)
