"""What can be known of a candidate before it is trained; whoever makes a sampler may say how to find out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Choices = Mapping[str, Any]


@dataclass(frozen=True)
class Description:
    """What is known of a candidate at once.

    ``identity`` is equal for choices that come to the same thing, such as an architecture's id; ``features`` are
    numbers of any scale, as many for every candidate, such as ``FreeSpace.encode``.
    """

    identity: str
    features: tuple[float, ...] = ()


@dataclass(frozen=True)
class Offer:
    """What a candidate would cost, exactly.

    ``costs`` are the study's objectives after the first, in order and in the units that the study is told;
    ``features`` further positive figures, as many for every candidate, such as multiply-accumulates. ``low_fidelity``
    is a cheap estimate of the first objective where there is one.
    """

    costs: tuple[float, ...]
    feasible: bool
    features: tuple[float, ...] = ()
    low_fidelity: float | None = None


class Pricing(Protocol):
    """Knows candidates before they are trained."""

    def describe(self, choices: Choices) -> Description:
        """Return what is known at once; called for every member of a pool, so a millisecond counts."""

    def price(self, choices: Choices) -> Offer | None:
        """Return the exact costs, or None where the candidate cannot be had at all; called for a few."""


class NoPricing:
    """Nothing is known but the choices themselves; costs are then predicted from those of finished trials."""

    def describe(self, choices: Choices) -> Description:
        """Return the choices as identity."""
        return Description(repr(sorted(choices.items())))

    def price(self, choices: Choices) -> Offer | None:
        """Never called for candidates, because nothing would be learnt."""
        raise NotImplementedError("there are no prices")
