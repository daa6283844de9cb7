"""Fitting the prices of kernels to nodes timed one by one and to whole networks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from ussearch.hardware_profiles.kernels.kernel import Kernel
from ussearch.hardware_profiles.latency.cost_features import LAYOUT, TERMS, CostFeature, cost_features
from ussearch.hardware_profiles.latency.kernel_cost_model import (
    CONVOLUTIONS,
    OTHERS,
    CacheEffect,
    KernelCostModel,
    Price,
    general_class,
    moved_mib,
)
from ussearch.hardware_profiles.latency.profiler_match import Matched, ProfiledNode, match_profile

Floats = NDArray[np.float64]

FLOOR_MS = 0.05
"""Errors of kernels much shorter than this do not count as relative ones: the clock resolves a microsecond."""
PRIOR_WEIGHT = 0.01
"""How strongly prices are held to those of the whole group where a class has not enough kernels to tell."""
ROUNDS = 8
CACHE_ROUNDS, CACHE_RIDGE, MOST_EXPONENT = 2, 1.0, 0.3
LEAST_NODE_MS, MOST_OVERHEAD_MS = 0.001, 0.005
"""No node takes less; and timing one takes no more, whatever a busy machine seems to say."""
FIGURES = 5


@dataclass(frozen=True)
class MeasuredNetwork:
    """A network's kernels with its latency on a device, and its nodes where the runtime tells them."""

    name: str
    kernels: tuple[Kernel, ...]
    latency_ms: float
    nodes: tuple[ProfiledNode, ...] = ()


def fit_kernel_cost_model(networks: Sequence[MeasuredNetwork]) -> KernelCostModel:
    """Return prices per class of kernels; every network needs its nodes (ValueError otherwise).

    Prices are fitted to nodes, class by class, and held to the general price of convolutions or of other operators
    where a class has few samples. Nodes tell shares only: less what timing one costs, they are scaled to the network's
    own latency, since the machine may have been busier while they were timed. What networks take more or less than
    their kernels, by how much they move, is the effect of the cache; with it, the prices are fitted once more.
    """
    if not networks or not all(network.nodes for network in networks):
        raise ValueError("fitting prices of kernels needs the time of every node of every network")
    cache = CacheEffect()
    for _ in range(CACHE_ROUNDS):
        prices = _fit_prices(networks, cache)
        cache = _fit_cache(prices, networks)
    return _scaled(prices, networks, cache)


def _fit_prices(networks: Sequence[MeasuredNetwork], cache: CacheEffect) -> dict[str, Floats]:
    overhead_ms = timing_overhead_ms(networks)
    matched = [
        match_profile(cost_features(network.kernels), shares(network, overhead_ms, cache)) for network in networks
    ]
    samples = [sample for each in matched for sample in each.samples]
    general = {name: _fit(_of_group(samples, name)) for name in (CONVOLUTIONS, OTHERS)}
    by_class: dict[str, list[tuple[CostFeature, float]]] = defaultdict(list)
    for item, milliseconds in samples:
        by_class[item.name].append((item, milliseconds))
    scales = {name: _scales(_of_group(samples, name)) for name in general}
    fitted = {
        name: _fit(chosen, prior=general[general_class(name)], scale=scales[general_class(name)])
        for name, chosen in sorted(by_class.items())
    }
    return fitted | general | {LAYOUT: _layout(networks, matched)}


def timing_overhead_ms(networks: Sequence[MeasuredNetwork]) -> float:
    """Return what timing a node adds to it: the median excess of nodes over their network, per node."""
    excess = [
        (sum(node.ms for node in network.nodes) - network.latency_ms) / len(network.nodes) for network in networks
    ]
    return min(max(float(np.median(excess)), 0.0), MOST_OVERHEAD_MS)


def shares(network: MeasuredNetwork, overhead_ms: float, cache: CacheEffect) -> list[ProfiledNode]:
    """Return the nodes of a network without the overhead of timing, scaled to what it takes outside of the cache."""
    plain = [max(node.ms - overhead_ms, LEAST_NODE_MS) for node in network.nodes]
    factor = network.latency_ms / sum(plain) / cache.factor(network.kernels)
    return [replace(node, ms=ms * factor) for node, ms in zip(network.nodes, plain, strict=True)]


def _fit_cache(prices: Mapping[str, Floats], networks: Sequence[MeasuredNetwork]) -> CacheEffect:
    """Return the exponent with which latencies depart from the sums over kernels, shrunk towards none."""
    plain = KernelCostModel(prices={name: _price(vector) for name, vector in prices.items()})
    departure = np.log([network.latency_ms / plain.total_ms(network.kernels) for network in networks])
    mib = np.array([moved_mib(network.kernels) for network in networks])
    logs = np.log(mib) - np.log(mib).mean()
    slope = float(logs @ departure / (logs @ logs + CACHE_RIDGE))
    return CacheEffect(
        exponent=round(min(max(slope, 0.0), MOST_EXPONENT), FIGURES),
        typical_mib=float(f"{np.exp(np.log(mib).mean()):.{FIGURES}g}"),
        least_mib=float(f"{mib.min():.{FIGURES}g}"),
        most_mib=float(f"{mib.max():.{FIGURES}g}"),
    )


def _of_group(samples: Sequence[tuple[CostFeature, float]], group: str) -> list[tuple[CostFeature, float]]:
    return [sample for sample in samples if general_class(sample[0].name) == group]


def _scales(samples: Sequence[tuple[CostFeature, float]]) -> Floats:
    """Return how large each term gets among all kernels of a group [terms], relative to what they take."""
    if not samples:
        return np.ones(len(TERMS))
    terms, milliseconds = _arrays(samples)
    return np.asarray(np.sqrt(np.mean((terms / (milliseconds + FLOOR_MS)[:, None]) ** 2, axis=0)))


def _fit(
    samples: Sequence[tuple[CostFeature, float]], prior: Floats | None = None, scale: Floats | None = None
) -> Floats:
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


def _arrays(samples: Sequence[tuple[CostFeature, float]]) -> tuple[Floats, Floats]:
    terms = np.array([item.terms for item, _ in samples])
    return terms, np.array([milliseconds for _, milliseconds in samples])


def _layout(networks: Sequence[MeasuredNetwork], matched: Sequence[Matched]) -> Floats:
    """Return the prices of changes of layout, from what the nodes of each network leave over."""
    nothing = (0.0,) * len(TERMS)
    totals = [
        np.sum([nothing, *(item.terms for item in cost_features(network.kernels) if item.name == LAYOUT)], axis=0)
        for network in networks
    ]
    whole = [CostFeature(LAYOUT, 0, (), (), (1, 1), tuple(map(float, total))) for total in totals]
    return _fit([(item, each.rest_ms) for item, each in zip(whole, matched, strict=True)])


def _scaled(prices: Mapping[str, Floats], networks: Sequence[MeasuredNetwork], cache: CacheEffect) -> KernelCostModel:
    """Return the model whose sums over kernels, times a factor, come closest to the networks."""
    plain = KernelCostModel(prices={name: _price(vector) for name, vector in prices.items()}, cache=cache)
    sums = np.array([plain.total_ms(network.kernels) for network in networks])
    measured = np.array([network.latency_ms for network in networks])
    ratio = float(np.median(measured / sums))
    return KernelCostModel(prices={name: _price(vector * ratio) for name, vector in prices.items()}, cache=cache)


def _price(vector: Floats) -> Price:
    """Return the terms that cost something, to a few significant figures."""
    return {term: float(f"{value:.{FIGURES}g}") for term, value in zip(TERMS, vector, strict=True) if value > 0}
