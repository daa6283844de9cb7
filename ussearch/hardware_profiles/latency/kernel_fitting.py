"""Fitting the prices of kernels to nodes timed one by one and to whole networks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from ussearch.hardware_profiles.kernels.kernel import Kernel
from ussearch.hardware_profiles.latency.items import LAYOUT, TERMS, Item, items
from ussearch.hardware_profiles.latency.kernel_prices import CONVOLUTIONS, OTHERS, KernelPrices, Price, general_class
from ussearch.hardware_profiles.latency.node_times import Matched, NodeTime, match

Floats = NDArray[np.float64]

FLOOR_MS = 0.05
"""Errors of kernels much shorter than this do not count as relative ones: the clock resolves a microsecond."""
PRIOR_WEIGHT = 0.01
"""How strongly prices are held to those of the whole group where a class has not enough kernels to tell."""
ROUNDS = 8
FIGURES = 5


@dataclass(frozen=True)
class MeasuredNetwork:
    """A network's kernels with its latency on a device, and its nodes where the runtime tells them."""

    name: str
    kernels: tuple[Kernel, ...]
    latency_ms: float
    nodes: tuple[NodeTime, ...] = ()


def fit_kernel_prices(networks: Sequence[MeasuredNetwork]) -> KernelPrices:
    """Return prices per class of kernels; every network needs its nodes (ValueError otherwise).

    Prices are fitted to nodes, class by class, and held to the general price of convolutions or of other operators
    where a class has few samples. Nodes tell shares only: their sum is scaled to the network's own latency, since
    timing them takes time too and the machine may have been busier while it was done.
    """
    if not networks or not all(network.nodes for network in networks):
        raise ValueError("fitting prices of kernels needs the time of every node of every network")
    matched = [match(items(network.kernels), shares(network)) for network in networks]
    samples = [sample for each in matched for sample in each.samples]
    general = {name: _fit(_of_group(samples, name)) for name in (CONVOLUTIONS, OTHERS)}
    by_class: dict[str, list[tuple[Item, float]]] = defaultdict(list)
    for item, milliseconds in samples:
        by_class[item.name].append((item, milliseconds))
    scales = {name: _scales(_of_group(samples, name)) for name in general}
    fitted = {
        name: _fit(chosen, prior=general[general_class(name)], scale=scales[general_class(name)])
        for name, chosen in sorted(by_class.items())
    }
    fitted |= general | {LAYOUT: _layout(networks, matched)}
    return _scaled(fitted, networks)


def shares(network: MeasuredNetwork) -> list[NodeTime]:
    """Return the nodes of a network, scaled so that they sum to its latency."""
    factor = network.latency_ms / sum(node.ms for node in network.nodes)
    return [replace(node, ms=node.ms * factor) for node in network.nodes]


def _of_group(samples: Sequence[tuple[Item, float]], group: str) -> list[tuple[Item, float]]:
    return [sample for sample in samples if general_class(sample[0].name) == group]


def _scales(samples: Sequence[tuple[Item, float]]) -> Floats:
    """Return how large each term gets among all kernels of a group [terms], relative to what they take."""
    if not samples:
        return np.ones(len(TERMS))
    terms, milliseconds = _arrays(samples)
    return np.asarray(np.sqrt(np.mean((terms / (milliseconds + FLOOR_MS)[:, None]) ** 2, axis=0)))


def _fit(samples: Sequence[tuple[Item, float]], prior: Floats | None = None, scale: Floats | None = None) -> Floats:
    """Return non-negative prices [terms] of the least relative error.

    Errors are relative to the *predicted* time, found in a few rounds: relative to the measured one, noise would pull
    every price down. ``prior`` holds terms that the samples do not excite, by as much as these matter elsewhere
    (``scale``).
    """
    if not samples:
        return np.zeros(len(TERMS))
    terms, milliseconds = _arrays(samples)
    size = np.abs(terms).max(axis=0)
    size[size == 0] = 1
    predicted, prices = milliseconds, np.zeros(len(TERMS))
    for _ in range(ROUNDS):
        weight = 1 / (predicted + FLOOR_MS)
        rows, target = terms / size * weight[:, None], milliseconds * weight
        if prior is not None and scale is not None:
            held = PRIOR_WEIGHT * np.sqrt(len(samples)) * scale
            rows, target = np.vstack([rows, np.diag(held / size)]), np.concatenate([target, held * prior])
        solution, _ = nnls(rows, target, maxiter=1000)
        prices = solution / size
        predicted = terms @ prices
    return np.asarray(prices, dtype=np.float64)


def _arrays(samples: Sequence[tuple[Item, float]]) -> tuple[Floats, Floats]:
    terms = np.array([item.terms for item, _ in samples])
    return terms, np.array([milliseconds for _, milliseconds in samples])


def _layout(networks: Sequence[MeasuredNetwork], matched: Sequence[Matched]) -> Floats:
    """Return the prices of changes of layout, from what the nodes of each network leave over."""
    nothing = (0.0,) * len(TERMS)
    totals = [
        np.sum([nothing, *(item.terms for item in items(network.kernels) if item.name == LAYOUT)], axis=0)
        for network in networks
    ]
    whole = [Item(LAYOUT, 0, (), (), (1, 1), tuple(map(float, total))) for total in totals]
    return _fit([(item, each.rest_ms) for item, each in zip(whole, matched, strict=True)])


def _scaled(prices: Mapping[str, Floats], networks: Sequence[MeasuredNetwork]) -> KernelPrices:
    """Return the model whose sums over kernels, times a factor and plus a call, come closest to the networks."""
    plain = KernelPrices(prices={name: _price(vector) for name, vector in prices.items()})
    sums = np.array([sum(plain.kernel_ms(network.kernels)) for network in networks])
    measured = np.array([network.latency_ms for network in networks])
    ratio = float(np.median(measured / sums))
    call_ms = max(0.0, float(np.median(measured - ratio * sums)))
    return KernelPrices(
        ms_per_call=round(call_ms, FIGURES),
        prices={name: _price(vector * ratio) for name, vector in prices.items()},
    )


def _price(vector: Floats) -> Price:
    """Return the terms that cost something, to a few significant figures."""
    return {term: float(f"{value:.{FIGURES}g}") for term, value in zip(TERMS, vector, strict=True) if value > 0}
