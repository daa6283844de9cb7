"""What is trained at full length: an architecture, from which starts and with which seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import Tensor

from ussearch.errors import UserError
from ussearch.evaluators import EpochRecord
from ussearch.evaluators.checkpoints import digest_of
from ussearch.search_spaces import Architecture

Start = Literal["scratch", "drawn"]
InitialWeights = Callable[[Architecture], Mapping[str, Tensor] | None]
"""Weights to start from besides random ones, such as those drawn from shared weights; None where there are none."""


@dataclass(frozen=True)
class Attempt:
    """One of the trainings, ``number`` (from 1) ``of`` all."""

    start: Start
    seed: int
    number: int
    of: int
    initial: Mapping[str, Tensor] | None = None

    @property
    def title(self) -> str:
        """What tells it from the others, in words; empty where there are no others."""
        start = " from drawn weights" if self.start == "drawn" else ""
        return "" if self.of == 1 else f"training {self.number} of {self.of}{start}"

    @property
    def key(self) -> dict[str, Any]:
        """Everything that distinguishes it, as JSON-ready data."""
        return {"start": self.start, "seed": self.seed, "weights": digest_of(self.initial) if self.initial else None}


@dataclass(frozen=True)
class Course:
    """An architecture to be trained at full length from ``seeds`` random starts, the first with ``seed``.

    Where ``initial`` has weights for the architecture, each seed is also trained from them. All of it lies in
    ``folder``.
    """

    folder: Path
    architecture: Architecture
    seed: int
    seeds: int = 1
    initial: InitialWeights | None = None

    @cached_property
    def attempts(self) -> tuple[Attempt, ...]:
        """Its trainings, in the order in which they are tried."""
        drawn = None if self.initial is None else self.initial(self.architecture)
        starts: dict[Start, Mapping[str, Tensor] | None] = {"scratch": None}
        if drawn is not None:
            starts["drawn"] = drawn
        pairs = [(number, start) for number in range(self.seeds) for start in starts]
        return tuple(
            Attempt(start, _seed_of(self.seed, number), position, len(pairs), starts[start])
            for position, (number, start) in enumerate(pairs, 1)
        )


OnCourseEpoch = Callable[[Course, Attempt, EpochRecord], None]


class FullTrainingFailed(UserError):
    """No attempt of ``course`` ended well; choose another architecture."""

    def __init__(self, reason: str, course: Course) -> None:
        super().__init__(reason)
        self.course = course


def _seed_of(seed: int, number: int) -> int:
    """Return ``seed`` for the first training, others derived from it for those after it."""
    return seed if number == 0 else int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)
