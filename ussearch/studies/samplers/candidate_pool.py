"""Candidates to choose from: anything at random, and relatives of the best so far."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ussearch.studies.samplers.pricing import Choices, Pricing, Space

OFFSPRING = 0.5
"""Share of the pool that descends from the front; the rest is drawn by chance."""


def candidate_pool(
    pricing: Pricing, space: Space, parents: Sequence[Choices], generator: np.random.Generator
) -> list[dict[str, Any]]:
    """Return up to ``pricing.pool_size`` candidates of ``space``, each once; all of them where there are no more."""
    size = pricing.pool_size
    if combinations(space) <= size:
        return list(every_combination(space))
    related = round(OFFSPRING * size) if parents else 0
    drawn = [pricing.draw(space, generator) for _ in range(size - related)]
    drawn += [pricing.child(space, parents, generator) for _ in range(related)]
    return list({tuple(choices.values()): choices for choices in drawn}.values())


def combinations(space: Space) -> int:
    """Return how many combinations there are."""
    return math.prod(len(values) for values in space.values())


def every_combination(space: Space) -> Iterator[dict[str, Any]]:
    """Yield every combination of choices."""
    for values in itertools.product(*space.values()):
        yield dict(zip(space, values, strict=True))
