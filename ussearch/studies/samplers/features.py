"""Choices and costs as columns of numbers for regressors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from ussearch.studies.samplers.pricing import Choices, Space

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Features:
    """A matrix [N, D] for N candidates and, by number, the group that each column belongs to."""

    values: Floats
    groups: npt.NDArray[np.int64]

    @classmethod
    def beside(cls, blocks: Sequence[Floats]) -> Features:
        """Return blocks [N, D_g] side by side, each one a group; empty blocks are left out."""
        filled = [block for block in blocks if block.shape[1]]
        groups = [np.full(block.shape[1], number) for number, block in enumerate(filled)]
        return cls(np.concatenate(filled, axis=1), np.concatenate(groups))

    def rows(self, chosen: slice) -> Features:
        """Return the same columns of some candidates."""
        return Features(self.values[chosen], self.groups)


def choice_blocks(candidates: Sequence[Choices], space: Space) -> list[Floats]:
    """Return one block for each choice: its rank from 0 to 1 where the values are numbers, else one column a value.

    Two different values without order are at distance 1.
    """
    blocks = []
    for name, values in space.items():
        numbers = np.array([values.index(candidate[name]) for candidate in candidates])
        if _ordered(values):
            ranks = np.argsort(np.argsort(np.array(values, np.float64)))
            blocks.append(ranks[numbers][:, None] / max(len(values) - 1, 1))
        else:
            blocks.append(np.eye(len(values))[numbers] / 2**0.5)
    return blocks


def standardised(block: Floats, like: Floats) -> Floats:
    """Return ``block`` without the mean and spread of ``like``, shrunk so that its columns together weigh like one.

    Columns that do not vary in ``like`` are left out.
    """
    spread = like.std(axis=0)
    kept = spread > 1e-9 * (1 + np.abs(like).max(axis=0))
    scaled = (block[:, kept] - like[:, kept].mean(axis=0)) / spread[kept]
    return np.asarray(scaled / max(kept.sum(), 1) ** 0.5, np.float64)


def _ordered(values: Sequence[Any]) -> bool:
    return all(isinstance(value, Real) for value in values)
