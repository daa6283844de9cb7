"""A correction on top of prices of kernels: regression trees on what the prices miss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
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
from ussearch.regression_tree import RegressionTree

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


class BoostedPrices(LatencyModel):
    """Prices of kernels, each times a factor that gradient-boosted trees read off the kernel's shape."""

    kind: Literal["boosted"] = "boosted"
    base: KernelCostModel
    trees: tuple[RegressionTree, ...] = Field(min_length=1)

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
        total = np.sum([tree.predict(features) for tree in self.trees], axis=0)
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
    trees = tuple(
        RegressionTree.from_sklearn(each[0].tree_, LEARNING_RATE, _figures, _figures) for each in regressor.estimators_
    )
    model = BoostedPrices(base=base, trees=trees, ms_per_call=base.ms_per_call)
    totals = [(network.latency_ms - model.ms_per_call) / sum(model.kernel_ms(network.kernels)) for network in networks]
    return model.times(float(np.median(totals))).model_copy(update={"ms_per_call": base.ms_per_call})


def _figures(values: Floats) -> Floats:
    """Round to a few significant figures, which is all that a profile's file needs to say."""
    return np.array([float(f"{each:.{FIGURES}g}") for each in values])
