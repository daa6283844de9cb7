"""An additive roofline, arithmetic, traffic and launches with non-negative prices, and how these are fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.optimize import nnls
from typing_extensions import Self

from ussearch.hardware_profiles.kernels.kernel import Kernel
from ussearch.hardware_profiles.latency.model import LatencyModel

MIB = 2**20
GMAC = 1e9


@dataclass(frozen=True)
class KernelCost:
    """What a roofline charges for: arithmetic (1e9 multiply-accumulates), traffic (MiB, FP32) and launches."""

    gmacs: float
    mib: float
    operators: int


class Rates(BaseModel):
    """Prices of a group of operators."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    ms_per_gmac: float = Field(ge=0)
    ms_per_mib: float = Field(ge=0)
    ms_per_operator: float = Field(ge=0)

    def multiplied(self, factor: float) -> Self:
        """Return all prices multiplied by ``factor``."""
        rates = ("ms_per_gmac", "ms_per_mib", "ms_per_operator")
        return self.model_copy(update={name: getattr(self, name) * factor for name in rates})

    def price_ms(self, cost: KernelCost) -> float:
        """Return the milliseconds of ``cost``."""
        return self.ms_per_gmac * cost.gmacs + self.ms_per_mib * cost.mib + self.ms_per_operator * cost.operators


class Roofline(LatencyModel, Rates):
    """Sum over kernels of ``ms_per_gmac * GMACs + ms_per_mib * MiB moved + ms_per_operator``.

    A roofline with an overhead per launch, which datasheet rooflines miss. ``operators`` holds prices of their own for
    operators that measurements distinguish, such as ``depthwise_conv``. ``activation_nodes`` says how many nodes the
    runtime executes for an activation behind a kernel: 0 where it fuses it, 2 where ``x * sigmoid(x)`` stays two.
    ``tile_pixels`` is the number of output pixels that a convolution computes at a time: a tile that the image fills in
    part costs as much as a full one.
    """

    kind: Literal["roofline"] = "roofline"
    operators: dict[str, Rates] = Field(default_factory=dict)
    activation_nodes: dict[str, int] = Field(default_factory=dict)
    tile_pixels: int = Field(default=1, ge=1)

    def times(self, factor: float) -> Self:
        """Return the model of a device that takes ``factor`` times as long for everything."""
        operators = {name: rates.multiplied(factor) for name, rates in self.operators.items()}
        changed = {"operators": operators, "ms_per_call": self.ms_per_call * factor}
        return self.multiplied(factor).model_copy(update=changed)

    def cost(self, kernel: Kernel) -> KernelCost:
        """Return what ``kernel`` and the activations that this runtime does not fuse behind it amount to."""
        nodes = [self.activation_nodes.get(name, 1) for name in kernel.epilogue]
        moved = kernel.bytes + kernel.output_bytes * sum(activation_passes(count) for count in nodes)
        return KernelCost(self._executed_macs(kernel) / GMAC, moved / MIB, 1 + sum(nodes))

    def _executed_macs(self, kernel: Kernel) -> float:
        """Return the MACs of ``kernel``, those of the empty part of its last tile included."""
        pixels = prod(kernel.output_shape[2:])
        if self.tile_pixels == 1 or not kernel.operator.endswith("conv"):
            return kernel.macs
        tiles = -(-pixels // self.tile_pixels)
        return kernel.macs * tiles * self.tile_pixels / pixels

    def kernel_ms(self, kernels: Sequence[Kernel]) -> tuple[float, ...]:
        """Return the milliseconds of each kernel."""
        return tuple(self.operators.get(kernel.operator, self).price_ms(self.cost(kernel)) for kernel in kernels)


def activation_passes(nodes: int) -> int:
    """Return how many tensors ``nodes`` element-wise nodes read and write: the first 2, each further
    product 3.
    """
    return 0 if nodes == 0 else 2 + 3 * (nodes - 1)


Floats = NDArray[np.float64]


def fit_non_negative(features: Floats, latency_ms: Floats, least: Floats | float = 0.0) -> Floats:
    """Return the non-negative weights that minimise the squared *relative* error of ``features @ weights``.

    ``features`` [networks, numbers], ``latency_ms`` [networks]; no weight is below ``least`` [numbers]. Relative
    errors keep the slow networks from deciding alone: latencies span two orders of magnitude. Raises ValueError for
    latencies that are not positive numbers.
    """
    if not (np.isfinite(latency_ms).all() and np.isfinite(features).all() and (latency_ms > 0).all()):
        raise ValueError("latencies must be positive numbers and features finite")
    scale = np.abs(features).max(axis=0)
    scale[scale == 0] = 1
    floor = np.broadcast_to(np.asarray(least, dtype=np.float64), features.shape[1:])
    weights, _ = nnls(features / scale / latency_ms[:, None], 1 - features @ floor / latency_ms)
    return np.asarray(floor + weights / scale, dtype=np.float64)


def fit_shrunk(
    features: Floats, latency_ms: Floats, strength: float, least: Floats | float = 0.0
) -> tuple[Floats, Floats]:
    """Return prices common to all groups of kernels [numbers] and prices of each group [groups, numbers].

    ``features`` [networks, groups, numbers], ``latency_ms`` [networks]. A group's own prices are drawn towards the
    common ones, the more the larger ``strength`` is and the less the group contributes: a group that the networks
    hardly contain keeps the common prices, which alone obey ``least``. The error is relative, as above.
    """
    common = fit_non_negative(features.sum(axis=1), latency_ms, least)
    charges = features.reshape(len(features), -1) / latency_ms[:, None]
    pull = strength * np.sqrt((charges**2).sum(axis=0))
    targets = np.concatenate([np.ones(len(charges)), pull * np.tile(common, features.shape[1])])
    system = np.vstack([charges, np.diag(pull)])
    scale = np.abs(system).max(axis=0)
    scale[scale == 0] = 1
    weights, _ = nnls(system / scale, targets)
    own = np.asarray(weights / scale, dtype=np.float64).reshape(features.shape[1:])
    absent = ~features.any(axis=0)
    return common, np.where(absent, common, own)
