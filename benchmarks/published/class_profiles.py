"""What the profiles ship for the runtimes whose networks were counted: prices, coverage, interval, record."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from published.class_gates import interval
from published.fits import Fits
from published.runtimes import PRIORS, RUNTIMES, Runtime
from published.tables import Floats
from ussearch.hardware_profiles.latency.cost_features import WHOLE
from ussearch.hardware_profiles.latency.cross_validation import accuracy, extent_of
from ussearch.hardware_profiles.latency.kernel_cost_model import KernelCostModel
from ussearch.hardware_profiles.latency.roofline import Roofline, fit_non_negative
from ussearch.hardware_profiles.validation import Coverage, Validation

LEAST_NETWORKS, LEAST_FAMILIES = 8, 3
"""How many networks, of how many families, a runtime needs before it has a profile of its own."""
OWN_CLASSES, THREE_NUMBERS = "prices of classes", "three numbers"


@dataclass(frozen=True)
class Shipped:
    """A runtime's model, the record of its validation, and where its prices come from."""

    runtime: Runtime
    latency: KernelCostModel | Roofline
    validation: Validation

    @property
    def provenance(self) -> dict[str, dict[str, str]]:
        """The origin of each part of the model, as profiles hold it."""
        runtime, prior = self.runtime, self.runtime.prior
        classes = isinstance(self.latency, KernelCostModel)
        follow = ", which classes follow that were not measured here" if runtime.same_runtime else ""
        shape = f"; prior: the prices of {prior}{follow}" if prior and classes else ""
        floor = f"; nothing moves faster than {runtime.gb_per_s:g} GB/s" if runtime.gb_per_s and classes else ""
        source = f"benchmarks/latency.py on {runtime.source}{shape}{floor}"
        found = {"latency": {"basis": "fit", "source": source}}
        if classes and runtime.tiles != WHOLE:
            tiles = "in view of the same measurements, those at 256 pixels included"
            found["latency.tiles"] = {"basis": "chosen", "source": tiles}
        return found


def shipped(fits: Fits, name: str) -> Shipped:
    """Return what the profile of a runtime ships: the simplest model that no richer one beats on families left out.

    Raises ValueError for a runtime of which too little was measured.
    """
    runtime, table = RUNTIMES[name], fits.measured(name)
    families = len(np.unique(table.families))
    if len(table.networks) < LEAST_NETWORKS or families < LEAST_FAMILIES:
        raise ValueError(f"{name}: {len(table.networks)} networks of {families} families are too few for a profile")
    classes, held_out = fits.classes_pay(name), fits.held_out(name)
    chosen, other = (OWN_CLASSES, THREE_NUMBERS) if classes else (THREE_NUMBERS, OWN_CLASSES)
    error = np.abs(np.log(held_out / table.latency_ms))
    return Shipped(
        runtime,
        fits.shipped(name),
        Validation(
            data=runtime.data,
            networks=len(table.networks),
            families=families,
            protocol=f"each family left out in turn, of the prior, too; {chosen} won over {other}",
            coverage=table.coverage,
            accuracy=accuracy(held_out, table.latency_ms, table.networks),
            macs_only=accuracy(_macs_only(fits, name), table.latency_ms, table.networks),
            relative_error=round(float(np.expm1(interval(error, table.families))), 3),
            extent=extent_of(table.networks),
        ),
    )


@dataclass(frozen=True)
class Prior:
    """The prices of another runtime, moved by one factor to the few networks that were measured."""

    latency: KernelCostModel
    provenance: dict[str, dict[str, str]]


def prior_only(fits: Fits, name: str) -> Prior:
    """Return what ships of a runtime of which too little was measured; raises ValueError where it is enough."""
    runtime, table = PRIORS[name], fits.measured(name)
    count, families = len(table.networks), len(np.unique(table.families))
    if count >= LEAST_NETWORKS and families >= LEAST_FAMILIES:
        raise ValueError(f"{name}: {count} networks of {families} families are enough for a profile")
    model, _ = fits.moved_prior(name)
    seen = Coverage(count, families)
    source = f"the prices of {runtime.prior}, moved by one factor to {seen} ({runtime.data}, {runtime.source})"
    prices = {
        each: {term: float(f"{amount:.5g}") for term, amount in price.items()} for each, price in model.prices.items()
    }
    return Prior(model.model_copy(update={"prices": prices}), {"latency": {"basis": "prior", "source": source}})


def _macs_only(fits: Fits, name: str) -> Floats:
    """Return the milliseconds of each network by its MACs alone, fitted without its family."""
    table = fits.measured(name)
    macs = np.array([[sum(kernel.macs for kernel in network.kernels) / 1e9] for network in table.networks])
    predicted_ms = np.empty(len(macs))
    for family in np.unique(table.families):
        of, others = table.families == family, table.families != family
        predicted_ms[of] = macs[of] @ fit_non_negative(macs[others], table.latency_ms[others])
    return predicted_ms
