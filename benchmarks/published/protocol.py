"""Ten networks of a device and what other devices teach about it: the protocol of the YOLOBench tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from published.tables import Floats, Indices, Names
from published.yolobench import COLUMNS, Bench
from ussearch.hardware_profiles.latency.cross_validation import Quality, quality
from ussearch.hardware_profiles.latency.roofline import fit_non_negative

SEEDS = range(20)
CALIBRATION_NETWORKS = 10


@dataclass(frozen=True)
class Prior:
    """Predictions of another device's models for every network [networks], in its milliseconds.

    Both are fitted to that device's measurements of the *training* networks: prices for every class of kernels, and
    three numbers.
    """

    by_class: Floats
    three: Floats

    @property
    def shape(self) -> Floats:
        """What the class of kernels changes against three numbers: a factor for each network."""
        return self.by_class / self.three


@dataclass(frozen=True)
class Recipe:
    """How ten networks of a device and the priors become a prediction.

    It is the log-mean of two fits to the ten: the device's own ``numbers`` (0 GMACs, 1 MiB, 2 launches, 3 GMACs without
    tiles), corrected by the ``shape`` of other devices to the power ``shape_strength``; and non-negative shares of the
    priors in ``mixture`` (and launches, where ``mixture_launches``), which weighs ``mixture_weight``.
    """

    numbers: tuple[int, ...] = (0, 1, 2)
    shape: tuple[str, ...] = ()
    shape_strength: float = 0.0
    mixture: tuple[str, ...] = ()
    mixture_launches: bool = False
    mixture_weight: float = 0.0


MACS_ONLY = Recipe(numbers=(3,))
THREE_NUMBERS = Recipe()
EVERY_OTHER = Recipe(mixture=tuple(COLUMNS), mixture_weight=0.5)
"""The rule for every device but two: half three numbers, half all other devices."""
RECIPES = {
    "jetson-nano": EVERY_OTHER,
    "raspberry-pi-4": EVERY_OTHER,
    "raspberry-pi-5": EVERY_OTHER,
    "raspberry-pi-4-tflite": Recipe(
        numbers=(0,), shape=("i7-openvino",), shape_strength=0.5, mixture=("raspberry-pi-4",), mixture_weight=0.1
    ),
    "i7-openvino": EVERY_OTHER,
    "rk3588-npu": Recipe(
        shape=("vim3-npu",), shape_strength=0.7, mixture=("vim3-npu",), mixture_launches=True, mixture_weight=0.5
    ),
}


def held_out(bench: Bench, device: str, recipe: Recipe, group: Names, seeds: Sequence[int] = SEEDS) -> Quality:
    """Calibrate on ten networks of the other groups, test on the group left out; mean over groups and seeds.

    Priors are fitted to other devices' measurements of the other groups' networks.
    """
    measured, results = bench.measured(device), []
    for name in np.unique(group[measured]):
        training = np.flatnonzero(group != name)
        tested = measured[group[measured] == name]
        drawn_from = np.intersect1d(training, measured)
        known = priors(bench, training, {*recipe.shape, *recipe.mixture} - {device})
        for seed in seeds:
            drawn = np.random.default_rng(seed).choice(drawn_from, CALIBRATION_NETWORKS, replace=False)
            predicted_ms = predict(bench, device, recipe, known, drawn)[tested]
            results.append(quality(predicted_ms, bench.latency_ms[device][tested], bench.macs[tested]))
    return mean_quality(results)


def priors(bench: Bench, training: Indices, devices: set[str]) -> dict[str, Prior]:
    """Return what each of ``devices`` teaches, from its measurements of the networks ``training`` alone."""
    return {device: _prior(bench, device, np.intersect1d(training, bench.measured(device))) for device in devices}


def _prior(bench: Bench, device: str, networks: Indices) -> Prior:
    latency_ms = bench.latency_ms[device][networks]
    charges = (bench.classes, bench.three[device])
    by_class, three = (each @ fit_non_negative(each[networks], latency_ms) for each in charges)
    return Prior(by_class, three)


def predict(bench: Bench, device: str, recipe: Recipe, known: Mapping[str, Prior], drawn: Indices) -> Floats:
    """Return the milliseconds of every network, from the measurements of the networks ``drawn``."""
    latency_ms = bench.latency_ms[device][drawn]
    own = np.column_stack([bench.three[device], bench.macs])[:, list(recipe.numbers)]
    if recipe.shape:
        shapes = np.mean([np.log(known[other].shape) for other in recipe.shape], axis=0)
        own = own * np.exp(recipe.shape_strength * shapes)[:, None]
    predicted_ms = own @ fit_non_negative(own[drawn], latency_ms)
    if not recipe.mixture_weight:
        return predicted_ms
    columns = [known[other].by_class for other in recipe.mixture if other != device]
    if recipe.mixture_launches:
        columns.append(bench.three[device][:, 2])
    mixture = np.stack(columns, axis=1)
    mixed_ms = mixture @ fit_non_negative(mixture[drawn], latency_ms)
    weight = recipe.mixture_weight
    return np.asarray(predicted_ms ** (1 - weight) * mixed_ms**weight)


def mean_quality(results: Sequence[Quality]) -> Quality:
    """Average each figure; groups without a pair of equal MACs do not count for iso-MAC accuracy."""
    figures = {field.name: [getattr(result, field.name) for result in results] for field in fields(Quality)}
    return Quality(**{name: float(np.nanmean(values)) for name, values in figures.items()})
