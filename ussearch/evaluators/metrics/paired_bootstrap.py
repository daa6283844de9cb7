"""Two networks on the same images: by how much the second differs, with an interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

DRAWS = 2000
TAIL = 5


class Change(BaseModel):
    """What the second of two networks scores more than the first on the same images, in the score's own unit.

    ``low`` and ``high`` bound the mean with 95 % confidence; in one image of twenty the change is below
    ``fifth_percentile``.
    """

    model_config = ConfigDict(frozen=True)

    images: int
    mean: float
    low: float
    high: float
    fifth_percentile: float


def bootstrap_interval(values: npt.ArrayLike, groups: Sequence[int], seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of the mean of ``values`` [N], a percentile bootstrap over ``groups`` [N].

    Images of equal number (patients, near-duplicates) are drawn together, because they tell the same thing twice.
    """
    _, members = np.unique(np.asarray(groups), return_inverse=True)
    sums, counts = np.bincount(members, np.asarray(values, np.float64)), np.bincount(members)
    drawn = np.random.default_rng(seed).integers(len(sums), size=(DRAWS, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def exact_interval(count: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of a share by Clopper and Pearson, for ``count`` of ``of`` independent ones."""
    from scipy.stats import binomtest

    interval = binomtest(count, of).proportion_ci(0.95, method="exact")
    return float(interval.low), float(interval.high)


def paired_change(before: Sequence[float], after: Sequence[float], groups: Sequence[int], seed: int = 0) -> Change:
    """Return the change from ``before`` to ``after``, scores [N] of the same images.

    The interval is that of ``bootstrap_interval`` over ``groups`` [N]. Raises ValueError for unequal lengths or none.
    """
    if not len(before) == len(after) == len(groups) or not len(before):
        raise ValueError(f"{len(before)} and {len(after)} scores of {len(groups)} images cannot be paired")
    changes = np.asarray(after, np.float64) - np.asarray(before, np.float64)
    low, high = bootstrap_interval(changes, groups, seed)
    return Change(
        images=len(changes),
        mean=float(changes.mean()),
        low=low,
        high=high,
        fifth_percentile=float(np.percentile(changes, TAIL)),
    )
