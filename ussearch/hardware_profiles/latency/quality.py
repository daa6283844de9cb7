"""How good a latency predictor is: rank, relative error, and order among networks of equal MACs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Quality:
    """Agreement of predicted with measured latencies; fractions are 0..1, ``mape`` is in per cent.

    Kendall's tau over a wide range proves little (MACs alone reach 0.9): read it beside the others.
    """

    tau: float
    spearman: float
    mape: float
    within_10_percent: float
    iso_mac_accuracy: float


def quality(predicted_ms: Floats, measured_ms: Floats, macs: Floats) -> Quality:
    """Compare predictions [networks] with measurements [networks] of networks of ``macs`` [networks]."""
    error = np.abs(predicted_ms / measured_ms - 1)
    return Quality(
        tau=float(kendalltau(predicted_ms, measured_ms).statistic),
        spearman=float(spearmanr(predicted_ms, measured_ms).statistic),
        mape=float(100 * error.mean()),
        within_10_percent=float((error <= 0.1).mean()),
        iso_mac_accuracy=iso_mac_accuracy(predicted_ms, measured_ms, macs),
    )


def factor_of_nine_in_ten(predicted_ms: Floats, measured_ms: Floats) -> float:
    """Return the factor, at least 1, by which nine in ten predictions are wrong at most, either way."""
    return float(np.quantile(_ratio(predicted_ms, measured_ms), 0.9))


def iso_mac_accuracy(predicted_ms: Floats, measured_ms: Floats, macs: Floats) -> float:
    """Return the share of rightly ordered pairs among those whose MACs differ by under 20 % and latencies by
    over 5 %.

    NaN where there is no such pair.
    """
    first, second = np.triu_indices(len(macs), 1)
    alike = _ratio(macs[first], macs[second]) < 1.2
    apart = _ratio(measured_ms[first], measured_ms[second]) > 1.05
    first, second = first[alike & apart], second[alike & apart]
    if not len(first):
        return float("nan")
    rightly = (predicted_ms[first] > predicted_ms[second]) == (measured_ms[first] > measured_ms[second])
    return float(rightly.mean())


def _ratio(first: Floats, second: Floats) -> Floats:
    return np.asarray(np.maximum(first, second) / np.minimum(first, second))
