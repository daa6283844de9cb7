"""Fitting the three numbers of a latency model to measured latencies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Floats = NDArray[np.float64]


def fit_non_negative(features: Floats, latency_ms: Floats) -> Floats:
    """Return the non-negative weights that minimise the squared *relative* error of ``features @ weights``.

    ``features`` [networks, numbers], ``latency_ms`` [networks]. Relative errors keep the slow networks from
    deciding alone: latencies span two orders of magnitude. Raises ValueError for latencies that are not
    positive numbers.
    """
    if not (np.isfinite(latency_ms).all() and np.isfinite(features).all() and (latency_ms > 0).all()):
        raise ValueError("latencies must be positive numbers and features finite")
    scale = np.abs(features).max(axis=0)
    scale[scale == 0] = 1
    weights, _ = nnls(features / scale / latency_ms[:, None], np.ones(len(latency_ms)))
    return np.asarray(weights / scale, dtype=np.float64)
