"""An additive roofline: arithmetic, traffic and launches, each with a non-negative price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
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
