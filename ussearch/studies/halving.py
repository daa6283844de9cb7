"""Multi-objective successive halving: which candidates of a rung are worth more training.

As in MO-ASHA (Schmucker et al., Multi-objective Asynchronous Successive Halving, 2021), but a rung is complete before
anyone is promoted: what is promoted never depends on which worker was faster, so that a study can be repeated and
resumed. Everything here is a pure function of what the candidates have reached.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ussearch.errors import UserError
from ussearch.evaluators import Evaluation, Tier
from ussearch.evaluators.evaluation import standing
from ussearch.studies.front import Floats, distinguished, hypervolume, non_dominated

BEYOND = 1.1
"""Reference point of hypervolume contributions, in ranges of the layer that is cut: the ends of a layer count too."""


class Halving(BaseModel):
    """How brackets are trained: to ``rungs`` lengths, each ``eta`` times the last and for 1/``eta`` of those there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    eta: int = Field(default=3, ge=2)
    rungs: int = Field(default=3, ge=2)

    @property
    def bracket(self) -> int:
        """How many candidates start together, so that one of them is trained in full."""
        return int(self.eta ** (self.rungs - 1))

    def epochs(self, full: int) -> tuple[int, ...]:
        """Return the lengths of the rungs of a course of ``full`` epochs, such as 3, 10, 30.

        Raises UserError where the course is too short for two different lengths.
        """
        lengths = sorted({max(1, round(full / self.eta**power)) for power in range(self.rungs)})
        if len(lengths) < 2:
            raise UserError(f"Successive halving needs trainings of at least 2 epochs, not {full}: raise --epochs.")
        return tuple(lengths)

    def share(self, full: int) -> float:
        """Return the share of its full course that a candidate is trained on average."""
        lengths = self.epochs(full)
        steps = [later - earlier for earlier, later in zip((0, *lengths), lengths, strict=False)]
        return float(sum(step / self.eta**rung for rung, step in enumerate(steps)) / full)


@dataclass(frozen=True)
class Reached:
    """How far a candidate has come: ``selections`` has the best validation objective up to each epoch.

    ``ended`` where it cannot be trained on: it failed (then there are no selections), or its course is complete.
    """

    tier: Tier
    selections: tuple[float, ...]
    latency_ms: float
    memory_mib: float
    ended: bool

    @classmethod
    def of(cls, evaluation: Evaluation, tier: Tier) -> Reached:
        """Return what an evaluation of a candidate of ``tier`` says."""
        costs = evaluation.costs[tier]
        failed = evaluation.failure is not None
        selections = () if failed else _best_so_far(evaluation)
        ended = failed or standing(evaluation.fidelity) == 1
        return cls(tier, selections, costs.latency_ms, costs.memory_mib, ended)

    def has_reached(self, epochs: int) -> bool:
        """Return whether a rung of ``epochs`` is behind it."""
        return self.ended or len(self.selections) >= epochs

    def losses_at(self, epochs: int) -> tuple[float, float, float]:
        """Return (-objective, latency, memory) as they were after ``epochs``."""
        return -self.selections[:epochs][-1], self.latency_ms, self.memory_mib


@dataclass(frozen=True)
class Decisions:
    """What to do with a bracket: train some to an epoch, stop others for good."""

    train: Mapping[int, int]
    stop: frozenset[int]


def decide(reached: Mapping[int, Reached | None], lengths: Sequence[int], eta: int) -> Decisions:
    """Return what is to be done next with a bracket, given what each slot has reached (None: nothing yet).

    Slots that are neither to be trained nor to be stopped have ended.
    """
    alive = sorted(reached)
    stopped: set[int] = set()
    for length in lengths:
        waiting = [
            trial_id for trial_id in alive if (state := reached[trial_id]) is None or not state.has_reached(length)
        ]
        if waiting:
            return Decisions(dict.fromkeys(waiting, length), frozenset(stopped))
        states = {trial_id: state for trial_id in alive if (state := reached[trial_id]) is not None}
        if length != lengths[-1]:
            promoted = promote(states, length, eta)
            stopped |= {trial_id for trial_id in alive if trial_id not in promoted and not states[trial_id].ended}
            alive = sorted(promoted)
    return Decisions({}, frozenset(stopped))


def promote(states: Mapping[int, Reached], epochs: int, eta: int) -> set[int]:
    """Return the slots that are trained on: of those drawn for each end 1/``eta``, at least one; failed ones never."""
    chosen: set[int] = set()
    for tier in ("edge", "cloud"):
        trial_ids = [trial_id for trial_id, state in sorted(states.items()) if state.tier == tier and state.selections]
        drawn = sum(state.tier == tier for state in states.values())
        losses = np.array([states[trial_id].losses_at(epochs) for trial_id in trial_ids]).reshape(-1, 3)
        chosen |= {trial_ids[row] for row in best_rows(losses, max(1, round(drawn / eta)))}
    return chosen


def best_rows(losses: Floats, count: int) -> list[int]:
    """Return ``count`` rows of ``losses`` [N, 3] (all minimised), in ascending order; all where there are fewer.

    Non-dominated layers are taken whole, best first. From the layer that does not fit, the row that contributes least
    hypervolume is dropped until it does; among equal ones the later row.
    """
    taken: list[int] = []
    remaining = list(range(len(losses)))
    while remaining and len(taken) < count:
        mask = non_dominated(distinguished(losses[remaining]))
        layer = [row for row, kept in zip(remaining, mask, strict=True) if kept]
        remaining = [row for row in remaining if row not in layer]
        while len(layer) > count - len(taken):
            layer.remove(_least_contributor(losses, layer))
        taken += layer
    return sorted(taken)


def _least_contributor(losses: Floats, layer: Sequence[int]) -> int:
    """Return the row without which the hypervolume of a layer, scaled to its own range, shrinks least."""
    points = losses[list(layer)]
    span = np.ptp(points, axis=0)
    scaled = (points - points.min(axis=0)) / np.where(span > 0, span, 1.0)
    reference = np.full(3, BEYOND)
    without = [hypervolume(np.delete(scaled, position, axis=0), reference) for position in range(len(layer))]
    largest = max(without)
    return max(row for row, volume in zip(layer, without, strict=True) if np.isclose(volume, largest, rtol=1e-12))


def _best_so_far(evaluation: Evaluation) -> tuple[float, ...]:
    """Return after each epoch the objective of the weights that training would end with (see ``training.train``)."""
    found: list[float] = []
    best: float | None = None
    for record in evaluation.history:
        if record.schedule == 1.0:
            best = record.objective if best is None else max(best, record.objective)
        found.append(record.objective if best is None else best)
    return tuple(found)
