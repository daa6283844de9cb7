"""An additive roofline: arithmetic, traffic and launches, each with a non-negative price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ussearch.hardware_profiles.kernels.kernel import Kernel
from ussearch.hardware_profiles.latency.model import LatencyModel

MIB = 2**20
GMAC = 1e9


@dataclass(frozen=True)
class KernelCost:
    """What a roofline charges for: arithmetic, traffic and launches."""

    gmacs: float
    mib: float
    operators: int


class Rates(BaseModel):
    """Prices of a group of operators."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    ms_per_gmac: float = Field(ge=0)
    ms_per_mib: float = Field(ge=0)
    ms_per_operator: float = Field(ge=0)

    def price_ms(self, cost: KernelCost) -> float:
        """Return the milliseconds of ``cost``."""
        return self.ms_per_gmac * cost.gmacs + self.ms_per_mib * cost.mib + self.ms_per_operator * cost.operators


class Roofline(LatencyModel, Rates):
    """Sum over kernels of ``ms_per_gmac * GMACs + ms_per_mib * MiB moved + ms_per_operator``.

    A roofline with an overhead per launch, which datasheet rooflines miss. ``operators`` holds prices of their own for
    operators that measurements distinguish, such as ``depthwise_conv``. ``activation_nodes`` says how many nodes the
    runtime executes for an activation behind a kernel: 0 where it fuses it, 2 where ``x * sigmoid(x)`` stays two.
    """

    kind: Literal["roofline"] = "roofline"
    operators: dict[str, Rates] = Field(default_factory=dict)
    activation_nodes: dict[str, int] = Field(default_factory=dict)

    def cost(self, kernel: Kernel) -> KernelCost:
        """Return what ``kernel`` and the activations that this runtime does not fuse behind it amount to."""
        nodes = [self.activation_nodes.get(name, 1) for name in kernel.epilogue]
        moved = kernel.bytes + kernel.output_bytes * sum(activation_passes(count) for count in nodes)
        return KernelCost(kernel.macs / GMAC, moved / MIB, 1 + sum(nodes))

    def kernel_ms(self, kernels: Sequence[Kernel]) -> tuple[float, ...]:
        """Return the milliseconds of each kernel."""
        return tuple(self.operators.get(kernel.operator, self).price_ms(self.cost(kernel)) for kernel in kernels)


def activation_passes(nodes: int) -> int:
    """Return how many tensors ``nodes`` element-wise nodes read and write: the first 2, each further
    product 3.
    """
    return 0 if nodes == 0 else 2 + 3 * (nodes - 1)
