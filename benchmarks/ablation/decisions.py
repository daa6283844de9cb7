"""The rule by which a factor's effect and its cost decide what becomes the default."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from ablation.effects import Effect
from ablation.factors import Factor
from ablation.rows import Row
from ablation.settings import SETTINGS, Setting

FREE = 0.02
"""A share of the time of a step below which a factor costs none."""
OUTER = 3
"""So many of the 15 ratios on either side lie outside the interval of their median (a sign test, 96 %)."""


@dataclass(frozen=True)
class Verdict:
    """What follows for a factor: ``change`` says whether the other level becomes the default, ``why`` in words."""

    change: bool
    why: str


@dataclass(frozen=True)
class Cost:
    """What a step costs at the other level, as a multiple of the former one's, with the interval of that median."""

    ratio: float
    low: float
    high: float

    @classmethod
    def of(cls, ratios: Sequence[float]) -> Cost:
        """Return the cost that was measured side by side."""
        ordered = sorted(ratios)
        outer = min(OUTER, (len(ordered) - 1) // 2)
        return cls(median(ordered), ordered[outer], ordered[-1 - outer])

    @property
    def saves(self) -> bool:
        """Whether the other level takes less time, beyond chance."""
        return self.ratio < 1 - FREE and self.high < 1

    @property
    def takes(self) -> bool:
        """Whether it takes more time, beyond chance."""
        return self.ratio > 1 + FREE and self.low > 1


NOTHING = Cost(1.0, 1.0, 1.0)


def verdict(effect: Effect, cost: Cost | None) -> Verdict:
    """Apply the rule: beyond chance, or else the level that costs less time, or else what stands."""
    if cost is None:
        return Verdict(False, "what it costs is not measured yet")
    if effect.better:
        return Verdict(True, "the other level is better")
    if effect.worse:
        return Verdict(False, "the former level is better")
    if cost.saves:
        return Verdict(True, "no evidence for what costs time")
    return Verdict(False, "no evidence, and costs time" if cost.takes else "no evidence for a change")


def cost_of(rows: Sequence[Row], factor: Factor, setting: Setting | None = None) -> Cost | None:
    """Return what a step costs at the other level; None where that was not measured."""
    if factor.costs_nothing:
        return NOTHING
    of = setting or next(each for each in SETTINGS if each.family == "busi")
    named = f"{of.network} at {of.image_size}"
    kept = [
        row["ratios"]
        for row in rows
        if row["kind"] == "cost" and (row["network"], row["factor"]) == (named, factor.name)
    ]
    return Cost.of(kept[0]) if kept else None
