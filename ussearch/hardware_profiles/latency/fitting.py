"""Fitting the prices of a latency model to measured latencies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Floats = NDArray[np.float64]


def fit_non_negative(features: Floats, latency_ms: Floats, least: Floats | float = 0.0) -> Floats:
    """Return the non-negative weights that minimise the squared *relative* error of ``features @ weights``.

    ``features`` [networks, numbers], ``latency_ms`` [networks]; no weight is below ``least`` [numbers]. Relative
    errors keep the slow networks from deciding alone: latencies span two orders of magnitude. Raises ValueError for
    latencies that are not positive numbers.
    """
    if not (np.isfinite(latency_ms).all() and np.isfinite(features).all() and (latency_ms > 0).all()):
        raise ValueError("latencies must be positive numbers and features finite")
    scale = np.abs(features).max(axis=0)
    scale[scale == 0] = 1
    floor = np.broadcast_to(np.asarray(least, dtype=np.float64), features.shape[1:])
    weights, _ = nnls(features / scale / latency_ms[:, None], 1 - features @ floor / latency_ms)
    return np.asarray(floor + weights / scale, dtype=np.float64)


def fit_shrunk(
    features: Floats, latency_ms: Floats, strength: float, least: Floats | float = 0.0
) -> tuple[Floats, Floats]:
    """Return prices common to all groups of kernels [numbers] and prices of each group [groups, numbers].

    ``features`` [networks, groups, numbers], ``latency_ms`` [networks]. A group's own prices are drawn towards the
    common ones, the more the larger ``strength`` is and the less the group contributes: a group that the networks
    hardly contain keeps the common prices, which alone obey ``least``. The error is relative, as above.
    """
    common = fit_non_negative(features.sum(axis=1), latency_ms, least)
    charges = features.reshape(len(features), -1) / latency_ms[:, None]
    pull = strength * np.sqrt((charges**2).sum(axis=0))
    targets = np.concatenate([np.ones(len(charges)), pull * np.tile(common, features.shape[1])])
    system = np.vstack([charges, np.diag(pull)])
    scale = np.abs(system).max(axis=0)
    scale[scale == 0] = 1
    weights, _ = nnls(system / scale, targets)
    own = np.asarray(weights / scale, dtype=np.float64).reshape(features.shape[1:])
    absent = ~features.any(axis=0)
    return common, np.where(absent, common, own)
