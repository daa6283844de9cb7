"""What a budget leaves for a search: which bases, how long, how many children; and for the pair after it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.configurations import run_config
from tests.studies.conftest import FormulaEvaluator
from ussearch.evaluators import Recipe, Tier
from ussearch.evaluators.pretrained import Pretrained
from ussearch.pairs.delivery.final_lengths import lengths_within, router_fits
from ussearch.search_spaces import Architecture, SearchSpace, load_preset
from ussearch.studies import FullLength
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
    for name, value in {"images": SimpleNamespace(image_size=224), "pretrained": Pretrained()}.items():
        setattr(evaluator, name, value)  # what a plan asks of the real one besides costs
    work = Work(
        evaluator=cast(Any, evaluator),  # it prices and refuses as the real one; nothing is trained
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


def lengths(seconds: float, edge_s: float, cloud_s: float | None, workers: int, **others: Any) -> list[tuple[int, int]]:
    """Return epochs and restarts of each end; a course is 30 epochs, the most are 120."""
    epoch_s: dict[Tier, float] = {"edge": edge_s} if cloud_s is None else {"edge": edge_s, "cloud": cloud_s}
    found = lengths_within(seconds, epoch_s, workers, course=30, most=120, **others)
    return [(each.epochs, each.restarts) for each in found.values()]


def test_both_ends_of_a_pair_are_trained_for_as_much_time() -> None:
    assert lengths(100, 1.0, 4.0, 2) == [(50, 1), (25, 0)], "time for a course from scratch besides"
    assert lengths(50, 1.0, 4.0, 2) == [(50, 0), (12, 0)]
    assert lengths(100, 1.0, 4.0, 1) == [(50, 0), (12, 0)], "half of the time each"
    assert lengths(240, 1.0, 4.0, 2) == [(120, 1), (30, 1)]
    assert lengths(10_000, 1.0, 4.0, 2) == [(120, 1), (120, 1)]
    assert lengths(0, 1.0, 4.0, 2) == [(1, 0), (1, 0)]
    assert lengths(100, 1.0, 4.0, 2, goes_on=False) == [(100, 1), (25, 1)]
    assert lengths(100, 1.0, 4.0, 4) == [(100, 1), (25, 0)], "a worker for each of both runs"
    assert lengths(50, 1.0, None, 2) == [(50, 1)], "one that serves both ends"


def test_a_router_is_learnt_from_the_pair_trained_without_each_fold() -> None:
    """Without each of three folds, networks train on twice the images in all."""
    lengths: dict[Tier, FullLength] = {
        "edge": FullLength(epochs=40, restarts=1),
        "cloud": FullLength(epochs=10, restarts=0),
    }
    epoch_s: dict[Tier, float] = {"edge": 1.0, "cloud": 3.0}
    assert router_fits(lengths, epoch_s, 2, 3, 80.0) and not router_fits(lengths, epoch_s, 2, 3, 79.0)
    assert router_fits(lengths, epoch_s, 1, 3, 140.0) and not router_fits(lengths, epoch_s, 1, 3, 139.0)
    assert router_fits(lengths, {"edge": 1.0}, 1, 5, 160.0) and not router_fits(lengths, {"edge": 1.0}, 1, 5, 159.0)


@settings(max_examples=60, deadline=None)
@given(
    epoch_s=st.lists(st.floats(0.1, 50), min_size=1, max_size=2),
    workers=st.integers(1, 5),
    seconds=st.floats(1, 10_000),
)
def test_trainings_end_in_their_time(epoch_s: list[float], workers: int, seconds: float) -> None:
    """As ``train_fully`` hands out runs: the ends of fewer runs first, each run to who is free first."""
    tiers: tuple[Tier, Tier] = ("edge", "cloud")
    found = lengths_within(seconds, dict(zip(tiers, epoch_s, strict=False)), workers, course=30, most=120)
    ends = sorted(zip(found.values(), epoch_s, strict=True), key=lambda end: end[0].restarts)
    busy = [0.0] * workers
    for length, each_s in ends:
        for _ in range(1 + length.restarts):
            busy[busy.index(min(busy))] += length.epochs * each_s
    least_s = sum(each for each, end in zip(epoch_s, found.values(), strict=True) if end.epochs == 1)
    assert max(busy) <= seconds * (1 + 1e-9) + least_s
