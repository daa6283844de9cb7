"""How long the pair is trained, and from how many starts, within the time that is left for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ussearch.evaluators import Tier
from ussearch.pairs.delivery.selection import Pair
from ussearch.studies import Study


@dataclass(frozen=True)
class FinalLengths:
    """``epochs`` of every run; ``restarts`` from scratch besides the one that goes on from the search."""

    epochs: int
    restarts: int


def lengths_within(
    seconds: float, epoch_s: Sequence[float], workers: int, *, course: int, most: int, goes_on: bool = True
) -> FinalLengths:
    """Return the lengths of trainings that take ``seconds`` in all on so many ``workers``.

    Args:
        seconds: that are left.
        epoch_s: seconds of an epoch of each network.
        workers: how many run side by side.
        course: epochs of a base in the search; a start from scratch of less brings nothing.
        most: epochs, however much time is left.
        goes_on: whether networks go on from the search; else each starts from scratch, once.
    """
    once = int(seconds / makespan(epoch_s, workers))
    twice = int(seconds / makespan([*epoch_s, *epoch_s], workers))
    if not goes_on:
        return FinalLengths(max(1, min(once, most)), 1)
    if twice >= course:
        return FinalLengths(min(twice, most), 1)
    return FinalLengths(max(1, min(once, most)), 0)


def lengths_beside_router(
    seconds: float,
    router_s: float,
    epoch_s: Sequence[float],
    workers: int,
    *,
    folds: int,
    course: int,
    most: int,
    goes_on: bool = True,
) -> FinalLengths:
    """Return the lengths of trainings that take ``seconds``, and ``router_s`` besides where no router can use those.

    A learned router needs the pair trained without each of ``folds`` in turn, on all the others' images; the other
    arguments are those of ``lengths_within``.
    """
    found = lengths_within(seconds, epoch_s, workers, course=course, most=most, goes_on=goes_on)
    if (folds - 1) * found.epochs * makespan(epoch_s, workers) <= router_s:
        return found
    return lengths_within(seconds + router_s, epoch_s, workers, course=course, most=most, goes_on=goes_on)


def makespan(seconds: Sequence[float], workers: int) -> float:
    """Return how long jobs take on so many workers, the longest first, each on whoever is free first."""
    busy = [0.0] * max(1, workers)
    for job in sorted(seconds, reverse=True):
        busy[busy.index(min(busy))] += job
    return max(*busy, 1e-9)


def epoch_seconds(study: Study, pair: Pair) -> Mapping[Tier, float]:
    """Return how long an epoch of each end took in the search; an end that serves both is there once."""
    trials: dict[int, Tier] = {}
    tiers: tuple[tuple[Tier, int], ...] = (("edge", pair.edge.number), ("cloud", pair.cloud.number))
    for tier, trial_id in tiers:
        trials.setdefault(trial_id, tier)
    found = {tier: study.trial(trial_id).evaluation for trial_id, tier in trials.items()}
    return {tier: each.training_seconds / max(len(each.history), 1) for tier, each in found.items()}
