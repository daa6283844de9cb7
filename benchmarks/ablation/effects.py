"""What each factor is worth: least squares over the runs of a family, and intervals over images and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablation.rows import Row

DRAWS = 10_000
SPARE = 6
"""Degrees of freedom below which the noise of runs is not known well enough."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Effect:
    """Points of mean Dice that the other level of a factor is above the former one, with its 95 % interval."""

    points: float
    low: float
    high: float

    @classmethod
    def of(cls, points: float | np.floating[Any], draws: Floats) -> Effect:
        """Return the effect whose sampling distribution was drawn."""
        low, high = np.quantile(draws, [0.025, 0.975])
        return cls(float(points), float(low), float(high))

    @property
    def better(self) -> bool:
        """Whether the other level is better, beyond chance."""
        return self.low > 0

    @property
    def worse(self) -> bool:
        """Whether it is worse, beyond chance."""
        return self.high < 0


@dataclass(frozen=True)
class Family:
    """Runs of one network on one kind of images; ``images`` has, by setting, the groups of those that judge."""

    runs: Sequence[Row]
    groups: Mapping[str, Sequence[int]]
    factors: Sequence[str]

    @cached_property
    def settings(self) -> list[str]:
        """Settings with runs, in the order of their first ones."""
        return list(dict.fromkeys(row["setting"] for row in self.runs))

    @cached_property
    def model(self) -> Floats:
        """Return the regressors [runs, factors + others]: 1 where a factor is at its other level, then each setting.

        A factor named ``A & B`` is 1 where both are at their other level: the interaction of the two. The length of a
        training, by far the strongest factor, may act on every setting in another way; its effect is their mean.
        """
        levels = [[float(set(name.split(" & ")) <= set(row["arm"])) for name in self.factors] for row in self.runs]
        places = np.array([[float(row["setting"] == name) for name in self.settings] for row in self.runs])
        parts = [np.reshape(levels, (len(self.runs), -1)), places]
        if "length" in self.factors:
            length = parts[0][:, list(self.factors).index("length")]
            parts.append((places[:, 1:] - places[:, :1]) * length[:, None])
        return np.hstack(parts)

    @property
    def told(self) -> bool:
        """Whether the runs tell every factor from the others, with some to spare for the noise."""
        columns = self.model.shape[1]
        return bool(np.linalg.matrix_rank(self.model) == columns <= len(self.runs) - SPARE)

    @cached_property
    def points(self) -> Floats:
        """Effects of the factors in points of Dice, [factors]."""
        means = np.array([np.mean(row["dice"]) for row in self.runs])
        return np.asarray(100 * (np.linalg.pinv(self.model) @ means)[: len(self.factors)])

    def draws(self, seed: int = 0) -> Floats:
        """Return effects that other images and other seeds might have given, in points [DRAWS, factors].

        Groups of near-duplicates are drawn anew within each setting, the same ones for all its runs (a paired
        bootstrap); and what the model leaves of each run's mean, which is mostly its seed's, is added with either sign
        (a wild bootstrap), scaled up for the degrees of freedom. Where images and seeds act together both count it, so
        that intervals are rather too wide.
        """
        random = np.random.default_rng(seed)
        means = np.empty((DRAWS, len(self.runs)))
        for name in self.settings:
            at = [number for number, row in enumerate(self.runs) if row["setting"] == name]
            means[:, at] = resampled(np.array([self.runs[number]["dice"] for number in at]), self.groups[name], random)
        seen = np.array([np.mean(row["dice"]) for row in self.runs])
        inverse = np.linalg.pinv(self.model)
        freedom = len(self.runs) - self.model.shape[1]
        left = (seen - self.model @ (inverse @ seen)) * np.sqrt(len(self.runs) / freedom)
        means += left * random.choice([-1.0, 1.0], means.shape)
        return np.asarray(100 * (means @ inverse.T)[:, : len(self.factors)])


def at_both_levels(parts: Sequence[tuple[float, Family]], factor: str, of: str) -> tuple[Effect, Effect]:
    """Return the effect of ``factor`` where ``of`` is at its former and at its other level."""
    wider = [(weight, replace(family, factors=[*family.factors, f"{factor} & {of}"])) for weight, family in parts]
    points, draws = _mean(wider)
    at = list(wider[0][1].factors).index(factor)
    return Effect.of(points[at], draws[:, at]), Effect.of(points[at] + points[-1], draws[:, at] + draws[:, -1])


def resampled(dice: Floats, groups: Sequence[int], random: np.random.Generator) -> Floats:
    """Return means over images [DRAWS, runs] of ``dice`` [runs, images] with whole groups drawn with replacement."""
    numbers = np.unique(groups, return_inverse=True)[1]
    count = int(numbers.max()) + 1
    member = np.eye(count)[numbers]
    weights = random.multinomial(count, np.full(count, 1 / count), size=DRAWS).astype(np.float64)
    return np.asarray((weights @ (dice @ member).T) / (weights @ member.sum(axis=0))[:, None])


def pooled(parts: Sequence[tuple[float, Family]]) -> list[Effect]:
    """Return the effects in a weighted mean of families, whose images and seeds are independent."""
    points, draws = _mean(parts)
    return [Effect.of(point, draw) for point, draw in zip(points, draws.T, strict=True)]


def _mean(parts: Sequence[tuple[float, Family]]) -> tuple[Floats, Floats]:
    """Return the points [factors] and draws [DRAWS, factors] of a weighted mean."""
    weights = np.array([weight for weight, _ in parts])
    weights /= weights.sum()
    points = np.tensordot(weights, [family.points for _, family in parts], axes=1)
    draws = np.tensordot(weights, [family.draws(number) for number, (_, family) in enumerate(parts)], axes=1)
    return np.asarray(points), np.asarray(draws)
