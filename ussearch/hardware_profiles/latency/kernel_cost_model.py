"""A latency model with prices for each class of kernels: for devices whose nodes were timed one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator
from typing_extensions import Self

from ussearch.hardware_profiles.kernels.kernel import Kernel
from ussearch.hardware_profiles.latency.cost_features import (
    LAYOUT,
    OF_FEW_CHANNELS,
    TERMS,
    WHOLE,
    CostFeature,
    Tiles,
    cost_features,
)
from ussearch.hardware_profiles.latency.model import LatencyModel
from ussearch.hardware_profiles.latency.roofline import MIB

Price = dict[str, Annotated[float, Field(ge=0)]]
"""Milliseconds of one unit of each term; terms that are left out cost nothing."""

CONVOLUTIONS, OTHERS = GENERAL = "any convolution", "any other"
"""Prices of classes that were not measured."""


class CacheEffect(BaseModel):
    """How much less a network takes than its kernels one by one, because what it moves stays in the processor's cache.

    The factor is ``(MiB moved / typical_mib) ** exponent``, within the range of what was measured: small networks are
    faster than the prices of their kernels, large ones slower.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    exponent: float = Field(default=0.0, ge=0.0, le=0.5)
    typical_mib: float = Field(default=1.0, gt=0)
    least_mib: float = Field(default=1.0, gt=0)
    most_mib: float = Field(default=1.0, gt=0)

    def factor(self, kernels: Sequence[Kernel]) -> float:
        """Return by what to multiply the price of every kernel of a network."""
        mib = min(max(moved_mib(kernels), self.least_mib), self.most_mib)
        return float((mib / self.typical_mib) ** self.exponent)


def moved_mib(kernels: Sequence[Kernel]) -> float:
    """Return what all kernels read and write, in MiB."""
    return sum(kernel.bytes for kernel in kernels) / MIB


class KernelCostModel(LatencyModel):
    """Each item of a network (kernel, activation behind it, change of layout) at the price of its class.

    An additive roofline with efficiencies per class: narrow convolutions, channels that do not fill a vector register
    and short rows have terms of their own (``cost_features.TERMS``). Classes that nobody measured pay the general price
    of convolutions or of other operators.
    """

    kind: Literal["kernels"] = "kernels"
    prices: dict[str, Price]
    cache: CacheEffect = CacheEffect()
    tiles: Tiles = WHOLE

    @field_validator("prices")
    @classmethod
    def _priced_by_known_terms(cls, prices: dict[str, Price]) -> dict[str, Price]:
        """Refuse prices by which some kernel would cost nothing or could not be priced."""
        if missing := [name for name in GENERAL if name not in prices]:
            raise ValueError(f"no price of {' and of '.join(missing)}, which classes pay that have none of their own")
        if unknown := sorted({term for price in prices.values() for term in price} - set(TERMS)):
            raise ValueError(f"no such term: {', '.join(unknown)}; expected {', '.join(TERMS)}")
        return prices

    def kernel_ms(self, kernels: Sequence[Kernel]) -> tuple[float, ...]:
        """Return the milliseconds of each kernel with its activations and changes of layout."""
        milliseconds = [0.0] * len(kernels)
        vectors = {name: self._vector(name) for name in self.prices}
        factor = self.cache.factor(kernels)
        for item in cost_features(kernels, self.tiles):
            price = vectors[self.priced_as(item)]
            milliseconds[item.kernel] += factor * float(price @ np.asarray(item.terms))
        return tuple(milliseconds)

    def times(self, factor: float) -> Self:
        """Return the model of a device that takes ``factor`` times as long for everything."""
        prices = {name: {term: value * factor for term, value in price.items()} for name, price in self.prices.items()}
        return self.model_copy(update={"prices": prices, "ms_per_call": self.ms_per_call * factor})

    def priced(self, item: CostFeature) -> float:
        """Return the milliseconds of one item, before the effect of the cache."""
        return float(self._vector(self.priced_as(item)) @ np.asarray(item.terms))

    def priced_as(self, item: CostFeature) -> str:
        """Return the class whose price an item pays: the narrowest one that has a price."""
        return next(name for name in lineage(item) if name in self.prices)

    def _vector(self, name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        price = self.prices[name]
        return np.array([price.get(term, 0.0) for term in TERMS])


def lineage(item: CostFeature) -> tuple[str, ...]:
    """Return the classes that an item belongs to, the narrowest first."""
    return lineage_of(item.detail or item.name)


def lineage_of(name: str) -> tuple[str, ...]:
    """Return the class called ``name`` and those that it belongs to, the narrowest first."""
    if name in GENERAL:
        return (name,)
    operator = name.split(" ", maxsplit=1)[0]
    whole = name in {operator, LAYOUT} or " behind " in name or name.endswith(OF_FEW_CHANNELS)
    return (name, general_class(name)) if whole else (name, operator, general_class(name))


def general_class(name: str) -> str:
    """Return the group whose price a class pays that was not measured itself."""
    operator = name.split(" ", maxsplit=1)[0]
    return CONVOLUTIONS if name != LAYOUT and " behind " not in name and operator.endswith("conv") else OTHERS
