"""A latency model with prices for each class of kernels: for devices whose nodes were timed one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from typing_extensions import Self

from ussearch.hardware_profiles.kernels.kernel import Kernel
from ussearch.hardware_profiles.latency.items import LAYOUT, TERMS, Item, items
from ussearch.hardware_profiles.latency.model import LatencyModel

Price = dict[str, Annotated[float, Field(ge=0)]]
"""Milliseconds of one unit of each term; terms that are left out cost nothing."""

CONVOLUTIONS, OTHERS = "any convolution", "any other"
"""Prices of classes that were not measured."""


class KernelPrices(LatencyModel):
    """Each item of a network (kernel, activation behind it, change of layout) at the price of its class.

    An additive roofline with efficiencies per class: narrow convolutions, channels that do not fill a vector register
    and short rows have terms of their own (``items.TERMS``). Classes that nobody measured pay the general price of
    convolutions or of other operators.
    """

    kind: Literal["kernels"] = "kernels"
    prices: dict[str, Price]

    def kernel_ms(self, kernels: Sequence[Kernel]) -> tuple[float, ...]:
        """Return the milliseconds of each kernel with its activations and changes of layout."""
        milliseconds = [0.0] * len(kernels)
        vectors = {name: self._vector(name) for name in self.prices}
        for item in items(kernels):
            price = vectors.get(item.name, vectors[general_class(item.name)])
            milliseconds[item.kernel] += float(price @ np.asarray(item.terms))
        return tuple(milliseconds)

    def times(self, factor: float) -> Self:
        """Return the model of a device that takes ``factor`` times as long for everything."""
        prices = {name: {term: value * factor for term, value in price.items()} for name, price in self.prices.items()}
        return self.model_copy(update={"prices": prices, "ms_per_call": self.ms_per_call * factor})

    def priced(self, item: Item) -> float:
        """Return the milliseconds of one item."""
        name = item.name if item.name in self.prices else general_class(item.name)
        return float(self._vector(name) @ np.asarray(item.terms))

    def _vector(self, name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        price = self.prices[name]
        return np.array([price.get(term, 0.0) for term in TERMS])


def general_class(name: str) -> str:
    """Return the group whose price a class pays that was not measured itself."""
    operator = name.split(" ", maxsplit=1)[0]
    return CONVOLUTIONS if name != LAYOUT and " behind " not in name and operator.endswith("conv") else OTHERS
