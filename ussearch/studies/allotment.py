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
class BudgetSplit:
    """``trials`` of the search in all, its presets included, and the epochs of the shared weights' training."""

    trials: int
    shared_epochs: int


@dataclass(frozen=True)
class TrialThroughput:
    """``side_by_side`` full trials of ``epochs`` run at once, so that one ends every ``trial_seconds``."""

    trial_seconds: float
    epochs: int
    side_by_side: int = 1

    @property
    def shared_epoch_seconds(self) -> float:
        """How long an epoch of the shared weights takes: one process trains them, however many workers there are."""
        return self.trial_seconds * self.side_by_side * SANDWICH_COST / self.epochs


def usual_allotment(trials: int, epochs: int) -> BudgetSplit:
    """Return what is done without a budget: shared weights take about as long as the samples do on one worker."""
    return BudgetSplit(trials, max(LEAST_SHARED_EPOCHS, round(SAMPLES * epochs / SANDWICH_COST)))


def allotment_within(budget_seconds: float, pace: TrialThroughput, trials: int | None = None) -> BudgetSplit:
    """Return what a search of ``budget_seconds`` can do, with as many ``trials`` as asked for if they are given.

    What the samples and the promoted leave goes to the shared weights and to candidates in equal parts; with
    ``trials``, to the shared weights whatever those candidates do not take, up to the usual. Where the samples leave
    nothing, there are too few trials to measure trust on, which the plan refuses.
    """
    left = budget_seconds - (SAMPLES + 2 * PROMOTED) * pace.trial_seconds
    if trials is not None:
        usual = usual_allotment(trials, pace.epochs).shared_epochs
        judging = RUNG_COST * pace.trial_seconds * max(trials - SAMPLES, 0)
        affordable = int((left - judging) / pace.shared_epoch_seconds)
        return BudgetSplit(trials, max(LEAST_SHARED_EPOCHS, min(usual, affordable)))
    if left <= 0:
        return BudgetSplit(max(2, int(budget_seconds / pace.trial_seconds)), LEAST_SHARED_EPOCHS)
    candidates = int(left / 2 / (RUNG_COST * pace.trial_seconds))
    shared_epochs = int(left / 2 / pace.shared_epoch_seconds)
    return BudgetSplit(min(SAMPLES + candidates, MOST_TRIALS), max(LEAST_SHARED_EPOCHS, shared_epochs))


def search_trainings(trials: int, seeds: int, shared_epochs: int, pace: TrialThroughput) -> float:
    """Return how many full trials a search by the ladder takes as long as, where its cheapest rungs are trusted."""
    judged = max(trials - seeds - SAMPLES, 0)
    shared = shared_epochs * pace.shared_epoch_seconds / pace.trial_seconds
    return seeds + SAMPLES + 2 * PROMOTED + shared + RUNG_COST * judged
