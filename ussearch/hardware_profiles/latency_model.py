"""Predicted latency: three non-negative numbers per (device, runtime, precision, threads)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from ussearch.hardware_profiles.kernels import Kernel

MIB = 2**20
GMAC = 1e9


@dataclass(frozen=True)
class LatencyPrediction:
    """A latency in milliseconds, the share of each kernel (they sum to it), and what kind of number it is."""

    latency_ms: float
    per_kernel_ms: tuple[float, ...]
    label: str


@dataclass(frozen=True)
class KernelCost:
    """What a latency model charges for: arithmetic, traffic and launches."""

    gmacs: float
    mib: float
    operators: int


class LatencyModel(BaseModel):
    """Sum over kernels of ``ms_per_gmac * GMACs + ms_per_mib * MiB moved + ms_per_operator``.

    A roofline with an overhead per launch, which datasheet rooflines miss. ``activation_nodes`` says how
    many nodes the runtime executes for an activation behind a kernel: 0 where it fuses it, 2 where ``x *
    sigmoid(x)`` stays two.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    ms_per_gmac: float = Field(ge=0)
    ms_per_mib: float = Field(ge=0)
    ms_per_operator: float = Field(ge=0)
    activation_nodes: dict[str, int] = Field(default_factory=dict)
    label: str = "predicted"

    def cost(self, kernel: Kernel) -> KernelCost:
        """Return what ``kernel`` and the activations that this runtime does not fuse behind it amount to."""
        nodes = [self.activation_nodes.get(name, 1) for name in kernel.epilogue]
        moved = kernel.bytes + kernel.output_bytes * sum(activation_passes(count) for count in nodes)
        return KernelCost(kernel.macs / GMAC, moved / MIB, 1 + sum(nodes))

    def kernel_ms(self, kernel: Kernel) -> float:
        """Return the milliseconds charged for ``kernel``."""
        cost = self.cost(kernel)
        return self.ms_per_gmac * cost.gmacs + self.ms_per_mib * cost.mib + self.ms_per_operator * cost.operators

    def predict(self, kernels: Sequence[Kernel]) -> LatencyPrediction:
        """Return the predicted latency of one forward pass over ``kernels``, batch 1."""
        per_kernel_ms = tuple(self.kernel_ms(kernel) for kernel in kernels)
        return LatencyPrediction(sum(per_kernel_ms), per_kernel_ms, self.label)


def activation_passes(nodes: int) -> int:
    """Return how many tensors ``nodes`` element-wise nodes read and write: the first 2, each further
    product 3.
    """
    return 0 if nodes == 0 else 2 + 3 * (nodes - 1)
