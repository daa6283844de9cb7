"""How far a latency model was checked against measurements: what a prediction may be trusted for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ussearch.hardware_profiles.kernels.kernel import Kernel
from ussearch.hardware_profiles.latency.roofline import GMAC, MIB


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Accuracy(_Part):
    """Agreement of predicted with measured latencies of networks that the fit had not seen.

    Shares are 0..1, ``mape`` is in per cent; None where the measurements cannot say (MACs alone have no milliseconds
    without a fit, a few networks no pairs of equal MACs).
    """

    tau: float = Field(ge=-1, le=1, description="Kendall's tau")
    spearman: float | None = Field(default=None, ge=-1, le=1)
    mape: float | None = Field(default=None, ge=0)
    within_10_percent: float | None = Field(default=None, ge=0, le=1)
    iso_mac_accuracy: float | None = Field(default=None, ge=0, le=1)


class Extent(_Part):
    """The hull of the networks measured: least and most of each total."""

    gmacs: tuple[float, float]
    mib: tuple[float, float]
    kernels: tuple[int, int]

    def outside(self, kernels: Sequence[Kernel]) -> Iterator[str]:
        """Yield one phrase a total of ``kernels`` that no measured network reached."""
        totals = {
            "gmacs": sum(kernel.macs for kernel in kernels) / GMAC,
            "mib": sum(kernel.bytes for kernel in kernels) / MIB,
            "kernels": len(kernels),
        }
        for name, total in totals.items():
            least, most = getattr(self, name)
            if not least <= total <= most:
                yield f"{total:.3g} {UNITS[name]}, measured {least:.3g} to {most:.3g}"


UNITS = {"gmacs": "GMACs", "mib": "MiB moved", "kernels": "kernels"}


LEAST_NETWORKS, LEAST_FAMILIES = 3, 2
"""How many measured networks, of how many families, must contain a class of kernels before it counts as covered."""


class Coverage(NamedTuple):
    """How many measured networks, of how many families of architectures, contain a class of kernels."""

    networks: int
    families: int

    @property
    def enough(self) -> bool:
        """Whether the class counts as covered."""
        return self.networks >= LEAST_NETWORKS and self.families >= LEAST_FAMILIES

    def __str__(self) -> str:
        networks = "1 network" if self.networks == 1 else f"{self.networks} networks"
        return f"{networks} of {self.families} {'family' if self.families == 1 else 'families'}"


def coverage_of(networks: Sequence[Sequence[Kernel]], families: Sequence[str]) -> dict[str, Coverage]:
    """Return the coverage of each class of kernels by ``networks``, each of the family beside it."""
    seen: dict[str, list[str]] = defaultdict(list)
    for kernels, family in zip(networks, families, strict=True):
        for name in {kernel.kernel_class for kernel in kernels}:
            seen[name].append(family)
    return {name: Coverage(len(seen[name]), len(set(seen[name]))) for name in sorted(seen)}


class Validation(_Part):
    """What was measured, how the model did on what it had not seen, and how MACs alone did there."""

    data: str = Field(min_length=1, description="which measurements, with their source")
    networks: int = Field(ge=1)
    families: int | None = Field(default=None, ge=1, description="how many families of architectures; None: not known")
    protocol: str = Field(min_length=1, description="what was held out, and how")
    kernel_classes: tuple[str, ...] = Field(default=(), description="classes measured, where nobody counted networks")
    coverage: dict[str, Coverage] = Field(default_factory=dict, description="classes of kernels that were measured")
    accuracy: Accuracy
    macs_only: Accuracy
    relative_error: float = Field(ge=0, description="nine in ten held-out networks lie within this factor minus one")
    extent: Extent | None = None

    @field_validator("coverage")
    @classmethod
    def _families_have_networks(cls, coverage: dict[str, Coverage]) -> dict[str, Coverage]:
        """Refuse counts that cannot be."""
        for name, seen in coverage.items():
            if not 0 <= seen.families <= seen.networks or (seen.networks and not seen.families):
                raise ValueError(f"{name}: {list(seen)} is no number of networks and of their families")
        return coverage

    @property
    def covered(self) -> frozenset[str]:
        """The classes of kernels whose prices rest on enough measurements."""
        return frozenset(self.kernel_classes) | {name for name, seen in self.coverage.items() if seen.enough}

    def sentence(self) -> str:
        """Return what a user should know, in one sentence."""
        figures = [f"Kendall τ {self.accuracy.tau:.2f} (MACs alone {self.macs_only.tau:.2f})"]
        if self.accuracy.mape is not None:
            figures.insert(0, f"{self.accuracy.mape:.0f} % wrong on average")
        return f"calibrated on {self.networks} networks ({self.data}); held-out networks: {', '.join(figures)}"
