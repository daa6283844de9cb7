"""The race: samplers ask for points of the table; what counts is how many different ones they need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from optuna.samplers import BaseSampler

from enumerated.subspace import CHOICES
from ussearch.studies import hypervolume, non_dominated

Floats = npt.NDArray[np.float64]
MakeSampler = Callable[[int], BaseSampler]
TARGET = 0.95
MARGIN = 0.1
"""How far the reference point lies beyond the front, a usual choice (Ishibuchi et al. 2018)."""
MOST_ASKS = 20
"""A sampler that has asked for so many times the table's size, known points included, is given up."""


@dataclass(frozen=True)
class Table:
    """N points with losses (-Dice, latency) [N, 2] by each seed: samplers see ``seen``, ``scored`` judges them."""

    points: Sequence[dict[str, Any]]
    seen: Floats
    scored: Floats
    reference: Floats

    @cached_property
    def index(self) -> dict[tuple[Any, ...], int]:
        """Return the number of each point by its choices."""
        return {tuple(point.values()): number for number, point in enumerate(self.points)}

    def score(self, chosen: Sequence[int]) -> float:
        """Return the hypervolume, on ``scored``, of what is on the front of ``chosen`` on ``seen``."""
        numbers = np.asarray(chosen, np.int64)
        return self.volume(self.scored[numbers[non_dominated(self.seen[numbers])]])

    def volume(self, losses: Floats) -> float:
        """Return the hypervolume of losses [K, 2] below the reference."""
        flat = np.concatenate([losses, np.zeros((len(losses), 1))], axis=1)
        return hypervolume(flat, np.append(self.reference, 1.0))

    @cached_property
    def best(self) -> float:
        """Return the hypervolume of all points on ``scored``: nobody can do better."""
        return self.volume(self.scored)

    @cached_property
    def reachable(self) -> float:
        """Return the score of the whole table: what a search that trained everything on ``seen`` would deliver."""
        return self.score(range(len(self.points)))

    @cached_property
    def goal(self) -> float:
        """Return ``TARGET`` of the best hypervolume, or of the reachable one where the other is beyond everybody."""
        return TARGET * (self.best if self.reachable >= TARGET * self.best else self.reachable)

    def exchanged(self) -> Table:
        """Return the table with the two seeds in each other's place."""
        return Table(self.points, self.scored, self.seen, reference_point(self.seen))

    def from_nothing(self) -> Table:
        """Return the table with the reference at no Dice at all and the slowest point."""
        return replace(self, reference=np.array([0.0, self.seen[:, 1].max()]))


def reference_point(losses: Floats) -> Floats:
    """Return the point [2] that lies ``MARGIN`` of the front's range beyond its worst in each objective."""
    front = losses[non_dominated(losses)]
    return np.asarray(front.max(axis=0) + MARGIN * np.ptp(front, axis=0), np.float64)


@dataclass(frozen=True)
class Run:
    """One search: the points in the order in which they were trained, and the score after each."""

    order: tuple[int, ...]
    scores: tuple[float, ...]
    needed: int
    """Trainings until the target; the table's size where the search never got there."""
    reached: bool


def run(table: Table, make_sampler: MakeSampler, seed: int) -> Run:
    """Search the table until the score reaches its goal, or until nothing is left to train."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=make_sampler(seed))
    order: list[int] = []
    scores: list[float] = []
    for _ in range(MOST_ASKS * len(table.points)):
        trial = study.ask()
        number = table.index[tuple(trial.suggest_categorical(name, values) for name, values in CHOICES.items())]
        study.tell(trial, [-table.seen[number, 0], table.seen[number, 1]])
        if number in order:
            continue
        order.append(number)
        scores.append(table.score(order))
        if scores[-1] >= table.goal:
            return Run(tuple(order), tuple(scores), len(order), reached=True)
        if len(order) == len(table.points):
            break
    return Run(tuple(order), tuple(scores), len(table.points), reached=False)
