"""Prices fitted to the runtimes' networks, to all of them or to those of other families."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from published.measured import Measured
from published.runtimes import PRIORS, RUNTIMES
from published.tables import Floats, Indices, Names
from ussearch.hardware_profiles.latency.kernel_cost_model import KernelCostModel
from ussearch.hardware_profiles.latency.network_fitting import COLUMNS, Charges, charges, fit_network_prices
from ussearch.hardware_profiles.latency.roofline import Roofline, fit_non_negative

CROWD = 0.25
"""Power by which a network counts less the more of its family there are: variants of one design say much the same."""


@dataclass
class Fits:
    """Fits to the tables in a folder; what was read and counted is kept."""

    data: Path
    _counted: dict[str, tuple[Measured, Charges]] = field(default_factory=dict)
    _models: dict[tuple[str, str], KernelCostModel] = field(default_factory=dict)

    def measured(self, name: str) -> Measured:
        """Return the networks of a runtime."""
        return self._table(name)[0]

    def model(self, name: str, without: str = "") -> KernelCostModel:
        """Return a runtime's prices, fitted to all networks but those of the family ``without``, the prior's too."""
        if without and not self._contains(name, without):
            return self.model(name)
        if (name, without) not in self._models:
            kept = np.flatnonzero(self.measured(name).families != without)
            self._models[name, without] = self.fitted_to(name, kept, without)
        return self._models[name, without]

    def _contains(self, name: str, family: str) -> bool:
        """Tell whether a runtime, or one that its prices are taken from, measured a family."""
        return bool(name) and (family in self.measured(name).families or self._contains(RUNTIMES[name].prior, family))

    def fitted_to(self, name: str, networks: Indices, without: str = "", prior: str = "") -> KernelCostModel:
        """Return a runtime's prices, fitted to some of its networks; ``prior`` stands for its usual one."""
        runtime, (table, counted) = RUNTIMES[name], self._table(name)
        prior = prior or runtime.prior
        return fit_network_prices(
            counted.of(networks),
            table.latency_ms[networks],
            weights(table.families[networks]),
            tiles=runtime.tiles,
            prior=self.model(prior, without) if prior else None,
            same_runtime=runtime.same_runtime and prior == runtime.prior,
            least_ms_per_mib=runtime.least_ms_per_mib,
        )

    def predicted(self, name: str, model: KernelCostModel, networks: Indices | None = None) -> Floats:
        """Return the milliseconds of a runtime's networks by a model of the same tiles [networks]."""
        counted = self._table(name)[1]
        return priced(model, counted if networks is None else counted.of(networks))

    def left_out(self, name: str, groups: Names | None = None) -> Floats:
        """Return the milliseconds of each network by prices fitted without its family, or without its group."""
        table = self.measured(name)
        predicted_ms = np.empty(len(table.networks))
        for group in np.unique(table.families if groups is None else groups):
            inside = (table.families if groups is None else groups) == group
            model = self.model(name, group) if groups is None else self.fitted_to(name, np.flatnonzero(~inside))
            predicted_ms[inside] = self.predicted(name, model, np.flatnonzero(inside))
        return predicted_ms

    def three_numbers(self, name: str) -> Floats:
        """Return the milliseconds of each network by launches, GMACs and MiB alone, fitted without its family."""
        table = self.measured(name)
        totals, predicted_ms = three_totals(table), np.empty(len(table.networks))
        for family in np.unique(table.families):
            of, others = table.families == family, table.families != family
            predicted_ms[of] = totals[of] @ fit_non_negative(totals[others], table.latency_ms[others])
        return predicted_ms

    def three_prices(self, name: str) -> Roofline:
        """Return the three numbers fitted to all networks of a runtime."""
        table = self.measured(name)
        launch, gmac, mib = map(_rounded, fit_non_negative(three_totals(table), table.latency_ms))
        return Roofline(ms_per_gmac=gmac, ms_per_mib=mib, ms_per_operator=launch)

    def classes_pay(self, name: str) -> bool:
        """Return whether prices of classes predict families left out better than three numbers do."""
        latency_ms = self.measured(name).latency_ms
        return mape(self.left_out(name), latency_ms) < mape(self.three_numbers(name), latency_ms)

    def shipped(self, name: str) -> KernelCostModel | Roofline:
        """Return the simpler of both models that the other does not beat, fitted to all networks of a runtime."""
        return self.model(name) if self.classes_pay(name) else self.three_prices(name)

    def moved_prior(self, name: str) -> tuple[KernelCostModel, Floats]:
        """Return a runtime's prior times one factor, and the ratios of predicted to measured [networks]."""
        prior, table = self.model(PRIORS[name].prior), self.measured(name)
        ratios = np.array([prior.total_ms(network.kernels) for network in table.networks]) / table.latency_ms
        factor = float(np.median(ratios))
        return prior.times(1 / factor), ratios / factor

    def held_out(self, name: str) -> Floats:
        """Return the milliseconds of each network by the kind of model that ships, fitted without its family."""
        return self.left_out(name) if self.classes_pay(name) else self.three_numbers(name)

    def _table(self, name: str) -> tuple[Measured, Charges]:
        if name not in self._counted:
            runtime = {**RUNTIMES, **PRIORS}[name]
            table = runtime.load(self.data)
            self._counted[name] = table, charges(table.networks, runtime.tiles)
        return self._counted[name]


def mape(predicted_ms: Floats, measured_ms: Floats) -> float:
    """Return the mean absolute error in per cent."""
    return float(100 * np.abs(predicted_ms / measured_ms - 1).mean())


def median_factor(predicted_ms: Floats, measured_ms: Floats) -> float:
    """Return the median factor by which predictions are off, either way, at least 1."""
    return float(np.median(np.maximum(predicted_ms / measured_ms, measured_ms / predicted_ms)))


def three_totals(table: Measured) -> Floats:
    """Return launches, GMACs and MiB of activations and weights of each network [networks, 3], as a roofline does."""
    launch, gmacs, mib, mib_parameters = np.moveaxis(charges(table.networks).amounts.sum(axis=1), 1, 0)
    return np.stack([launch, gmacs, mib + mib_parameters], axis=1)


def _rounded(price: float) -> float:
    return float(f"{price:.6g}")


def weights(families: Names) -> Floats:
    """Return what each network counts [networks], 1 on average."""
    members = np.array([np.sum(families == family) for family in families], dtype=np.float64)
    found = members**-CROWD
    return np.asarray(found / found.mean())


def priced(model: KernelCostModel, counted: Charges) -> Floats:
    """Return the milliseconds of networks that were counted [networks]."""
    known = [
        model.prices[next(name for name in counted.lineages[each] if name in model.prices)] for each in counted.classes
    ]
    prices = np.array([[price.get(terms[0], 0.0) for terms in COLUMNS.values()] for price in known])
    return np.asarray(np.tensordot(counted.amounts, prices, axes=2))
