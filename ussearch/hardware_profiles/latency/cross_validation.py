"""Choosing a latency model by how well it predicts networks that it was not fitted to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr

from ussearch.hardware_profiles.latency.boosted import fit_boosted_prices
from ussearch.hardware_profiles.latency.kernel_cost_model import KernelCostModel
from ussearch.hardware_profiles.latency.kernel_fitting import MeasuredNetwork, fit_kernel_cost_model
from ussearch.hardware_profiles.latency.model import LatencyModel
from ussearch.hardware_profiles.latency.network_fitting import charges, class_prices, fit_network_prices
from ussearch.hardware_profiles.latency.roofline import GMAC, MIB, Roofline, fit_non_negative
from ussearch.hardware_profiles.validation import Accuracy, Extent, Validation, coverage_of

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


Fit = Callable[[Sequence[MeasuredNetwork]], LatencyModel]

FOLDS = 6
STANDARD_ERRORS = 1.0
"""By how many of them a simpler model may be worse than the best."""
WORST = float(np.log(2))
"""An error of the logarithm from which on more is not worse."""
COVERAGE = 0.9
"""Share of held-out networks that the interval of a prediction is made to contain."""


@dataclass(frozen=True)
class Chosen:
    """The model that predicted held-out networks best, fitted to all of them, and what is known of it."""

    name: str
    model: LatencyModel
    validation: Validation
    errors: Mapping[str, float]
    """Mean absolute error in per cent of every model that was tried."""


def choose_model(networks: Sequence[MeasuredNetwork], like: LatencyModel, data: str) -> Chosen:
    """Return the simplest model that predicts held-out networks as well as can be told.

    That is the first whose errors are within one standard error of the best one's (the one-standard-error rule,
    Hastie et al., The Elements of Statistical Learning, 7.10). ``like``
    says which activations the runtime fuses, and its prices are the prior of the device's own; ``data`` names the
    measurements in the record. Every network is taken to be a family of its own.
    """
    measured_ms = np.array([network.latency_ms for network in networks])
    fits = fits_for(networks, like)
    held_out = {name: out_of_fold(networks, fit) for name, fit in fits.items()}
    errors = {name: _mape(predicted, measured_ms) for name, predicted in held_out.items()}
    best = _simplest({name: held_out[name] for name in fits if name != MACS_ONLY}, measured_ms)
    validation = Validation(
        data=data,
        networks=len(networks),
        protocol=f"{FOLDS}-fold cross-validation over networks; {best} chosen ({errors[best]:.1f} %) beside "
        f"{_others(errors, best)}",
        coverage=coverage_of([network.kernels for network in networks], [network.name for network in networks]),
        accuracy=accuracy(held_out[best], measured_ms, networks),
        macs_only=accuracy(held_out[MACS_ONLY], measured_ms, networks),
        relative_error=_relative_error(held_out[best], measured_ms),
        extent=extent_of(networks),
    )
    return Chosen(best, fits[best](networks), validation, errors)


MACS_ONLY, SCALED, CLASSES = "MACs alone", "the device it is like, scaled", "prices of classes"
LIKE_ANOTHER = frozenset({SCALED, CLASSES})
"""Models whose prices rest on what was measured of the device that this one is like."""


def fits_for(networks: Sequence[MeasuredNetwork], like: LatencyModel) -> dict[str, Fit]:
    """Return every way of fitting that the measurements allow, the simplest first."""
    fits: dict[str, Fit] = {
        MACS_ONLY: lambda given: fit_roofline(given, like, macs_only=True),
        SCALED: lambda given: scaled(given, like),
        "three numbers": lambda given: fit_roofline(given, like),
    }
    prior = class_prices(like)
    if prior is not None:
        fits[CLASSES] = lambda given: fit_class_prices(given, prior)
    if all(network.nodes for network in networks):
        fits["prices of kernels"] = fit_kernel_cost_model
        fits["prices of kernels with boosted trees"] = fit_boosted_prices
    return fits


def fit_roofline(networks: Sequence[MeasuredNetwork], like: LatencyModel, *, macs_only: bool = False) -> Roofline:
    """Return the three numbers (or the one of MACs) with the least relative error."""
    nodes = dict(like.activation_nodes) if isinstance(like, Roofline) else {}
    counter = Roofline(ms_per_gmac=0, ms_per_mib=0, ms_per_operator=0, activation_nodes=nodes)
    costs = [[counter.cost(kernel) for kernel in network.kernels] for network in networks]
    features = np.array(
        [[sum(c.gmacs for c in each), sum(c.mib for c in each), sum(c.operators for c in each)] for each in costs]
    )
    if macs_only:
        features[:, 1:] = 0.0
    gmac, mib, operator = fit_non_negative(features, np.array([network.latency_ms for network in networks]))
    return Roofline(ms_per_gmac=gmac, ms_per_mib=mib, ms_per_operator=operator, activation_nodes=nodes)


def fit_class_prices(networks: Sequence[MeasuredNetwork], prior: KernelCostModel) -> KernelCostModel:
    """Return prices of classes of kernels close to those of ``prior``, but for one factor of the device."""
    latency_ms = np.array([network.latency_ms for network in networks])
    return fit_network_prices(
        charges(networks, prior.tiles), latency_ms, tiles=prior.tiles, prior=prior, same_runtime=True
    )


def scaled(networks: Sequence[MeasuredNetwork], like: LatencyModel) -> LatencyModel:
    """Return ``like`` with all its prices times the median ratio of measured to predicted."""
    ratios = [network.latency_ms / like.total_ms(network.kernels) for network in networks]
    return like.times(float(np.median(ratios)))


def out_of_fold(networks: Sequence[MeasuredNetwork], fit: Fit) -> Floats:
    """Return the prediction of each network by a model fitted without it [networks].

    Folds take every ``FOLDS``-th network in order of latency, so that each spans the range.
    """
    order = np.argsort([network.latency_ms for network in networks])
    fold = np.empty(len(networks), int)
    fold[order] = np.arange(len(networks)) % FOLDS
    predicted = np.empty(len(networks))
    for number in range(FOLDS):
        model = fit([network for network, each in zip(networks, fold, strict=True) if each != number])
        for index in map(int, np.flatnonzero(fold == number)):
            predicted[index] = model.total_ms(networks[index].kernels)
    return predicted


def accuracy(predicted_ms: Floats, measured_ms: Floats, networks: Sequence[MeasuredNetwork]) -> Accuracy:
    """Return how well predictions agree with measurements [networks]."""
    macs = np.array([sum(kernel.macs for kernel in network.kernels) for network in networks], dtype=np.float64)
    found = quality(predicted_ms, measured_ms, macs)
    return Accuracy(
        tau=_rounded(found.tau),
        spearman=_rounded(float(spearmanr(predicted_ms, measured_ms).statistic)),
        mape=_rounded(found.mape),
        within_10_percent=_rounded(found.within_10_percent),
        iso_mac_accuracy=None if np.isnan(found.iso_mac_accuracy) else _rounded(found.iso_mac_accuracy),
    )


def extent_of(networks: Sequence[MeasuredNetwork]) -> Extent:
    """Return the range of each total over the networks measured."""
    gmacs = [sum(kernel.macs for kernel in network.kernels) / GMAC for network in networks]
    mib = [sum(kernel.bytes for kernel in network.kernels) / MIB for network in networks]
    kernels = [len(network.kernels) for network in networks]
    return Extent(
        gmacs=(_rounded(min(gmacs)), _rounded(max(gmacs))),
        mib=(_rounded(min(mib)), _rounded(max(mib))),
        kernels=(min(kernels), max(kernels)),
    )


def _simplest(held_out: Mapping[str, Floats], measured_ms: Floats) -> str:
    """Return the name of the first model that is not worse than the best by more than noise; the simplest comes first.

    Errors are those of the logarithm, and none counts for more than ``WORST``: one odd network decides nothing.
    """
    errors = {name: np.minimum(np.abs(np.log(each / measured_ms)), WORST) for name, each in held_out.items()}
    best = min(errors, key=lambda name: float(errors[name].mean()))
    for name, error in errors.items():
        excess = error - errors[best]
        if excess.mean() <= STANDARD_ERRORS * excess.std(ddof=1) / np.sqrt(len(excess)):
            return name
    return best


def _mape(predicted_ms: Floats, measured_ms: Floats) -> float:
    return float(100 * np.abs(predicted_ms / measured_ms - 1).mean())


def _relative_error(predicted_ms: Floats, measured_ms: Floats) -> float:
    """Return by how much nine in ten predictions are off at most, as a factor minus one."""
    return _rounded(float(np.expm1(np.quantile(np.abs(np.log(predicted_ms / measured_ms)), COVERAGE))))


def _others(errors: Mapping[str, float], best: str) -> str:
    return ", ".join(f"{name} ({error:.1f} %)" for name, error in errors.items() if name != best)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
