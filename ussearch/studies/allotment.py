"""How a search by the ladder divides its time between samples, shared weights and candidates."""

from __future__ import annotations

from dataclasses import dataclass

from ussearch.studies.ladder import PROMOTED, SAMPLES

SANDWICH_COST = 20.0
"""A sandwich step in steps of a typical network: three networks, the largest of a family among them
(``docs/results/ladder.md``)."""
RUNG_COST = 0.1
"""Judging a candidate on a rung, in full trainings: the rungs take a fortieth to an eighth of one."""
LEAST_SHARED_EPOCHS = 2
MOST_TRIALS = 1000


@dataclass(frozen=True)
class Allotment:
    """``trials`` of the search in all, its presets included, and the epochs of the shared weights' training."""

    trials: int
    shared_epochs: int


def usual_allotment(trials: int, epochs: int) -> Allotment:
    """Return what is done without a budget: shared weights take about as long as the samples do."""
    return Allotment(trials, max(LEAST_SHARED_EPOCHS, round(SAMPLES * epochs / SANDWICH_COST)))


def allotment_within(budget_seconds: float, trial_seconds: float, epochs: int) -> Allotment:
    """Return what a search of ``budget_seconds`` can do, where a full trial of ``epochs`` takes ``trial_seconds``.

    What the samples and the promoted leave goes to the shared weights and to candidates in equal parts. Where it leaves
    nothing, there are too few trials to measure trust on, which the plan refuses.
    """
    left = budget_seconds - (SAMPLES + 2 * PROMOTED) * trial_seconds
    if left <= 0:
        return Allotment(max(2, int(budget_seconds / trial_seconds)), LEAST_SHARED_EPOCHS)
    shared_epochs = int(left / 2 / (SANDWICH_COST * trial_seconds / epochs))
    candidates = int(left / 2 / (RUNG_COST * trial_seconds))
    return Allotment(min(SAMPLES + candidates, MOST_TRIALS), max(LEAST_SHARED_EPOCHS, shared_epochs))


def search_trainings(trials: int, seeds: int, shared_epochs: int, epochs: int) -> float:
    """Return how many full trainings a search by the ladder takes as long as, where its cheapest rungs are trusted."""
    judged = max(trials - seeds - SAMPLES, 0)
    return seeds + SAMPLES + 2 * PROMOTED + shared_epochs * SANDWICH_COST / epochs + RUNG_COST * judged
