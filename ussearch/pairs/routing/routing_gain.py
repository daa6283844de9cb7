"""Is there anything to gain by routing? Where the networks are alike, the edge answers for itself."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from ussearch.evaluators.metrics.paired_bootstrap import paired_change

LEAST_GAP = 0.02
"""Of Dice, cloud less edge; below it "routing is not worthwhile here"."""


class RoutingGain(BaseModel):
    """Mean Dice of both networks on ``images``, the gap between them and its 95 % interval over patients."""

    model_config = ConfigDict(frozen=True)

    images: int
    edge_dice: float
    cloud_dice: float
    gap: float
    low: float
    high: float

    @property
    def worthwhile(self) -> bool:
        """Whether the gap is two points or more, and its interval above 0."""
        return self.gap >= LEAST_GAP and self.low > 0

    @property
    def sentence(self) -> str:
        """What was seen, in words."""
        verdict = "routing is worthwhile" if self.worthwhile else "routing is not worthwhile here"
        word, sign = ("better", 1) if self.gap >= 0 else ("worse", -1)
        low, high = sorted((sign * self.low, sign * self.high))
        return (
            f"{verdict}: over all {self.images} images, those without a lesion too, the cloud is {word} by "
            f"{100 * abs(self.gap):.1f} points of Dice ({100 * low:.1f} to {100 * high:.1f}); at least "
            f"{100 * LEAST_GAP:.0f} points better and an interval above 0 are asked for"
        )


def routing_gain(edge_dice: Sequence[float], cloud_dice: Sequence[float], groups: Sequence[int]) -> RoutingGain:
    """Return what routing could gain on images [N] with Dice of both networks; ``groups`` are patients."""
    change = paired_change(edge_dice, cloud_dice, groups)
    return RoutingGain(
        images=change.images,
        edge_dice=sum(edge_dice) / len(edge_dice),
        cloud_dice=sum(cloud_dice) / len(cloud_dice),
        gap=change.mean,
        low=change.low,
        high=change.high,
    )
