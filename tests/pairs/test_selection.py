from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ussearch.errors import UserError
from ussearch.pairs import PairCandidate, select_pair


def candidate(number: int, dice: float | None, latency_ms: float = 10.0, **changes: object) -> PairCandidate:
    values: dict[str, object] = {"false_positive_rate": None, "memory_mib": 100.0}
    values |= {"edge_feasible": True, "cloud_feasible": True, **changes}
    return PairCandidate(number, dice, latency_ms=latency_ms, **values)  # type: ignore[arg-type]


def test_each_end_gets_the_best_within_its_limits() -> None:
    small, large, huge = (
        candidate(0, 0.7),
        candidate(1, 0.8, edge_feasible=False),
        candidate(2, 0.9, edge_feasible=False),
    )
    pair = select_pair([small, large, candidate(3, 0.95, edge_feasible=False, cloud_feasible=False), huge])
    assert (pair.edge.number, pair.cloud.number) == (0, 2)


def test_among_equal_scores_the_faster_wins_and_then_the_earlier() -> None:
    equal = [candidate(3, 0.8, 5), candidate(1, 0.8, 5), candidate(0, 0.8, 9), candidate(2, 0.7999, 1)]
    assert select_pair(equal).edge.number == 1


def test_false_positives_cost_the_share_of_empty_images() -> None:
    careless = candidate(0, 0.85, false_positive_rate=1.0, empty_share=0.2)
    careful = candidate(1, 0.70, false_positive_rate=0.1, empty_share=0.2)
    assert select_pair([careless, careful]).edge.number == 1


def test_failed_trials_are_never_chosen() -> None:
    assert select_pair([candidate(0, None), candidate(1, 0.0)]).edge.number == 1
    with pytest.raises(UserError, match=r"No candidate fits the edge limits \(no trial finished\)"):
        select_pair([candidate(0, None)])


def test_named_candidates_are_taken() -> None:
    pair = select_pair([candidate(0, 0.5), candidate(1, 0.9)], edge=0, cloud=0)
    assert (pair.edge.number, pair.cloud.number) == (0, 0)


@pytest.mark.parametrize(
    ("edge", "cloud", "expected"),
    [
        (9, None, "Trial 9 is not a finished trial of this study: for the edge, give one of 0"),
        (1, None, r"Trial 1 needs 50.0 ms and 100 MiB, outside the edge limits: choose one of 0"),
        (None, 2, "Trial 2 is not a finished trial of this study: for the cloud, give one of 0, 1"),
    ],
)
def test_impossible_choices_are_explained(edge: int | None, cloud: int | None, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        select_pair([candidate(0, 0.5), candidate(1, 0.9, 50, edge_feasible=False), candidate(2, None)], edge, cloud)


def test_where_nothing_fits_the_nearest_are_named() -> None:
    out = {"edge_feasible": False}
    slow, lean = candidate(0, 0.5, 90, memory_mib=300.0, **out), candidate(1, 0.5, 99, memory_mib=200.0, **out)
    with pytest.raises(UserError, match=r"fastest: trial 0, 90.0 ms; leanest: trial 1, 200 MiB"):
        select_pair([slow, lean])


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.1, 100), st.booleans()), min_size=1, max_size=8))
def test_no_feasible_candidate_beats_the_chosen_one(rows: list[tuple[float, float, bool]]) -> None:
    candidates = [candidate(n, dice, ms, edge_feasible=fits or n == 0) for n, (dice, ms, fits) in enumerate(rows)]
    chosen = select_pair(candidates).edge
    assert chosen.edge_feasible
    assert all(chosen.score >= other.score for other in candidates if other.edge_feasible)


def test_the_best_at_both_ends_serves_the_device_and_the_cloud_gets_the_next() -> None:
    best, other, third = candidate(0, 0.9), candidate(1, 0.8), candidate(2, 0.7)
    pair = select_pair([best, other, third])
    assert (pair.edge.number, pair.cloud.number) == (0, 1)
    alone = select_pair([best, candidate(1, 0.8, cloud_feasible=False)])
    assert (alone.edge.number, alone.cloud.number) == (0, 0)
