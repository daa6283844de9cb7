"""Who races: samplers by the names of the package, and what the surrogate is told before a point is trained."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import ClassVar

from enumerated.race import MakeSampler, Run, Table, run
from enumerated.subspace import CHOICES, IMAGE_SIZE, architecture_of, points
from enumerated.table import PROFILE
from ussearch.evaluators import Costs, trace
from ussearch.hardware_profiles import load_profile
from ussearch.search_spaces import FreeSpace
from ussearch.studies import SamplerSettings
from ussearch.studies.samplers import Choices, Cost, Description, Pricing, make_sampler

OURS = "surrogate"


@dataclass(frozen=True)
class Entry:
    """A sampler in the race; ``title`` names it in tables."""

    title: str
    settings: SamplerSettings
    priced: bool = False

    @property
    def make(self) -> MakeSampler:
        """Return what makes the sampler from a seed."""
        pricing = PointPricing() if self.priced else None
        return lambda seed: make_sampler(self.settings, seed, pricing)


ENTRIES = (
    Entry("random", SamplerSettings(name="random")),
    Entry("TPE", SamplerSettings(name="tpe")),
    Entry("GP", SamplerSettings(name="gp")),
    *(Entry(f"NSGA-II, population {size}", SamplerSettings(name="nsgaii", population=size)) for size in (8, 16, 32)),
    Entry("surrogate without prices", SamplerSettings(name="surrogate")),
    Entry(OURS, SamplerSettings(name="surrogate"), priced=True),
)


class PointPricing(Pricing):
    """Points by the latency model, as a search prices architectures; nothing comes from the table."""

    priced: ClassVar[bool] = True

    def describe(self, choices: Choices) -> Description:
        """Return id and encoding of the point's architecture."""
        return _description(*(choices[name] for name in CHOICES))

    def price(self, choices: Choices) -> Cost:
        """Return the predicted latency, MACs and parameters."""
        costs = costs_of(*(choices[name] for name in CHOICES))
        return Cost((costs.latency_ms,), True, (float(costs.macs), float(costs.parameters)))


@dataclass(frozen=True)
class Result:
    """The runs of one entry, one a seed."""

    entry: Entry
    runs: tuple[Run, ...]

    @cached_property
    def needed(self) -> list[int]:
        """Return the trainings until the target, by seed."""
        return [each.needed for each in self.runs]


def race(entry: Entry, table: Table, seeds: range) -> Result:
    """Let one sampler search the table once a seed."""
    return Result(entry, tuple(run(table, entry.make, seed) for seed in seeds))


@cache
def costs_of(*values: object) -> Costs:
    """Return the costs of the point with these values under ``PROFILE``."""
    return trace(architecture_of(dict(zip(CHOICES, values, strict=True))), IMAGE_SIZE).costs(load_profile(PROFILE))


@cache
def _description(*values: object) -> Description:
    architecture = architecture_of(dict(zip(CHOICES, values, strict=True)))
    return Description(architecture.id, tuple(FreeSpace.encode(architecture)))


def latencies() -> list[float]:
    """Return the predicted latency of every point in ms."""
    return [costs_of(*point.values()).latency_ms for point in points()]
