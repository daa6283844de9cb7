"""How the ladder divides a budget: what it promises adds up, and more time never means less of anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ussearch.studies.allotment import (
    LEAST_SHARED_EPOCHS,
    MOST_TRIALS,
    TrialThroughput,
    allotment_within,
    search_trainings,
    usual_allotment,
)
from ussearch.studies.ladder import PROMOTED, SAMPLES

seconds = st.floats(0.5, 500)


paces = st.builds(TrialThroughput, seconds, st.integers(1, 100), st.integers(1, 8))


SAMPLED = SAMPLES + 2 * PROMOTED
"""Full trainings that a search by the ladder always does."""


@given(pace=paces, more=st.floats(1, 100), trials=st.none() | st.integers(SAMPLES, 100))
def test_a_budget_that_holds_the_least_is_kept(pace: TrialThroughput, more: float, trials: int | None) -> None:
    """Without a number of trials, shared weights get half of what the samples leave."""
    share = 2 if trials is None else 1
    least = search_trainings(trials or SAMPLES, 0, share * LEAST_SHARED_EPOCHS, pace) * more * (1 + 1e-9)
    made = allotment_within(least * pace.trial_seconds, pace, trials)
    assert search_trainings(made.trials, 0, made.shared_epochs, pace) <= least * (1 + 1e-9)


@given(pace=paces, times=st.floats(SAMPLED + 0.01, 2000), more=st.floats(1, 3))
def test_more_time_is_never_less(pace: TrialThroughput, times: float, more: float) -> None:
    one, other = (allotment_within(factor * pace.trial_seconds, pace) for factor in (times, times * more))
    assert SAMPLES <= one.trials <= other.trials <= MOST_TRIALS
    assert LEAST_SHARED_EPOCHS <= one.shared_epochs <= other.shared_epochs


@given(pace=paces, times=st.floats(1, SAMPLED - 0.01))
def test_a_budget_that_the_samples_use_up_buys_full_trials_only(pace: TrialThroughput, times: float) -> None:
    made = allotment_within(times * pace.trial_seconds, pace)
    assert made.trials in {max(2, int(times * (1 + error))) for error in (-1e-9, 0, 1e-9)}
    assert made.shared_epochs == LEAST_SHARED_EPOCHS


@given(pace=paces, times=st.floats(1, 2000), trials=st.integers(SAMPLES, 500))
def test_trials_that_were_asked_for_are_given_and_shared_weights_never_exceed_the_usual(
    pace: TrialThroughput, times: float, trials: int
) -> None:
    made = allotment_within(times * pace.trial_seconds, pace, trials)
    assert made.trials == trials
    assert made.shared_epochs <= usual_allotment(trials, pace.epochs).shared_epochs


def test_workers_do_not_train_the_shared_weights_faster() -> None:
    alone, helped = (TrialThroughput(10.0 / workers, 25, workers) for workers in (1, 4))
    assert alone.shared_epoch_seconds == pytest.approx(helped.shared_epoch_seconds)


def test_a_budget_below_the_samples_gives_too_few_trials() -> None:
    assert allotment_within(30.0, TrialThroughput(1.0, 10)).trials < SAMPLES


def test_without_a_budget_shared_weights_take_about_as_long_as_the_samples() -> None:
    made = usual_allotment(200, 25)
    full = search_trainings(200, 0, made.shared_epochs, TrialThroughput(1.0, 25)) - search_trainings(
        200, 0, 0, TrialThroughput(1.0, 25)
    )
    assert made.trials == 200 and full == pytest.approx(SAMPLES, rel=0.05)
