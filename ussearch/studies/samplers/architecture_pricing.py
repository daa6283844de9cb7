"""Architectures of a space as the sampler sees them: described by their encoding, priced by the latency model."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ussearch.evaluators import Evaluator, Tier
from ussearch.search_spaces import FreeSpace, SearchSpace
from ussearch.search_spaces.space import FREE
from ussearch.studies.front import in_steps
from ussearch.studies.rounds import CHILD_SHARE
from ussearch.studies.samplers.pricing import Choices, Cost, Description, Pricing, Space
from ussearch.studies.samplers.within_limits import scales_within

Floats = npt.NDArray[np.float64]
MACS_BESIDE = 8_000
"""Multiply-accumulates of a training beside the network's own, for each pixel of an image: moving features and reading
images. Fitted to the work (``training_work``) of 14 presets and 25 draws at 128×128, which it tells to a factor of 1.5.
"""
REMEMBERED = 4096


@dataclass(frozen=True)
class ArchitecturePricing(Pricing):
    """Objectives after the first are latency in ms and peak memory in MiB of ``tier``, the latter in steps.

    In the cloud both are limits alone.
    """

    priced: ClassVar[bool] = True
    pool_size: ClassVar[int] = 256
    shortlist: ClassVar[int] = 16
    probes: ClassVar[int] = 12

    space: SearchSpace | FreeSpace
    evaluator: Evaluator
    tier: Tier
    relatives: frozenset[str] | None = None
    """Bases of which something trained is there to start from; None: of all."""

    @property
    def limits_only(self) -> bool:  # type: ignore[override]  # read alone
        """Whether the end is searched for strength up to its limits, not for speed."""
        return self.tier == "cloud"

    @property
    def choices(self) -> Space:
        """Bases and edits."""
        return self.space.choices

    def draw(self, space: Space, generator: np.random.Generator) -> dict[str, Any]:
        """Return a base with a few edits; one that is beyond the limits is scaled down to them first."""
        if isinstance(self.space, FreeSpace):
            return super().draw(space, generator)
        drawn = self.space.draw(generator)
        scales = self.scales_within(drawn["base"])
        return drawn | scales[int(generator.integers(len(scales)))] if scales else drawn

    def scales_within(self, base: str) -> tuple[dict[str, Any], ...]:
        """Return the scales with which a base keeps within the limits; none where the smallest does not."""
        return _scales(_Key(self.space), _Key(self.evaluator), self.tier, base)

    def child(self, space: Space, parents: Sequence[Choices], generator: np.random.Generator) -> dict[str, Any]:
        """Return a parent, or two of one base crossed, with an edit more."""
        if isinstance(self.space, FreeSpace):
            return super().child(space, parents, generator)
        return self.space.child(parents, generator)

    def describe(self, choices: Choices) -> Description:
        """Return id and encoding of the architecture."""
        return _described(_Key(self.space), tuple(choices.items()))

    def price(self, choices: Choices) -> Cost | None:
        """Return the costs; None where the end cannot run the architecture or it cannot be built."""
        found = _priced(_Key(self.space), _Key(self.evaluator), self.tier, tuple(choices.items()))
        if found is None or self.relatives is None or choices.get("base") in self.relatives:
            return found
        return replace(found, features=(*found.features[:-1], 1.0))

    def training(self, features: Floats) -> Floats:
        """Return the arithmetic of trainings, [N]: of networks at the sizes at which they see images, and beside it.

        A free composition has no base to start from, a candidate of a base that is not trained yet neither: they are
        trained for a whole course.
        """
        return np.asarray(features[:, 2] * (features[:, 0] + MACS_BESIDE * self.space.image_size**2), np.float64)


class _Key:
    """Something without a hash of its own as a key; it is kept alive by nobody, and equal to itself alone."""

    def __init__(self, value: Any) -> None:
        self._reference, self._hash = weakref.ref(value), id(value)

    @property
    def value(self) -> Any:
        return self._reference()

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.value is other.value is not None


# NOTE: a proposal describes and prices all that is finished, which a search would else do again for every proposal.
@lru_cache(REMEMBERED)
def _described(space: _Key, choices: tuple[tuple[str, Any], ...]) -> Description:
    architecture = space.value.compose(dict(choices))
    return Description(architecture.id, tuple(space.value.encode(architecture)))


@lru_cache(REMEMBERED)
def _scales(space: _Key, evaluator: _Key, tier: Tier, base: str) -> tuple[dict[str, Any], ...]:
    def fits(choices: Choices) -> bool:
        cost = _priced(space, evaluator, tier, tuple(choices.items()))
        return cost is not None and cost.feasible

    return scales_within(space.value, base, fits)


@lru_cache(REMEMBERED)
def _priced(space: _Key, evaluator: _Key, tier: Tier, choices: tuple[tuple[str, Any], ...]) -> Cost | None:
    architecture = space.value.compose(dict(choices))
    course = 1.0 if dict(choices).get("base") == FREE else CHILD_SHARE
    if evaluator.value.refused(architecture, tier):
        return None
    try:
        costs = evaluator.value.costs(architecture)[tier]
    except ValueError:
        return None
    return Cost(
        objectives=(costs.latency_ms, float(in_steps(costs.memory_mib))),
        feasible=costs.feasible,
        features=(float(max(costs.macs, 1)), float(max(costs.parameters, 1)), course),
    )
