"""Fitting the prices of kernels to whole networks, where nobody timed their nodes.

A network's latency is one number for a hundred kernels. What makes it enough is that prices are alike: those of a class
are taken to lie within a factor of those of the class that it belongs to (a 5x5 depthwise convolution of stride 2 in
depthwise convolutions, these in convolutions), and where another device was measured more, of its prices times a factor
of the device. The estimate is the most probable one under log-normal prices and errors, the latter with the
tails of a Huber loss: tables contain networks that ran into a fallback.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from ussearch.hardware_profiles.latency.cost_features import LAYOUT, TERMS, WHOLE, Tiles, cost_features
from ussearch.hardware_profiles.latency.kernel_cost_model import (
    CONVOLUTIONS,
    OTHERS,
    KernelCostModel,
    Price,
    lineage,
    lineage_of,
)
from ussearch.hardware_profiles.latency.kernel_fitting import MeasuredNetwork
from ussearch.hardware_profiles.latency.model import LatencyModel
from ussearch.hardware_profiles.latency.roofline import Rates, Roofline, activation_passes

Floats = NDArray[np.float64]

ROOT = ""
"""The class of everything."""
COLUMNS = {
    "launch": ("launch",),
    "gmacs": ("gmacs",),
    "mib": ("mib_in", "mib_out"),
    "mib_parameters": ("mib_parameters",),
}
"""What whole networks can tell apart, and the terms of a price that it stands for."""
MIB = tuple(COLUMNS).index("mib")
NOISE, TAIL = 0.06, 0.12
"""Standard deviation of the logarithm of a network's error, and from where on an error counts by its size alone."""
SPREAD = {"root": 3.0, "class": 1.4, "window": 0.35, "of another device": 0.35}
"""Standard deviations of the logarithm of a price around that of the class above it.

Operators differ by more than a window or a stride does. Families left out hardly tell such pairs apart; with wider
windows one odd network makes the price of a whole class.
"""
ITERATIONS = 400
FARTHEST = 12.0
"""Bound on what a class adds to the logarithm of a price: a search that tries more overflows."""
FIGURES = 5
NEGLIGIBLE = 1e-12
SMALLEST = 1e-6
"""Milliseconds of the smallest price, so that it has a logarithm."""


@dataclass(frozen=True)
class Charges:
    """What networks are charged for [networks, classes, columns], and above which class each class stands."""

    amounts: Floats
    classes: tuple[str, ...]
    lineages: Mapping[str, tuple[str, ...]]

    def of(self, networks: NDArray[np.int64]) -> Charges:
        """Return those of some networks; the classes stay."""
        return Charges(self.amounts[networks], self.classes, self.lineages)


def charges(networks: Sequence[MeasuredNetwork], tiles: Tiles = WHOLE) -> Charges:
    """Count what each network may be charged for. Changes of layout are part of what they stand between."""
    columns = [[TERMS.index(term) for term in terms] for terms in COLUMNS.values()]
    lineages: dict[str, tuple[str, ...]] = {}
    counted: list[dict[str, Floats]] = []
    for network in networks:
        totals: dict[str, Floats] = {}
        for item in cost_features(network.kernels, tiles):
            if item.name == LAYOUT:
                continue
            narrowest = lineage(item)[0]
            lineages[narrowest] = lineage(item)
            amounts = np.array([sum(item.terms[index] for index in indices) for indices in columns])
            totals[narrowest] = totals.get(narrowest, 0.0) + amounts
        counted.append(totals)
    classes = tuple(sorted(lineages))
    nothing = np.zeros(len(COLUMNS))
    return Charges(np.array([[each.get(name, nothing) for name in classes] for each in counted]), classes, lineages)


def fit_network_prices(
    counted: Charges,
    latency_ms: Floats,
    weights: Floats | None = None,
    *,
    tiles: Tiles = WHOLE,
    prior: KernelCostModel | None = None,
    same_runtime: bool = False,
    least_ms_per_mib: float = 0.0,
) -> KernelCostModel:
    """Return the most probable prices, given networks [networks] of ``latency_ms`` that count by ``weights``.

    With ``prior``, the prices of another device or runtime, prices stay close to it but for one factor. Classes that it
    alone knows come along where it is of the ``same_runtime``; those of another one pay the class above them.
    No tensor is read or written for less than ``least_ms_per_mib``, but for activations, which may be fused. Raises
    ValueError for latencies that are not positive numbers.
    """
    if not (np.isfinite(latency_ms).all() and (latency_ms > 0).all()):
        raise ValueError("latencies must be positive numbers")
    tree = _Tree(counted, prior, least_ms_per_mib, same_runtime=same_runtime)
    weight = np.ones(len(latency_ms)) if weights is None else weights
    start, logs = tree.start(counted.amounts, latency_ms), np.log(latency_ms)

    floor_ms = np.tensordot(counted.amounts, tree.least[tree.leaves], axes=2)

    def loss(values: Floats) -> tuple[float, Floats]:
        prices = np.exp(tree.logs(values + start)[tree.leaves])
        predicted = np.tensordot(counted.amounts, prices, axes=2) + floor_ms + NEGLIGIBLE
        value, slope = _huber((np.log(predicted) - logs) / NOISE)
        gradient = np.tensordot(weight * slope / NOISE / predicted, counted.amounts, axes=1) * prices
        held = values / tree.spread
        return float(weight @ value + 0.5 * held @ held), tree.gradient(gradient) + held / tree.spread

    found = minimize(
        loss,
        np.zeros(start.size),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-FARTHEST, FARTHEST)] * start.size,
        options={"maxiter": ITERATIONS, "maxfun": 2 * ITERATIONS},
    )
    return KernelCostModel(prices=tree.model_prices(found.x + start), tiles=tiles)


def class_prices(model: LatencyModel) -> KernelCostModel | None:
    """Return ``model`` as prices of classes that can be a prior; None where it prices what whole networks cannot tell.

    A roofline's prices hold for convolutions and others alike; an activation costs the nodes that it says.
    """
    if isinstance(model, KernelCostModel):
        told = {term for terms in COLUMNS.values() for term in terms}
        return model if all(price.keys() <= told for price in model.prices.values()) else None
    if not isinstance(model, Roofline):
        return None
    prices = {name: _rates(model) for name in (CONVOLUTIONS, OTHERS)}
    prices |= {name: _rates(rates) for name, rates in model.operators.items()}
    for activation, nodes in model.activation_nodes.items():
        mib = model.ms_per_mib * activation_passes(nodes) / 2
        price = {"launch": nodes * model.ms_per_operator, "mib_in": mib, "mib_out": mib}
        prices |= {f"{activation} behind {what}": price for what in ("conv", "other")}
    return KernelCostModel(prices={**prices, LAYOUT: {}}, tiles=Tiles(pixels=model.tile_pixels))


def _rates(rates: Rates) -> Price:
    """Return the prices of a roofline by the terms of a class."""
    traffic = dict.fromkeys(("mib_in", "mib_out", "mib_parameters"), rates.ms_per_mib)
    return {"launch": rates.ms_per_operator, "gmacs": rates.ms_per_gmac, **traffic}


class _Tree:
    """Classes and the classes above them: the logarithm of a price is the sum of what each of these adds."""

    def __init__(
        self, counted: Charges, prior: KernelCostModel | None, least_ms_per_mib: float, *, same_runtime: bool
    ) -> None:
        known = [name for name in prior.prices if name != LAYOUT] if prior is not None and same_runtime else []
        chains = [(*lineage_of(name), ROOT) for name in (*counted.classes, *known)]
        self.names = tuple(dict.fromkeys(name for chain in chains for name in reversed(chain)))
        self.shape = (len(self.names), len(COLUMNS))
        index = {name: number for number, name in enumerate(self.names)}
        self.leaves = np.array([index[name] for name in counted.classes])
        self.member = np.zeros((len(self.names), len(self.names)))  # [class, what adds to it]
        for chain in chains:
            for position, name in enumerate(chain):
                self.member[index[name], [index[above] for above in chain[position:]]] = 1.0
        spreads = [SPREAD[_level(name) if prior is None else "of another device"] for name in self.names]
        each = np.repeat(spreads, len(COLUMNS))
        self.spread = np.append(each, SPREAD["root"])  # the last is the factor of the device
        self.least = np.zeros(self.shape)
        self.least[[index[name] for name in self.names if " behind " not in name], MIB] = least_ms_per_mib
        self.known = prior is not None
        self.base = np.zeros(self.shape)
        if prior is not None:
            above = np.maximum([_of_prior(prior, name) for name in self.names] - self.least, SMALLEST)
            self.base = np.log(above)

    def start(self, amounts: Floats, latency_ms: Floats) -> Floats:
        """Return from where to search, flat: the prior scaled, or columns that explain like shares of the latencies."""
        values = np.zeros(self.shape)
        if self.known:
            prior_ms = np.tensordot(amounts, np.exp(self.base[self.leaves]) + self.least[self.leaves], axes=2)
            return np.append(values.ravel(), np.median(np.log(latency_ms / prior_ms)))
        share = np.median(amounts.sum(axis=1) / latency_ms[:, None], axis=0)
        values[self.names.index(ROOT)] = -np.log(np.maximum(share, SMALLEST) * len(COLUMNS))
        return np.append(values.ravel(), 0.0)

    def logs(self, values: Floats) -> Floats:
        """Return the logarithms of all prices above their least [classes, columns]."""
        return np.asarray(self.base + self.member @ values[:-1].reshape(self.shape) + values[-1])

    def gradient(self, of_logs: Floats) -> Floats:
        """Return the gradient by what each class adds, given that by the logarithms of the leaves' prices."""
        return np.append((self.member[self.leaves].T @ of_logs).ravel(), of_logs.sum())

    def model_prices(self, values: Floats) -> dict[str, Price]:
        """Return every class's price as a profile holds it; changes of layout cost nothing beside."""
        amounts = np.exp(self.logs(values)) + self.least
        prices = {name: _price(each) for name, each in zip(self.names, amounts, strict=True)}
        general = prices.pop(ROOT)
        return {CONVOLUTIONS: general, OTHERS: general, **dict(sorted(prices.items())), LAYOUT: {}}


def _level(name: str) -> str:
    """Return what tells a class from the one above it: nothing, its operator, or its window and stride."""
    if name == ROOT:
        return "root"
    return "window" if len(lineage_of(name)) > len(lineage_of(name.split(" ", maxsplit=1)[0])) else "class"


def _of_prior(prior: KernelCostModel, name: str) -> list[float]:
    """Return the prior's price of a class [columns], that of the class above where it has none."""
    classes = lineage_of(name) if name else (OTHERS,)
    price = prior.prices[next(each for each in classes if each in prior.prices)]
    return [price.get(terms[0], 0.0) for terms in COLUMNS.values()]


def _huber(errors: Floats) -> tuple[Floats, Floats]:
    """Return Huber's loss of errors in standard deviations, and its slope."""
    size, bend = np.abs(errors), TAIL / NOISE
    inside = size < bend
    return (
        np.where(inside, 0.5 * errors**2, bend * (size - 0.5 * bend)),
        np.where(inside, errors, bend * np.sign(errors)),
    )


def _price(amounts: Floats) -> Price:
    """Return a price term by term, to a few significant figures."""
    named = zip(COLUMNS.values(), amounts, strict=True)
    return {term: float(f"{amount:.{FIGURES}g}") for terms, amount in named for term in terms}
