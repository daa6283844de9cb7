"""How long the pair is trained, and from how many starts, within the time that is left for it."""

from __future__ import annotations

from collections.abc import Mapping

from ussearch.evaluators import Tier
from ussearch.pairs.delivery.selection import Pair
from ussearch.studies import FullLength, Study

Seconds = Mapping[Tier, float]


def lengths_within(
    seconds: float, epoch_s: Seconds, workers: int, *, course: int, most: int, goes_on: bool = True
) -> dict[Tier, FullLength]:
    """Return the lengths of trainings that take ``seconds`` in all on so many ``workers``.

    Both ends have as much time: a light network is trained for more epochs than a heavy one, or from a random start
    besides, instead of waiting for it.

    Args:
        seconds: that are left.
        epoch_s: seconds of an epoch of each network; an end that serves both is there once.
        workers: how many run side by side.
        course: epochs of a base in the search; a start from scratch of less brings nothing.
        most: epochs, however much time is left.
        goes_on: whether networks go on from the search; else each starts from scratch, once.
    """
    own_s = seconds if workers >= len(epoch_s) else seconds / len(epoch_s)
    apart = max(1, workers // len(epoch_s))

    def length(epoch_s: float) -> FullLength:
        once, twice = int(own_s / max(epoch_s, 1e-9)), int(own_s * min(apart, 2) / max(2 * epoch_s, 1e-9))
        if goes_on and twice >= course:
            return FullLength(epochs=min(twice, most), restarts=1)
        return FullLength(epochs=max(1, min(once, most)), restarts=0 if goes_on else 1)

    return {tier: length(each) for tier, each in epoch_s.items()}


def router_fits(
    lengths: Mapping[Tier, FullLength], epoch_s: Seconds, workers: int, folds: int, router_s: float
) -> bool:
    """Return whether a router can be learnt in ``router_s`` from a pair that is trained for so long.

    It needs both networks trained without each of ``folds`` in turn, on all the others' images.
    """
    once_s = [lengths[tier].epochs * each for tier, each in epoch_s.items()]
    return (folds - 1) * (max(once_s) if workers > 1 else sum(once_s)) <= router_s


def epoch_seconds(study: Study, pair: Pair) -> Seconds:
    """Return how long an epoch of each end took in the search; an end that serves both is there once, as the edge."""
    trials: dict[int, Tier] = {}
    tiers: tuple[tuple[Tier, int], ...] = (("edge", pair.edge.number), ("cloud", pair.cloud.number))
    for tier, trial_id in tiers:
        trials.setdefault(trial_id, tier)
    found = {tier: study.trial(trial_id).evaluation for trial_id, tier in trials.items()}
    return {tier: each.training_seconds / max(len(each.history), 1) for tier, each in found.items()}
