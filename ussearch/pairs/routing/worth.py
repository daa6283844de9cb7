"""Is there anything to gain by routing? Where the networks are alike, the edge answers for itself."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from ussearch.evaluators.paired import paired_change

LEAST_GAP = 0.02
"""Of Dice, cloud less edge; below it "routing is not worthwhile here"."""


class Worth(BaseModel):
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
        return (
            f"{verdict}: the cloud is better by {100 * self.gap:.1f} points of Dice ({100 * self.low:.1f} to "
            f"{100 * self.high:.1f}) on {self.images} images, at least {100 * LEAST_GAP:.0f} and an interval above 0 "
            "are asked for"
        )


def worth(edge_dice: Sequence[float], cloud_dice: Sequence[float], groups: Sequence[int]) -> Worth:
    """Return what routing could gain on images [N] with Dice of both networks; ``groups`` are patients."""
    change = paired_change(edge_dice, cloud_dice, groups)
    return Worth(
        images=change.images,
        edge_dice=sum(edge_dice) / len(edge_dice),
        cloud_dice=sum(cloud_dice) / len(cloud_dice),
        gap=change.mean,
        low=change.low,
        high=change.high,
    )
