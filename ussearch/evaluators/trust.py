"""How far a cheap accuracy may be trusted to rank architectures, measured against separate trainings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict
from scipy.stats import kendalltau

Floats = npt.NDArray[np.float64]

LEAST_TAU, LEAST_LOW = 0.5, 0.3
"""A rung is used for selection from this τ on, with the lower end of its interval above the second number."""
FEWEST = 40
"""Architectures on which trust is measured at least; fewer leave an interval as wide as the scale."""
RESAMPLES = 1000
QUARTILES = 4
REGRET_SHARE = 0.1
"""Regret speaks of the best tenth by the cheap accuracy."""


class Trust(BaseModel):
    """Agreement of a rung with separate training, on architectures drawn uniformly.

    ``tau`` is Kendall's τ-b with its 95 % bootstrap interval (resampled architectures); ``macs_tau`` that of
    multiply-accumulates alone; ``quartile_taus`` τ among architectures of like MACs; ``ceiling`` that of a second
    training with another seed. ``regret`` is how much Dice is lost by taking the best of the rung's top tenth instead
    of the best of all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    architectures: int
    tau: float
    interval: tuple[float, float]
    macs_tau: float
    quartile_taus: tuple[float, ...]
    ceiling: float | None
    regret: float

    @property
    def trusted(self) -> bool:
        """Whether the rung may select: τ, its interval and its advantage over MACs alone are large enough."""
        return not self.doubts

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why the rung may not select; empty where it may."""
        found = []
        if self.architectures < FEWEST:
            found.append(f"measured on {self.architectures} architectures, {FEWEST} are needed")
        if not self.tau >= LEAST_TAU:
            found.append(f"τ {self.tau:.2f} is below {LEAST_TAU}")
        if not self.interval[0] > LEAST_LOW:
            found.append(f"the interval of τ begins at {self.interval[0]:.2f}, not above {LEAST_LOW}")
        if not self.tau > self.macs_tau:
            found.append(f"MACs alone rank as well (τ {self.macs_tau:.2f})")
        return tuple(found)


def measure_trust(
    cheap: Sequence[float],
    trained: Sequence[float],
    macs: Sequence[float],
    trained_again: Sequence[float] | None = None,
    seed: int = 0,
) -> Trust:
    """Compare the ``cheap`` accuracy of N architectures with that of separate training.

    ``trained_again`` is training with another seed: the ceiling that no cheap accuracy can be expected to pass.
    """
    estimate, truth, size = (np.asarray(values, np.float64) for values in (cheap, trained, macs))
    if not len(estimate) == len(truth) == len(size):
        raise ValueError(f"{len(estimate)} estimates, {len(truth)} trainings and {len(size)} sizes were given")
    generator = np.random.default_rng(seed)
    resampled = [_tau(estimate[chosen], truth[chosen]) for chosen in _resamples(len(truth), generator)]
    low, high = np.nanquantile(resampled, [0.025, 0.975])
    quartiles = np.array_split(np.argsort(size, kind="stable"), QUARTILES)
    best = np.argsort(-estimate, kind="stable")[: max(1, round(REGRET_SHARE * len(estimate)))]
    return Trust(
        architectures=len(truth),
        tau=_tau(estimate, truth),
        interval=(float(low), float(high)),
        macs_tau=_tau(size, truth),
        quartile_taus=tuple(_tau(estimate[part], truth[part]) for part in quartiles),
        ceiling=None if trained_again is None else _tau(np.asarray(trained_again, np.float64), truth),
        regret=float(truth.max() - truth[best].max()),
    )


def _resamples(count: int, generator: np.random.Generator) -> list[npt.NDArray[np.int64]]:
    return [generator.integers(count, size=count) for _ in range(RESAMPLES)]


def _tau(first: Floats, second: Floats) -> float:
    """Return Kendall's τ-b; 0 where one side does not vary, since it ranks nothing."""
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(kendalltau(first, second).statistic)
