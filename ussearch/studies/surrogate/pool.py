"""Candidates to choose from: anything at random, and relatives of the best so far."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ussearch.studies.surrogate.columns import Space
from ussearch.studies.surrogate.pricing import Choices

OFFSPRING = 0.5
"""Share of the pool that descends from the front; the rest is drawn uniformly."""
MUTATIONS = 2.0
"""Choices that are drawn anew in a child, on average."""


def candidate_pool(
    space: Space, parents: Sequence[Choices], size: int, generator: np.random.Generator
) -> list[dict[str, Any]]:
    """Return up to ``size`` combinations of ``space``, each once; all of them where there are no more."""
    if combinations(space) <= size:
        return list(every_combination(space))
    related = round(OFFSPRING * size) if parents else 0
    drawn = [random_choices(space, generator) for _ in range(size - related)]
    drawn += [_child(space, parents, generator) for _ in range(related)]
    return list({tuple(choices.values()): choices for choices in drawn}.values())


def combinations(space: Space) -> int:
    """Return how many combinations there are."""
    return math.prod(len(values) for values in space.values())


def every_combination(space: Space) -> Iterator[dict[str, Any]]:
    """Yield every combination of choices."""
    for values in itertools.product(*space.values()):
        yield dict(zip(space, values, strict=True))


def random_choices(space: Space, generator: np.random.Generator) -> dict[str, Any]:
    """Return choices drawn with every value equally likely."""
    return {name: values[generator.integers(len(values))] for name, values in space.items()}


def _child(space: Space, parents: Sequence[Choices], generator: np.random.Generator) -> dict[str, Any]:
    """Return a child of two parents (perhaps the same) that takes each choice from either and redraws a few."""
    first, second = (parents[int(generator.integers(len(parents)))] for _ in range(2))
    redraw = min(MUTATIONS / len(space), 0.5)
    child = {}
    for name, values in space.items():
        child[name] = (first if generator.random() < 0.5 else second)[name]
        if generator.random() < redraw:
            child[name] = values[generator.integers(len(values))]
    return child
