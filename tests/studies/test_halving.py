"""Successive halving: what is promoted, in which order, and that nothing but the candidates' own figures decides."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ussearch.errors import UserError
from ussearch.studies.halving import Decisions, Halving, Reached, best_rows, decide

LENGTHS = (2, 6, 18)


def state(
    selections: list[float],
    latency_ms: float = 10.0,
    memory_mib: float = 600.0,
    tier: str = "edge",
    ended: bool = False,
) -> Reached:
    return Reached(tier, tuple(selections), latency_ms, memory_mib, ended)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("full", "eta", "rungs", "expected"),
    [
        (27, 3, 3, (3, 9, 27)),
        (25, 3, 3, (3, 8, 25)),
        (2, 3, 3, (1, 2)),
        (100, 4, 2, (25, 100)),
        (16, 2, 4, (2, 4, 8, 16)),
    ],
)
def test_rungs_are_shares_of_one_course(full: int, eta: int, rungs: int, expected: tuple[int, ...]) -> None:
    assert Halving(eta=eta, rungs=rungs).epochs(full) == expected
    assert Halving(eta=eta, rungs=rungs).bracket == eta ** (rungs - 1)


def test_a_course_of_one_epoch_cannot_be_halved() -> None:
    with pytest.raises(UserError, match="at least 2 epochs"):
        Halving().epochs(1)


def brute_force_layer(losses: np.ndarray) -> set[int]:
    """Return the rows that no other row dominates, one pair at a time."""
    return {
        row
        for row in range(len(losses))
        if not any(
            (losses[other] <= losses[row]).all() and (losses[other] < losses[row]).any() for other in range(len(losses))
        )
    }


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.integers(1, 14), count=st.integers(1, 14))
def test_layers_come_before_what_they_dominate(seed: int, rows: int, count: int) -> None:
    random = np.random.default_rng(seed)
    # NOTE: memory in steps far above the 2 % within which it counts as equal.
    losses = np.column_stack([-random.random(rows), random.random(rows) * 50, 100.0 * 2 ** random.integers(1, 5, rows)])
    chosen = best_rows(losses, count)
    assert chosen == sorted(set(chosen)) and len(chosen) == min(rows, count)
    first = brute_force_layer(losses)
    assert set(chosen) <= first if count <= len(first) else first <= set(chosen)


def test_ties_of_one_layer_keep_the_subset_with_the_largest_hypervolume() -> None:
    """Two dimensions, so that areas can be summed by hand; memory is the same for all."""
    quality, latency = [0.1, 0.5, 0.52, 0.9], [1.0, 5.0, 5.5, 9.0]
    losses = np.column_stack([-np.array(quality), latency, np.full(4, 600.0)])

    def area(rows: tuple[int, ...]) -> float:
        x = [(0.9 - quality[row]) / 0.8 for row in rows]
        y = [(latency[row] - 1) / 8 for row in rows]
        grid = np.linspace(0, 1.1, 1101)
        covered = np.zeros((len(grid), len(grid)), bool)
        for a, b in zip(x, y, strict=True):
            covered |= (grid[:, None] >= a) & (grid[None, :] >= b)
        return float(covered.mean())

    best = max(itertools.combinations(range(4), 3), key=area)
    assert best_rows(losses, 3) == list(best)


def test_equal_candidates_give_way_to_the_earlier() -> None:
    losses = np.tile([-0.5, 10.0, 600.0], (4, 1))
    assert best_rows(losses, 2) == [0, 1]


def test_everyone_is_trained_to_the_first_rung() -> None:
    decisions = decide({4: None, 5: state([0.1]), 6: state([0.1, 0.2])}, LENGTHS, 3)
    assert decisions == Decisions({4: 2, 5: 2}, frozenset())


def test_only_a_complete_rung_promotes_and_the_others_stop() -> None:
    bracket: dict[int, Reached | None] = {trial_id: state([0.0, trial_id / 10]) for trial_id in range(9)}
    assert decide(bracket, LENGTHS, 3) == Decisions({6: 6, 7: 6, 8: 6}, frozenset(range(6)))
    bracket |= {6: state([0.0, 0.6, 0.9, 0.9, 0.9, 0.9]), 7: state([0.0] * 6), 8: None}
    assert decide(bracket, LENGTHS, 3).train == {8: 2}


def test_the_best_of_the_last_but_one_rung_is_trained_in_full() -> None:
    bracket: dict[int, Reached | None] = {trial_id: state([0.0, trial_id / 10]) for trial_id in range(9)}
    for trial_id, objective in ((6, 0.9), (7, 0.8), (8, 0.85)):
        bracket[trial_id] = state([0.0, trial_id / 10, *[objective] * 4])
    assert decide(bracket, LENGTHS, 3) == Decisions({6: 18}, frozenset(set(range(9)) - {6}))
    bracket[6] = state([0.0, 0.6, *[0.9] * 16], ended=True)
    assert decide(bracket, LENGTHS, 3) == Decisions({}, frozenset(set(range(9)) - {6}))


def test_later_epochs_do_not_change_what_an_earlier_rung_decided() -> None:
    """A killed study finds some candidates further than the rung; it must decide as it did before."""
    bracket: dict[int, Reached | None] = {trial_id: state([0.0, trial_id / 10]) for trial_id in range(9)}
    promoted = set(decide(bracket, LENGTHS, 3).train)
    bracket[6] = state([0.0, 0.6, 0.0, 0.0])
    assert set(decide(bracket, LENGTHS, 3).train) == promoted


def test_failed_candidates_are_never_promoted() -> None:
    bracket: dict[int, Reached | None] = {trial_id: state([], ended=True) for trial_id in range(8)} | {
        8: state([0.1, 0.1])
    }
    assert decide(bracket, LENGTHS, 3) == Decisions({8: 6}, frozenset())
    assert decide({0: state([], ended=True)}, LENGTHS, 3) == Decisions({}, frozenset())


def test_each_end_has_its_share() -> None:
    """Candidates for the cloud are better everywhere in Dice and slower on the device; the device keeps its own."""
    bracket: dict[int, Reached | None] = {
        trial_id: state([0.5, 0.5 + trial_id / 100], 10.0 + trial_id, tier="cloud" if trial_id % 2 else "edge")
        for trial_id in range(9)
    }
    promoted = set(decide(bracket, LENGTHS, 3).train)
    assert sum(trial_id % 2 == 0 for trial_id in promoted) == 2 and sum(trial_id % 2 for trial_id in promoted) == 1


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_bracket_always_ends_and_never_depends_on_the_order_of_results(seed: int) -> None:
    random = np.random.default_rng(seed)
    courses = {trial_id: np.maximum.accumulate(random.random(18)) for trial_id in range(9)}
    latencies = {trial_id: float(latency) for trial_id, latency in enumerate(random.random(9))}

    def run(order: np.random.Generator) -> tuple[dict[int, int], frozenset[int]]:
        reached: dict[int, Reached | None] = dict.fromkeys(range(9))
        while (decisions := decide(reached, LENGTHS, 3)).train:
            trial_id = int(order.choice(sorted(decisions.train)))
            epochs = decisions.train[trial_id]
            done = [float(value) for value in courses[trial_id][:epochs]]
            reached[trial_id] = state(done, latencies[trial_id], ended=epochs == 18)
        return {trial_id: len(each.selections) for trial_id, each in reached.items() if each}, decisions.stop

    one, other = run(np.random.default_rng(1)), run(np.random.default_rng(2))
    assert one == other
    assert sorted(one[0].values()) == [2] * 6 + [6] * 2 + [18]
