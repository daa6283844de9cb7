"""Hypervolume over cost: what has been found after so many processor-seconds, as other phantoms judge it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from searched import arms
from searched.bench import IMAGE_SIZE, REFERENCE, Bench
from searched.searches import name_of
from ussearch.studies import hypervolume, non_dominated

Floats = npt.NDArray[np.float64]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Way:
    """How hypervolume is counted; ``limit_ms`` is the device's."""

    limit_ms: float
    logarithmic: bool = True
    """A millisecond is worth more to a fast network: half of the time counts the same wherever one begins."""
    all_count: bool = False
    """Whether every network counts; else those on the front by what was seen, as a user would choose them."""

    def volume(self, rows: Sequence[Row]) -> float:
        """Return the hypervolume of finished trainings."""
        good = [row for row in rows if row["judged"] is not None]
        if not good:
            return 0.0
        milliseconds = np.array([row["latency_ms"] for row in good])
        seen = np.stack([[-row["validated"] for row in good], milliseconds], axis=1)
        counted = np.full(len(good), True) if self.all_count else non_dominated(seen)
        scale: Callable[[Floats], Floats] = np.log if self.logarithmic else np.asarray
        losses = np.stack([[-row["judged"] for row in good], scale(milliseconds), np.zeros(len(good))], axis=1)
        reference = np.array([-REFERENCE, scale(np.array(self.limit_ms)), 1.0])
        return hypervolume(losses[counted], reference)


@dataclass(frozen=True)
class Curve:
    """Hypervolume [N] after each of N trainings, which had cost so many processor-seconds [N] by then."""

    seconds: Floats
    volumes: Floats

    @classmethod
    def of(cls, rows: Sequence[Row], way: Way) -> Curve:
        """Follow trainings in the order in which they were made."""
        volumes = [way.volume(rows[: count + 1]) for count in range(len(rows))]
        return cls(np.cumsum([row["seconds"] for row in rows]), np.array(volumes))

    def at(self, seconds: float) -> float:
        """Return the hypervolume after so long."""
        done = int(np.searchsorted(self.seconds, seconds, side="right"))
        return float(self.volumes[done - 1]) if done else 0.0

    def reaches(self, volume: float) -> float:
        """Return after how long it has a hypervolume for good; infinite where it never has."""
        below = np.flatnonzero(self.volumes < volume)
        first = int(below[-1]) + 1 if len(below) else 0
        return float(self.seconds[first]) if first < len(self.seconds) else float("inf")

    @property
    def end(self) -> tuple[float, float]:
        """Cost and hypervolume in the end."""
        return float(self.seconds[-1]), float(self.volumes[-1])


def usual_way(bench: Bench) -> Way:
    """Return how the page counts."""
    return Way(bench.profile.network_limit_ms(IMAGE_SIZE))


def arm_rows(bench: Bench, arm: str, seed: int) -> list[Row]:
    """Return the trainings of a seed of an arm; empty where some are missing.

    Where an arm of draws has fewer than every seed would need, each seed is another order of the first ones.
    """
    rows = [bench.known(name) for name in arms.names(bench, arm, seed)]
    if arm != "presets" and seed and any(row is None for row in rows):
        shared = arm_rows(bench, arm, 0)
        return [shared[number] for number in np.random.default_rng(seed).permutation(len(shared))]
    return [row for row in rows if row is not None] if all(rows) else []


def search_rows(bench: Bench, sampler: str, seed: int) -> list[Row]:
    """Return the trials of a search; empty where it is not made."""
    found = bench.known(name_of(sampler, seed))
    return [] if found is None else list(found["trials"])


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean over seeds and its 95 % interval (Student's t); without one where there is one value."""
    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return mean, float("-inf"), float("inf")
    reach = float(student.ppf(0.975, count - 1) * np.std(values, ddof=1) / count**0.5)
    return mean, mean - reach, mean + reach
