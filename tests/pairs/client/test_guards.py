"""Deadline, breaker, budgets and back-off on clocks and chance of the test's own."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ussearch.serving.client import BreakerRules, CircuitBreaker, Deadline, RetryBudget, TokenBucket
from ussearch.serving.client.guards import BASE_S, CAP_S, backoff_s


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_deadline_is_a_moment_and_not_a_sum() -> None:
    clock = Clock()
    deadline = Deadline.after(0.5, clock)
    clock.now_s += 0.2
    assert deadline.remaining_s == pytest.approx(0.3)
    clock.now_s += 0.4
    assert (deadline.remaining_s, deadline.expired) == (0.0, True)


def fail(breaker: CircuitBreaker, times: int = 1, seconds: float = 0.0, *, success: bool = False) -> None:
    for _ in range(times):
        permit = breaker.permit()
        assert permit is not None
        breaker.record(permit, success=success, seconds=seconds)


def test_the_circuit_opens_rests_and_closes_after_one_probe() -> None:
    clock = Clock()
    breaker = CircuitBreaker(BreakerRules(failures=5, rest_s=3), clock)
    fail(breaker, 4)
    assert breaker.state == "closed"
    fail(breaker)
    assert (breaker.state, breaker.permit()) == ("open", None)
    clock.now_s += 2.9
    assert breaker.permit() is None
    clock.now_s += 0.1
    probe = breaker.permit()
    assert probe is not None
    assert (breaker.state, breaker.permit()) == ("half-open", None)
    breaker.record(probe, success=True, seconds=0)
    assert breaker.state == "closed"
    fail(breaker, 4)
    assert breaker.state == "closed", "what was before the rest no longer counts"


def test_a_probe_that_fails_opens_again_and_one_that_was_not_made_gives_its_place_back() -> None:
    clock = Clock()
    breaker = CircuitBreaker(BreakerRules(failures=1, rest_s=3), clock)
    fail(breaker)
    clock.now_s += 3
    unused = breaker.permit()
    assert unused is not None
    breaker.forget(unused)
    fail(breaker)
    assert breaker.state == "open"
    clock.now_s += 2.9
    assert breaker.permit() is None


def test_slow_calls_count_as_failures_and_late_news_does_not_count() -> None:
    clock = Clock()
    breaker = CircuitBreaker(BreakerRules(failures=2, slow_s=0.4), clock)
    late = breaker.permit()
    assert late is not None
    fail(breaker, 2, seconds=0.5, success=True)
    assert breaker.state == "open"
    clock.now_s += 60
    assert breaker.state == "half-open"
    breaker.record(late, success=True, seconds=0)
    assert breaker.state == "half-open"


@given(st.lists(st.booleans(), max_size=60))
def test_the_circuit_is_open_exactly_when_five_of_the_last_ten_failed(outcomes: list[bool]) -> None:
    breaker = CircuitBreaker(BreakerRules(failures=5, window=10), Clock())
    for number, success in enumerate(outcomes):
        fail(breaker, success=success)
        if outcomes[max(0, number - 9) : number + 1].count(False) >= 5:
            assert breaker.permit() is None
            return
        assert breaker.state == "closed"


@given(st.lists(st.floats(0, 30), max_size=80), st.integers(1, 20), st.floats(0.5, 100))
def test_calls_never_exceed_burst_and_rate(pauses_s: list[float], burst: int, per_minute: float) -> None:
    clock = Clock()
    bucket = TokenBucket(per_minute, burst, clock)
    begun_s, made = clock.now_s, 0
    for pause_s in pauses_s:
        clock.now_s += pause_s
        made += bucket.take()
        assert made <= burst + (clock.now_s - begun_s) * per_minute / 60 + 1e-6


def test_without_a_rate_there_is_no_bound_and_an_empty_bucket_fills_again() -> None:
    assert all(TokenBucket(None).take() for _ in range(100))
    clock = Clock()
    bucket = TokenBucket(60, 2, clock)
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    clock.now_s += 1
    assert [bucket.take() for _ in range(2)] == [True, False]


@given(st.lists(st.booleans(), max_size=300))
def test_retries_are_at_most_a_tenth_of_the_calls(wishes: list[bool]) -> None:
    budget, retries = RetryBudget(), 0
    for calls, wish in enumerate(wishes, start=1):
        budget.earn()
        retries += wish and budget.take()
        assert retries <= calls / 10


def test_the_tenth_call_may_be_tried_again() -> None:
    budget = RetryBudget()
    for _ in range(10):
        assert not budget.take()
        budget.earn()
    assert budget.take()


def test_the_pause_grows_to_its_bound_and_is_drawn_from_all_of_it() -> None:
    chance = random.Random(0)
    for attempt in range(8):
        drawn = [backoff_s(attempt, chance) for _ in range(400)]
        top = min(CAP_S, BASE_S * 2**attempt)
        assert 0.97 * top < max(drawn) <= top
        assert min(drawn) < 0.03 * top
