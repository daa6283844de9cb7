"""What a budget leaves for a search: which bases, how long, how many children; and for the pair after it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.configurations import run_config
from tests.studies.conftest import FormulaEvaluator
from ussearch.evaluators import Recipe
from ussearch.evaluators.pretrained import Pretrained
from ussearch.pairs.delivery.final_lengths import FinalLengths, lengths_beside_router, lengths_within, makespan
from ussearch.search_spaces import Architecture, SearchSpace, load_preset
from ussearch.studies.budget import SHARES
from ussearch.studies.lengths import Work, by_budget, given_up
from ussearch.studies.planning import PricedBases
from ussearch.studies.sizes import USUAL_BUDGET_ON_CARDS_S, USUAL_BUDGET_S, with_usual_budget, with_usual_sizes

SECONDS = {"cea-net-standin": 1.0, "cmunext-s": 2.0, "unext": 4.0, "bmis": 7.0}


def bases() -> PricedBases:
    candidates = {name: load_preset(name).architecture.for_task() for name in SECONDS}

    def image_seconds(architecture: Architecture) -> float:
        return SECONDS[architecture.name]

    return PricedBases.of(FormulaEvaluator(), 224, image_seconds, candidates)


def test_bases_are_ordered_by_what_they_take() -> None:
    assert [seconds for seconds, _ in bases().fitting] == sorted(SECONDS.values())


@pytest.mark.parametrize(("search_s", "expected"), [(9000, 30), (1000, 11), (89, 1), (1, 1)])
def test_the_two_cheapest_take_at_most_a_third(search_s: float, expected: int) -> None:
    """An epoch of 10 images of both takes 30 s."""
    assert bases().epochs_within(10, search_s, 30) == expected


def test_others_come_in_while_all_take_at_most_a_third() -> None:
    """30 epochs of 10 images: 300, 600, 1200 and 2100 s."""
    few = bases().within(10, 3 * 2099, 30)
    assert few.names == ("cea-net-standin", "cmunext-s")
    assert few.skipped.keys() == {"unext", "bmis"} and "a longer --budget" in few.skipped["bmis"]
    assert bases().within(10, 3 * 2100, 30).names == ("cea-net-standin", "cmunext-s", "unext")
    assert len(bases().within(10, 3 * 4200, 30).names) == 4


def test_two_are_trained_whatever_the_budget_is() -> None:
    assert bases().within(10, 1, 30).names == ("cea-net-standin", "cmunext-s")


def test_what_starts_from_weights_of_others_comes_in_before_what_does_not() -> None:
    """30 epochs of 10 images of the two cheapest and of ``bmis`` are 3000 s."""
    started = replace(bases(), pretrained=frozenset({"bmis"}))
    assert started.within(10, 1, 30).names == ("cea-net-standin", "cmunext-s", "bmis")
    assert started.epochs_within(10, 3 * 3000, 30) == 30 and started.epochs_within(10, 3 * 2999, 30) == 29
    assert started.within(10, 3 * 4199, 30).names[2:] == ("bmis",) and len(started.within(10, 3 * 4200, 30).names) == 4
    among_the_cheapest = replace(bases(), pretrained=frozenset({"cmunext-s", "bmis"}))
    assert among_the_cheapest.within(10, 1, 30).names == ("cea-net-standin", "cmunext-s")
    assert among_the_cheapest.within(10, 3 * 3000, 30).names == ("cea-net-standin", "cmunext-s", "bmis")


@pytest.mark.parametrize(("search_s", "free"), [(12_001, True), (11_999, False)])
def test_free_compositions_are_tried_where_one_is_a_twentieth_of_the_search(search_s: float, free: bool) -> None:
    """30 epochs of 10 images, 2 s each, are 600 s: nothing that the others start from is there for one."""
    evaluator = FormulaEvaluator()
    evaluator.images, evaluator.pretrained = SimpleNamespace(image_size=224), Pretrained()  # type: ignore[attr-defined]
    work = Work(
        evaluator=evaluator,  # type: ignore[arg-type]
        candidates={name: load_preset(name).architecture.for_task() for name in SECONDS},
        space=SearchSpace.standard(224),
        seed=0,
        images=10,
        image_seconds=lambda architecture: SECONDS.get(architecture.name, 2.0),
        child=0.25,
        side_by_side=1,
    )
    asked = run_config(data="x", trials=None, epochs=30)
    lengths = by_budget(asked, search_s / SHARES["search"], Recipe(epochs=30), work)
    assert lengths.free is free
    told = " ".join(given_up(asked, with_usual_sizes(asked), lengths))
    assert ("free compositions" in told) is not free


def test_a_run_on_data_takes_an_hour_unless_it_is_told_how_long() -> None:
    on_data = run_config(data="x", trials=None)
    assert with_usual_budget(on_data, on_cards=False).budget == USUAL_BUDGET_S
    assert with_usual_budget(on_data, on_cards=True).budget == USUAL_BUDGET_ON_CARDS_S
    assert with_usual_budget(run_config(data="x", trials=9), on_cards=False).budget is None
    assert with_usual_budget(run_config(data="x", trials=None, budget=60), on_cards=False).budget == 60
    assert with_usual_budget(run_config(trials=None), on_cards=False).budget is None, "phantoms have sizes of their own"


def test_a_pair_is_trained_as_long_as_there_is_time() -> None:
    assert lengths_within(100, [1.0, 4.0], 2, course=30, most=120) == FinalLengths(25, 0)
    assert lengths_within(100, [1.0, 4.0], 1, course=30, most=120) == FinalLengths(20, 0)
    assert lengths_within(400, [1.0, 4.0], 2, course=30, most=120) == FinalLengths(80, 1)
    assert lengths_within(10_000, [1.0, 4.0], 2, course=30, most=120) == FinalLengths(120, 1)
    assert lengths_within(0, [1.0, 4.0], 2, course=30, most=120) == FinalLengths(1, 0)
    assert lengths_within(100, [1.0, 4.0], 2, course=30, most=120, goes_on=False) == FinalLengths(25, 1)


def test_time_that_no_router_can_use_trains_the_pair() -> None:
    """Two networks of 1 s an epoch, side by side; without each of three folds they train on twice the images in all."""
    lengths = {"folds": 3, "course": 30, "most": 120}
    assert lengths_beside_router(20, 40, [1.0, 1.0], 2, **lengths) == FinalLengths(20, 0)
    assert lengths_beside_router(20, 39, [1.0, 1.0], 2, **lengths) == FinalLengths(59, 0)
    assert lengths_beside_router(200, 360, [1.0, 1.0], 2, **lengths) == FinalLengths(100, 1)
    assert lengths_beside_router(400, 360, [1.0, 1.0], 2, **lengths) == FinalLengths(120, 1), "no longer than that"


@settings(max_examples=60, deadline=None)
@given(
    jobs=st.lists(st.floats(0.1, 50), min_size=1, max_size=6),
    workers=st.integers(1, 4),
    seconds=st.floats(1, 10_000),
)
def test_trainings_end_in_their_time(jobs: list[float], workers: int, seconds: float) -> None:
    assert max(*jobs, sum(jobs) / workers) <= makespan(jobs, workers) + 1e-9
    assert makespan(jobs, workers) <= sum(jobs) + 1e-9
    found = lengths_within(seconds, jobs, workers, course=30, most=120)
    runs = jobs * (1 + found.restarts)
    assert found.epochs == 1 or found.epochs * makespan(runs, workers) <= seconds * (1 + 1e-9)
