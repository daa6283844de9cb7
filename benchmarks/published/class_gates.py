"""What prices of kernel classes must reach on networks, families, sizes and boards that were left out."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.stats import kendalltau

from published import measured
from published.fits import Fits, mape, median_factor, priced, weights
from published.former import before_ms, former
from published.runtimes import (
    CPU,
    CUDA,
    ORT_4,
    ORT_5,
    RUNTIMES,
    RUY_8,
    RUY_32,
    TENSORRT_16,
    XNNPACK_4,
    XNNPACK_5,
)
from published.tables import Floats, Names
from ussearch.hardware_profiles.calibration.networks import CalibrationNetwork
from ussearch.hardware_profiles.catalogue import load_profile
from ussearch.hardware_profiles.kernels.kernel import Kernel
from ussearch.hardware_profiles.latency.model import UNCOVERED_LIMIT, LatencyModel
from ussearch.hardware_profiles.latency.network_fitting import charges
from ussearch.search_spaces import FreeSpace, load_preset, preset_names

MANY = 60
"""Networks from which on a runtime's interval is judged by itself."""
COVERAGE, FEW_FAMILIES = 0.9, 0.2
"""What an interval is made to hold, and by what share of itself, over the number of families, that is raised."""
KIT, KIT_SEEDS = 10, range(20)
CANDIDATES, PIXELS = 200, 256


@dataclass(frozen=True)
class ClassGate:
    """One figure: what it was before, what it must reach, what it reaches."""

    subject: str
    figure: str
    before: float
    reached: float
    must: float
    goal: float
    more_is_better: bool = False

    @property
    def passed(self) -> bool:
        """Whether the figure is reached."""
        return bool(self.reached >= self.must if self.more_is_better else self.reached <= self.must)


def gates(fits: Fits) -> Iterator[ClassGate]:
    """Yield every gate but those of intervals and kits."""
    yield from _timm(fits)
    yield from _tensorrt(fits)
    for name, must, goal in ((RUY_32, 10, 6), (RUY_8, 10, 5)):
        predicted, table = fits.left_out(name), fits.measured(name)
        ours = np.isin(table.families, ["mobilenet-v1", "mobilenet-v2", "mobilenet-v3", "efficientnet-lite"])
        before = before_ms(fits, name, "raspberry-pi-4@tflite-fp32")
        yield ClassGate(
            f"{name}, MobileNet v1 to v3 and EfficientNet-lite in turn",
            "MAPE",
            mape(before[ours], table.latency_ms[ours]),
            mape(predicted[ours], table.latency_ms[ours]),
            must,
            goal,
        )
    for name in (XNNPACK_4, XNNPACK_5):
        table = fits.measured(name)
        before = before_ms(fits, name, name.split("@")[0] + ("@tflite-fp32" if name == XNNPACK_4 else "@litert-fp32"))
        reached = median_factor(fits.left_out(name), table.latency_ms)
        yield ClassGate(
            f"{name}, families", "median factor", median_factor(before, table.latency_ms), reached, 1.3, 1.2
        )
    for name, device, must, goal in (
        (CUDA, "jetson-nano", 8, 6),
        (ORT_5, "raspberry-pi-5", 8, 5),
        (ORT_4, "raspberry-pi-4", 5, 3),
    ):
        yield _at_256(fits, name, device, must, goal)
    for name in (CUDA, ORT_4, ORT_5):
        shares = extrapolated_share(name, former()[name].latency, former()[name].covered), extrapolated(fits, name)
        subject = f"{name} (default), {CANDIDATES} candidates and the presets at {PIXELS} pixels"
        yield ClassGate(subject, "extrapolated %", *shares, 20, 5)


def _timm(fits: Fits) -> Iterator[ClassGate]:
    table, predicted, before = fits.measured(CUDA), fits.left_out(CUDA), before_ms(fits, CUDA)
    depthwise, cnns = table.kinds == "depthwise", np.isin(table.kinds, ["depthwise", "cnn"])
    latency_ms, subject = table.latency_ms, f"{CUDA}, depthwise CNNs of timm, families"
    figures = [mape(each[depthwise], latency_ms[depthwise]) for each in (before, predicted)]
    yield ClassGate(subject, "MAPE", *figures, 10, 7)
    figures = [float(kendalltau(each[depthwise], latency_ms[depthwise]).statistic) for each in (before, predicted)]
    yield ClassGate(subject, "tau", *figures, 0.93, 0.95, more_is_better=True)
    figures = [mape(each[cnns], latency_ms[cnns]) for each in (before, predicted)]
    yield ClassGate(f"{CUDA}, all CNNs and MLPs of timm, families", "MAPE", *figures, 14, 10)


def _tensorrt(fits: Fits) -> Iterator[ClassGate]:
    table, before = fits.measured(TENSORRT_16), before_ms(fits, TENSORRT_16)
    latency_ms = table.latency_ms
    sizes = table.families == "fast-scnn"
    by_size = fits.left_out(TENSORRT_16, _each_alone(table.families, sizes))
    worst = [float(100 * np.abs(each[sizes] / latency_ms[sizes] - 1).max()) for each in (before, by_size)]
    yield ClassGate(f"{TENSORRT_16}, each size of Fast-SCNN", "worst error %", *worst, 15, 10)
    predicted = fits.left_out(TENSORRT_16)
    segmenters = np.isin(table.families, ["deeplab-edgetpu", "autoseg-edgetpu"])
    boards = np.array([network.name.startswith("netspresso/") for network in table.networks])
    for subject, chosen in (("families of DeepLab and AutoSeg", segmenters), ("families of NetsPresso", boards)):
        factors = [median_factor(each[chosen], latency_ms[chosen]) for each in (before, predicted)]
        yield ClassGate(f"{TENSORRT_16}, {subject}", "median factor", *factors, 1.25, 1.15)


def _each_alone(groups: Names, chosen: Floats) -> Names:
    """Return groups in which each of the chosen networks is one of its own."""
    return np.array(
        [f"{group} {number}" if one else group for number, (group, one) in enumerate(zip(groups, chosen, strict=True))]
    )


def _at_256(fits: Fits, name: str, device: str, must: float, goal: float) -> ClassGate:
    table = measured.yolo(fits.data / "latency2", device, at_256=True)
    others = fits.fitted_to(name, np.flatnonzero(fits.measured(name).kinds != str(PIXELS)))
    predicted = priced(others, charges(table.networks, RUNTIMES[name].tiles))
    before = np.array([former()[name].latency.total_ms(network.kernels) for network in table.networks])
    subject = f"{name}, YOLOBench at 256 pixels, fitted without it"
    return ClassGate(subject, "MAPE", mape(before, table.latency_ms), mape(predicted, table.latency_ms), must, goal)


@dataclass(frozen=True)
class Held:
    """How often the interval of a runtime, made from other families, held what was measured."""

    name: str
    networks: int
    factor: float
    inside: float


def intervals(fits: Fits) -> Iterator[Held]:
    """Yield how each runtime's interval does on the families that it was not made from."""
    for name in RUNTIMES:
        table, predicted = fits.measured(name), fits.held_out(name)
        error = np.abs(np.log(predicted / table.latency_ms))
        inside = np.zeros(len(error), dtype=bool)
        for family in np.unique(table.families):
            of, others = table.families == family, table.families != family
            inside[of] = error[of] <= interval(error[others], table.families[others])
        yield Held(name, len(error), float(np.exp(interval(error, table.families))), float(inside.mean()))


def interval(errors: Floats, families: Names) -> float:
    """Return how far the logarithm of nine in ten predictions is off at most, for a family like those given.

    Networks of crowded families count less, as they do in the fit; with few families, the level is raised, as conformal
    prediction raises it with few samples.
    """
    counted, order = weights(families), np.argsort(errors)
    level = min(COVERAGE * (1 + FEW_FAMILIES / len(np.unique(families))), 1.0)
    reached = np.searchsorted(np.cumsum(counted[order]) / counted.sum(), level - 1e-9)
    return float(errors[order][min(int(reached), len(errors) - 1)])


def extrapolated(fits: Fits, name: str) -> float:
    """Return the share in per cent of candidates of which over a tenth of the milliseconds is not covered."""
    known = {each for each, seen in fits.measured(name).coverage.items() if seen.enough}
    return extrapolated_share(name, fits.shipped(name), known)


def extrapolated_share(name: str, model: LatencyModel, known: Set[str]) -> float:
    """Return that share for a model whose measurements cover the classes ``known``."""
    count, networks = 0, candidates(name)
    for kernels in networks:
        per_kernel_ms = model.kernel_ms(kernels)
        pairs = zip(kernels, per_kernel_ms, strict=True)
        unknown_ms = sum(milliseconds for kernel, milliseconds in pairs if kernel.kernel_class not in known)
        count += unknown_ms > UNCOVERED_LIMIT * sum(per_kernel_ms)
    return 100 * count / len(networks)


def candidates(runtime: str) -> tuple[tuple[Kernel, ...], ...]:
    """Return the kernels of what a search for a runtime's device draws, and of the presets, at 256 pixels."""
    return _candidates(frozenset(load_profile(runtime.partition("@")[0]).forbidden_features))


@cache
def _candidates(forbidden: frozenset[str]) -> tuple[tuple[Kernel, ...], ...]:
    space, _ = FreeSpace.standard(PIXELS).restricted(dict.fromkeys(forbidden, "the device"))
    drawn = [space.sample(seed) for seed in range(CANDIDATES)]
    presets = [load_preset(name).architecture.for_task() for name in preset_names()]
    return tuple(CalibrationNetwork("", each, PIXELS).kernels for each in (*drawn, *presets))


@dataclass(frozen=True)
class Kit:
    """Ten networks measured on a board: the error of the prior, of the prior times one factor, and of the fit."""

    board: str
    prior: str
    off: float
    prior_mape: float
    scaled_mape: float
    fitted_mape: float


BOARDS = (
    (ORT_5, CPU),
    (TENSORRT_16, CUDA),
    ("snapdragon-855@paddle-lite-fp32", CPU),
)
"""Runtimes that stand for a user's board, and the profile that the user says it is like."""


def kits(fits: Fits) -> Iterator[Kit]:
    """Yield what ten networks, drawn from a board's measurements, make of the prior for all others."""
    for board, prior in BOARDS:
        table = fits.measured(board)
        prior_ms = fits.predicted(board, fits.model(prior))
        errors: list[tuple[float, float, float]] = []
        for seed in KIT_SEEDS:
            drawn = np.random.default_rng(seed).choice(len(prior_ms), KIT, replace=False)
            rest = np.setdiff1d(np.arange(len(prior_ms)), drawn)
            scale = float(np.median(table.latency_ms[drawn] / prior_ms[drawn]))
            model = fits.fitted_to(board, drawn, prior=prior)
            fitted_ms = fits.predicted(board, model, rest)
            tested = table.latency_ms[rest]
            errors.append((mape(prior_ms[rest], tested), mape(scale * prior_ms[rest], tested), mape(fitted_ms, tested)))
        yield Kit(board, prior, median_factor(prior_ms, table.latency_ms), *map(float, np.mean(errors, axis=0)))
