"""Candidates by chance: a base with a few edits, and relatives of candidates that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ussearch.search_spaces.architecture import Architecture
from ussearch.search_spaces.edits.choices import EDITS, neutral

Choices = Mapping[str, Any]
MEAN_EDITS = 3.0
"""Of a candidate that is drawn; an edit more changes what the network is, many leave nothing of its base."""
MUTATION = 0.5
"""Chance that a child of two parents differs from both by one more change; the chance of a second is its square."""


def meaningful(base: Architecture) -> tuple[str, ...]:
    """Return the names of the edits that a base has stages and levels for, in order."""
    numbers = {"": 0, "stage": len(base.stages), "level": len(base.decoder)}
    return tuple(name for edit in EDITS for name in (edit.names[: numbers[edit.each]] if edit.each else edit.names))


def few_edits(
    names: Sequence[str], values: Mapping[str, Sequence[Any]], generator: np.random.Generator
) -> dict[str, Any]:
    """Return at least one edit out of ``names``, about ``MEAN_EDITS`` of them, none at its neutral value."""
    changeable = [name for name in names if len(values[name]) > 1]
    count = min(int(generator.geometric(1 / MEAN_EDITS)), len(changeable))
    chosen = generator.choice(len(changeable), size=count, replace=False)
    return {changeable[at]: _other(values[changeable[at]], neutral()[changeable[at]], generator) for at in chosen}


def mutated(
    choices: Choices, names: Sequence[str], values: Mapping[str, Sequence[Any]], generator: np.random.Generator
) -> dict[str, Any]:
    """Return choices with one of ``names`` changed, and perhaps more."""
    made = dict(choices)
    changeable = [name for name in names if len(values[name]) > 1]
    while True:
        name = changeable[int(generator.integers(len(changeable)))]
        made[name] = _other(values[name], made[name], generator)
        if generator.random() >= MUTATION:
            return made


def crossed(first: Choices, second: Choices, generator: np.random.Generator) -> dict[str, Any]:
    """Return choices that take each value from either of two parents."""
    return {name: (first if generator.random() < 0.5 else second)[name] for name in first}


def _other(values: Sequence[Any], than: Any, generator: np.random.Generator) -> Any:
    """Return one of ``values`` that is not ``than``."""
    left = [value for value in values if value != than]
    return left[int(generator.integers(len(left)))]
