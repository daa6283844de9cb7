"""The largest and the smallest architecture of each family of blocks, between which all others lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ussearch.search_spaces import Architecture, FreeSpace
from ussearch.search_spaces.free_space import role_of

SIZES = ("kernel", "depth", "expansion", "width", "stem_width", "decoder_ratio")
"""Roles of choices that are sizes; all others are drawn at random."""
SHRINKING = (1.0, 0.75, 0.5, 0.25, 0.0)
"""Where in the range of every size the largest network lies; the first that fits is taken."""

Fits = Callable[[Architecture], bool]


def families_of(space: FreeSpace) -> tuple[str, ...]:
    """Return the families of blocks that a space has, in the order in which it names them."""
    named = (value for name, values in space.choices.items() if role_of(name) == "family" for value in values)
    return tuple(dict.fromkeys(named))


def mixed(space: FreeSpace, generator: np.random.Generator) -> Architecture:
    """Return an architecture with every value of every choice equally likely."""
    return space.compose(_drawn(space, generator))


def smallest(space: FreeSpace, family: str, generator: np.random.Generator) -> Architecture:
    """Return the smallest architecture of a family; what is no size is drawn at random."""
    choices = _drawn(space, generator) | _of_family(space, family)
    return space.compose(choices | {name: values[0] for name, values in _sizes(space).items()})


def largest(space: FreeSpace, family: str, generator: np.random.Generator, fits: Fits) -> Architecture:
    """Return the largest architecture of a family that ``fits``; what is no size is drawn at random.

    Where the very largest does not fit, all sizes are lowered together, a quarter of their range at a time.
    """
    choices = _drawn(space, generator) | _of_family(space, family)
    architecture = space.compose(choices)
    for share in SHRINKING:
        sizes = {name: values[round(share * (len(values) - 1))] for name, values in _sizes(space).items()}
        architecture = space.compose(choices | sizes)
        if fits(architecture):
            break
    return architecture


def _drawn(space: FreeSpace, generator: np.random.Generator) -> dict[str, Any]:
    return {name: values[generator.integers(len(values))] for name, values in space.choices.items()}


def _sizes(space: FreeSpace) -> dict[str, list[Any]]:
    """Return the values of every size, smallest first."""
    return {name: sorted(values) for name, values in space.choices.items() if role_of(name) in SIZES}


def _of_family(space: FreeSpace, family: str) -> dict[str, str]:
    """Return the choice of one family for every stage that offers it."""
    return {name: family for name, values in space.choices.items() if role_of(name) == "family" and family in values}
