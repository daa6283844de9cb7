"""Architectures of a space as the surrogate sees them: described by their encoding, priced by the latency model."""

from __future__ import annotations

from dataclasses import dataclass

from ussearch.evaluators import Evaluator, Tier
from ussearch.search_spaces import FreeSpace, SearchSpace
from ussearch.studies.surrogate.pricing import Choices, Description, Offer


@dataclass(frozen=True)
class ArchitecturePricing:
    """Objectives after the first are latency in ms and peak memory in MiB of ``tier``."""

    space: SearchSpace | FreeSpace
    evaluator: Evaluator
    tier: Tier

    def describe(self, choices: Choices) -> Description:
        """Return id and encoding of the architecture."""
        architecture = self.space.compose(choices)
        return Description(architecture.id, tuple(self.space.encode(architecture)))

    def price(self, choices: Choices) -> Offer | None:
        """Return the costs; None where the end cannot run the architecture or it cannot be built."""
        architecture = self.space.compose(choices)
        if self.evaluator.refused(architecture, self.tier):
            return None
        try:
            costs = self.evaluator.costs(architecture)[self.tier]
        except ValueError:
            return None
        return Offer(
            costs=(costs.latency_ms, costs.memory_mib),
            feasible=costs.feasible,
            features=(float(max(costs.macs, 1)), float(max(costs.parameters, 1))),
        )
