"""How much a candidate is expected to add to the hypervolume, in closed form.

The first loss of a candidate is uncertain (normal), its costs are known. For a first loss f it adds the integral, from
f to the reference, of the area that its costs dominate and no point of the front with a first loss up to t does: a
step function A(t). Hence the expectation is the integral of A(t) P(f <= t), and that of a normal distribution function
is known. All losses are minimised.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

Floats = npt.NDArray[np.float64]
MOST_COSTS = 2


def expected_improvement(mean: Floats, spread: Floats, costs: Floats, front: Floats, reference: Floats) -> Floats:
    """Return the expected gain in hypervolume of each of N candidates, [N].

    Args:
        mean: of the first loss, [N].
        spread: its standard deviation, [N], positive.
        costs: the losses that are known, [N, C] with C at most two.
        front: finished points [K, 1 + C]; dominated ones and those beyond the reference change nothing.
        reference: the point [1 + C] below which volume counts.
    """
    if costs.shape[1] > MOST_COSTS:
        raise ValueError(f"{costs.shape[1]} costs were given, at most {MOST_COSTS} are supported")
    inside = front[(front < reference).all(axis=1)]
    inside = inside[np.argsort(inside[:, 0], kind="stable")]
    edges = np.append(inside[:, 0], reference[0])
    below = _integral(edges[0], mean, spread)
    gain = _free_area(costs, inside[:0, 1:], reference[1:]) * below
    for count in range(1, len(edges)):
        above = _integral(edges[count], mean, spread)
        gain += _free_area(costs, inside[:count, 1:], reference[1:]) * (above - below)
        below = above
    return gain


def _integral(edge: float, mean: Floats, spread: Floats) -> Floats:
    """Return the integral of P(f <= t) over t from minus infinity to ``edge``."""
    z = (edge - mean) / spread
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return np.asarray(spread * (z * ndtr(z) + density), np.float64)


def _free_area(costs: Floats, taken: Floats, reference: Floats) -> Floats:
    """Return what ``costs`` [N, C] dominate below ``reference`` and none of the points ``taken`` [K, C] does, [N]."""
    whole = np.prod(np.maximum(reference - costs, 0.0), axis=1)
    if not len(taken) or costs.shape[1] == 0:
        return np.asarray(whole * (len(taken) == 0), np.float64)
    if costs.shape[1] == 1:
        return np.asarray(np.clip(taken.min() - costs[:, 0], 0.0, reference[0] - costs[:, 0].clip(max=reference[0])))
    # NOTE: seen from a candidate, a taken point covers what both dominate: its costs are raised to the candidate's.
    ordered = taken[np.argsort(taken[:, 0], kind="stable")]
    x = np.minimum(np.maximum(ordered[None, :, 0], costs[:, :1]), reference[0])
    y = np.minimum(np.minimum.accumulate(np.maximum(ordered[None, :, 1], costs[:, 1:]), axis=1), reference[1])
    widths = np.diff(x, axis=1, append=reference[0])
    return np.asarray(np.maximum(whole - (widths * (reference[1] - y)).sum(axis=1), 0.0), np.float64)
