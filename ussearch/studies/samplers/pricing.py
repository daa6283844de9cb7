"""What can be known of a candidate before it is trained; whoever makes a sampler may say how to find out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

Choices = Mapping[str, Any]
Space = Mapping[str, tuple[Any, ...]]
Floats = npt.NDArray[np.float64]
MUTATIONS = 2.0
"""Choices that are drawn anew in a child, on average."""


@dataclass(frozen=True)
class Description:
    """What is known of a candidate at once.

    ``identity`` is equal for choices that come to the same thing, such as an architecture's id; ``features`` are
    numbers of any scale, as many for every candidate, such as ``SearchSpace.encode``.
    """

    identity: str
    features: tuple[float, ...] = ()


@dataclass(frozen=True)
class Cost:
    """What a candidate costs, exactly.

    ``objectives`` are the study's objectives after the first, in order and in the units that the study is told;
    ``features`` further positive figures, as many for every candidate, such as multiply-accumulates. ``low_fidelity``
    is a cheap estimate of the first objective where there is one.
    """

    objectives: tuple[float, ...]
    feasible: bool
    features: tuple[float, ...] = ()
    low_fidelity: float | None = None


class Pricing:
    """Knows candidates before they are trained; what a subclass does not say is as little as any problem has.

    As it is nothing has a price: costs are then predicted from those of finished trials.
    """

    limits_only: bool = False
    """Whether costs are limits alone: then what counts is the first objective, not hypervolume."""
    priced: ClassVar[bool] = False
    """Whether ``price`` may be asked."""
    pool_size: ClassVar[int] = 384
    """Candidates that a proposal looks at; each is described."""
    shortlist: ClassVar[int] = 8
    """Candidates of the pool that are priced at a time, those that look best first."""
    probes: ClassVar[int] = 24
    """Random candidates that are priced to learn what choices cost; always the same, so that it is done once."""

    @property
    def choices(self) -> Space | None:
        """The values of every choice, where they are known before the first trial shows them."""
        return None

    def draw(self, space: Space, generator: np.random.Generator) -> dict[str, Any]:
        """Return a candidate by chance: every value of every choice equally likely."""
        return {name: values[generator.integers(len(values))] for name, values in space.items()}

    def child(self, space: Space, parents: Sequence[Choices], generator: np.random.Generator) -> dict[str, Any]:
        """Return a child of two parents (perhaps the same) that takes each choice from either and redraws a few."""
        first, second = (parents[int(generator.integers(len(parents)))] for _ in range(2))
        redraw = min(MUTATIONS / len(space), 0.5)
        child = {}
        for name, values in space.items():
            child[name] = (first if generator.random() < 0.5 else second)[name]
            if generator.random() < redraw:
                child[name] = values[generator.integers(len(values))]
        return child

    def describe(self, choices: Choices) -> Description:
        """Return what is known at once; called for every member of a pool, so a millisecond counts."""
        return Description(repr(sorted(choices.items())))

    def price(self, choices: Choices) -> Cost | None:
        """Return the exact costs, or None where the candidate cannot be had at all; called for a few."""
        raise NotImplementedError("there are no prices")

    def training(self, features: Floats) -> Floats:
        """Return what trainings cost relative to each other, [N], by the ``features`` of their prices, [N, K]."""
        return np.ones(len(features))
