"""How the ladder divides a budget: what it promises adds up, and more time never means less of anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ussearch.studies.allotment import (
    LEAST_SHARED_EPOCHS,
    MOST_TRIALS,
    allotment_within,
    search_trainings,
    usual_allotment,
)
from ussearch.studies.ladder import SAMPLES

seconds = st.floats(0.5, 500)


@given(trial=seconds, times=st.floats(60, 2000), epochs=st.integers(1, 100))
def test_a_budget_is_kept(trial: float, times: float, epochs: int) -> None:
    made = allotment_within(times * trial, trial, epochs)
    if made.shared_epochs > LEAST_SHARED_EPOCHS:
        assert search_trainings(made.trials, 0, made.shared_epochs, epochs) <= times * (1 + 1e-9)


@given(trial=seconds, times=st.floats(1, 2000), more=st.floats(1, 3), epochs=st.integers(1, 100))
def test_more_time_is_never_less(trial: float, times: float, more: float, epochs: int) -> None:
    one, other = (allotment_within(factor * trial, trial, epochs) for factor in (times, times * more))
    assert other.trials >= one.trials or one.trials < SAMPLES
    assert other.shared_epochs >= one.shared_epochs
    assert other.trials <= MOST_TRIALS


def test_a_budget_below_the_samples_gives_too_few_trials() -> None:
    assert allotment_within(30.0, 1.0, 10).trials < SAMPLES


def test_without_a_budget_shared_weights_take_about_as_long_as_the_samples() -> None:
    made = usual_allotment(200, 25)
    full = search_trainings(200, 0, made.shared_epochs, 25) - search_trainings(200, 0, 0, 25)
    assert made.trials == 200 and full == pytest.approx(SAMPLES, rel=0.05)
