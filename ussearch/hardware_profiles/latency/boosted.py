"""A correction on top of prices of kernels: regression trees on what the prices miss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import Self

from ussearch.hardware_profiles.kernels.kernel import Kernel
from ussearch.hardware_profiles.latency.cost_features import LAYOUT, CostFeature, cost_features
from ussearch.hardware_profiles.latency.kernel_cost_model import KernelCostModel
from ussearch.hardware_profiles.latency.kernel_fitting import (
    MeasuredNetwork,
    fit_kernel_cost_model,
    shares,
    timing_overhead_ms,
)
from ussearch.hardware_profiles.latency.model import LatencyModel
from ussearch.hardware_profiles.latency.profiler_match import match_profile

Floats = NDArray[np.float64]

KINDS = (
    "pointwise_conv",
    "depthwise_conv",
    "grouped_conv",
    "transposed_conv",
    "dynamic_conv",
    "conv",
    "resize",
    "layout",
)
TREES, DEPTH, LEARNING_RATE, LEAST_SAMPLES = 60, 3, 0.1, 8
LARGEST_FACTOR = 3.0
"""How far the trees may move a price: they have seen only what was measured."""
NEGLIGIBLE_MS = 0.002
"""Items this short are noise of the clock."""
FIGURES = 4


class Tree(BaseModel):
    """One regression tree as arrays [nodes]; a leaf has feature -1."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    feature: tuple[int, ...]
    threshold: tuple[float, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    value: tuple[float, ...]

    @model_validator(mode="after")
    def _leads_onward(self) -> Self:
        """Refuse trees that would loop: both children of a node come after it."""
        lengths = {len(self.feature), len(self.threshold), len(self.left), len(self.right), len(self.value)}
        inner = [index for index, feature in enumerate(self.feature) if feature >= 0]
        if len(lengths) != 1 or any(
            not index < child < len(self.feature) for index in inner for child in (self.left[index], self.right[index])
        ):
            raise ValueError("a tree's nodes must point to later nodes")
        return self

    def values(self, features: Floats) -> Floats:
        """Return the value of the leaf that each row [N, features] falls into, [N]."""
        feature, threshold = np.array(self.feature), np.array(self.threshold)
        left, right = np.array(self.left), np.array(self.right)
        at = np.zeros(len(features), int)
        while (inner := feature[at] >= 0).any():
            chosen = features[np.arange(len(at)), np.maximum(feature[at], 0)]
            at = np.where(inner, np.where(chosen <= threshold[at], left[at], right[at]), at)
        return np.array(self.value)[at]


class BoostedPrices(LatencyModel):
    """Prices of kernels, each times a factor that gradient-boosted trees read off the kernel's shape."""

    kind: Literal["boosted"] = "boosted"
    base: KernelCostModel
    trees: tuple[Tree, ...] = Field(min_length=1)

    def kernel_ms(self, kernels: Sequence[Kernel]) -> tuple[float, ...]:
        """Return the milliseconds of each kernel with its activations and changes of layout."""
        found = list(cost_features(kernels))
        milliseconds = [0.0] * len(kernels)
        if found:
            cache = self.base.cache.factor(kernels)
            for item, factor in zip(found, self._factors(found), strict=True):
                milliseconds[item.kernel] += cache * float(factor) * self.base.priced(item)
        return tuple(milliseconds)

    def times(self, factor: float) -> Self:
        """Return the model of a device that takes ``factor`` times as long for everything."""
        changed = {"base": self.base.times(factor), "ms_per_call": self.ms_per_call * factor}
        return self.model_copy(update=changed)

    def _factors(self, found: Sequence[CostFeature]) -> Floats:
        features = np.array([describe(item) for item in found])
        total = np.sum([tree.values(features) for tree in self.trees], axis=0)
        return np.asarray(np.exp(np.clip(total, -np.log(LARGEST_FACTOR), np.log(LARGEST_FACTOR))))


def describe(item: CostFeature) -> list[float]:
    """Return what a tree may ask about an item: its terms, channels and width on a logarithmic scale, and its kind."""
    channels = [shape[1] if len(shape) > 1 else 1 for shape in (item.input_shape, item.output_shape)]
    width = item.output_shape[-1] if item.output_shape else 1
    sizes = [*item.terms[1:], *channels, width, max(item.window)]
    return [*(float(np.log(size + 1e-9)) for size in sizes), *(float(item.name.startswith(kind)) for kind in KINDS)]


def fit_boosted_prices(networks: Sequence[MeasuredNetwork]) -> BoostedPrices:
    """Return prices of kernels with trees fitted to the logarithm of what they miss (ValueError without nodes).

    Long items count more, by the root of their time. Trees are scikit-learn's, kept as plain numbers.
    """
    from sklearn.ensemble import GradientBoostingRegressor  # slow to import, and only fitting needs it

    base = fit_kernel_cost_model(networks)
    overhead_ms = timing_overhead_ms(networks)
    samples = [
        sample
        for network in networks
        for sample in match_profile(cost_features(network.kernels), shares(network, overhead_ms, base.cache)).samples
        if sample[0].name != LAYOUT and sample[1] > NEGLIGIBLE_MS and base.priced(sample[0]) > NEGLIGIBLE_MS
    ]
    features = np.array([describe(item) for item, _ in samples])
    milliseconds = np.array([ms for _, ms in samples])
    missed = np.log(milliseconds / np.array([base.priced(item) for item, _ in samples]))
    regressor = GradientBoostingRegressor(
        n_estimators=TREES,
        max_depth=DEPTH,
        learning_rate=LEARNING_RATE,
        min_samples_leaf=LEAST_SAMPLES,
        subsample=0.7,
        loss="huber",
        random_state=0,
        init="zero",
    )
    regressor.fit(features, np.clip(missed, -1.0, 1.0), sample_weight=np.sqrt(milliseconds))
    trees = tuple(_tree(each[0].tree_) for each in regressor.estimators_)
    model = BoostedPrices(base=base, trees=trees, ms_per_call=base.ms_per_call)
    totals = [(network.latency_ms - model.ms_per_call) / sum(model.kernel_ms(network.kernels)) for network in networks]
    return model.times(float(np.median(totals))).model_copy(update={"ms_per_call": base.ms_per_call})


def _tree(fitted: object) -> Tree:
    """Return one of scikit-learn's trees, its leaves times the learning rate."""
    names = ("feature", "threshold", "children_left", "children_right", "value")
    feature, threshold, left, right, value = (np.asarray(getattr(fitted, name)) for name in names)
    leaf = left < 0
    return Tree(
        feature=tuple(int(each) for each in np.where(leaf, -1, feature)),
        threshold=tuple(float(f"{each:.{FIGURES}g}") for each in np.where(leaf, 0.0, threshold)),
        left=tuple(int(each) for each in np.where(leaf, 0, left)),
        right=tuple(int(each) for each in np.where(leaf, 0, right)),
        value=tuple(float(f"{LEARNING_RATE * each:.{FIGURES}g}") for each in value.reshape(-1)),
    )
