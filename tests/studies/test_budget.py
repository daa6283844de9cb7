"""Shares of a budget, and decisions by the clock that are taken once."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ussearch import timetable
from ussearch.cli.progress import RunProgress
from ussearch.errors import UserError
from ussearch.events import SearchStarted
from ussearch.pairs.delivery.compression import CompressionRequest
from ussearch.pairs.delivery.router_training import RoutingRequest
from ussearch.search_spaces import SearchSpace
from ussearch.studies.budget import SHARES, Budget, PlanLog, SearchClock
from ussearch.timetable import Timetable

from .conftest import make_config


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_shares_are_all_of_the_time() -> None:
    assert sum(SHARES.values()) == pytest.approx(1)


def test_what_a_stage_leaves_goes_to_those_after_it(tmp_path: Path) -> None:
    clock = Clock()
    budget = Budget(1000, PlanLog(tmp_path / "plan.jsonl", clock=clock))
    assert budget.share_s("search") == pytest.approx(450)
    clock.now += 100
    left = SHARES["full training"] + SHARES["compress"] + SHARES["route"] + SHARES["export"]
    assert budget.share_s("full training") == pytest.approx(900 * SHARES["full training"] / left)
    clock.now += 2000
    assert budget.left_s() == budget.share_s("route") == 0


def test_stages_that_a_run_does_not_have_leave_their_time(tmp_path: Path) -> None:
    budget = Budget(100, PlanLog(tmp_path / "plan.jsonl", clock=Clock()), ("search", "full training"))
    assert budget.share_s("search") == pytest.approx(100 * 0.45 / 0.72)
    assert budget.share_s("full training") == pytest.approx(100)


def test_a_router_that_cannot_be_learnt_leaves_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 550 s the pair has 270 and the router 110, in which nobody trains it without each of three folds."""
    monkeypatch.setattr(timetable, "epoch_seconds", lambda *_: {"edge": 1.0, "cloud": 2.0})
    space = SearchSpace.standard(64)
    config = SimpleNamespace(workers=2, recipe=SimpleNamespace(epochs=30), final_epochs=1000, search_space=space)

    def table(clock: Clock, lengths: dict[Any, Any]) -> Timetable:
        made = Timetable(budget=Budget(1000, PlanLog(tmp_path / "plan.jsonl", clock=clock)))
        clock.now += 450
        made.lengthen(cast(Any, SimpleNamespace(config=config, lengthen=lengths.update)), cast(Any, None))
        return made

    clock, lengths, again = Clock(), dict[Any, Any](), dict[Any, Any]()
    made = table(clock, lengths)
    pair_s = 550 * 0.27 / 0.44
    expected = {"edge": int(pair_s / 2), "cloud": int(pair_s / 4)}
    assert {tier: each.epochs for tier, each in lengths.items()} == expected
    assert {each.restarts for each in lengths.values()} == {1}
    assert made.routing(RoutingRequest(), phantoms=False).budget_seconds == 0
    compress_s = made.compression(CompressionRequest(), phantoms=False).budget_seconds
    assert compress_s == pytest.approx(550 * 0.12 / 0.17, abs=0.01)
    resumed = table(Clock(), again)
    assert again == lengths and resumed.routing(RoutingRequest(), phantoms=False).budget_seconds == 0


def test_a_decision_is_taken_once_and_time_goes_on(tmp_path: Path) -> None:
    clock = Clock()
    first = PlanLog(tmp_path / "plan.jsonl", clock=clock)
    assert first.decided("trials", lambda: 7) == 7
    clock.now += 30
    assert first.decided("trials", lambda: 9) == 7
    assert first.decided("epochs", lambda: 3) == 3
    clock.now += 1000  # until somebody resumes it
    second = PlanLog(tmp_path / "plan.jsonl", clock=clock)
    assert second.decided("trials", lambda: 9) == 7 and second.elapsed_s == pytest.approx(30)
    clock.now += 5
    assert second.elapsed_s == pytest.approx(35)
    assert second.decisions() == {"trials": 7, "epochs": 3}


def test_a_torn_line_is_left_out_and_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "plan.jsonl"
    PlanLog(path, clock=Clock()).keep("trials", 7)
    with path.open("a") as file:
        file.write('{"elapsed_s": 3, "deci')
    assert PlanLog(path, clock=Clock()).decided("epochs", lambda: 3) == 3
    assert [json.loads(line)["value"] for line in path.read_text().splitlines()] == [7, 3]


def test_a_damaged_line_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "plan.jsonl"
    path.write_text("nonsense\n")
    with pytest.raises(UserError, match="damaged in line 1: restore it"):
        PlanLog(path, clock=Clock())


def test_the_two_cheapest_bases_are_trained_at_any_budget(tmp_path: Path) -> None:
    clock = Clock()
    may_begin = SearchClock(Budget(1, PlanLog(tmp_path / "plan.jsonl", clock=clock)))
    clock.now += 10
    assert [may_begin(number, 5) for number in range(4)] == [True, True, False, False]


def test_a_search_ends_where_a_candidate_would_not_fit_any_more(tmp_path: Path) -> None:
    clock = Clock()
    may_begin = SearchClock(Budget(1000, PlanLog(tmp_path / "plan.jsonl", clock=clock)))
    assert may_begin(0, 0) and may_begin(1, 449)
    clock.now += 400
    assert may_begin(2, 50) and not may_begin(3, 51)
    clock.now += 100
    assert not may_begin(4, 0)
    again = SearchClock(Budget(1000, PlanLog(tmp_path / "plan.jsonl", clock=clock)))
    assert again(2, 10_000) and not again(3, 0), "as it was decided"


def test_progress_tells_the_trials_expected_not_the_most_that_a_budget_has_numbers_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    RunProgress()(SearchStarted(3, 51, 17))
    RunProgress()(SearchStarted(3, 5))
    out = capsys.readouterr().out
    assert "3 of about 17 trials are finished" in out and "3 of 5 trials are finished" in out
    config = make_config(trials=6)
    budgeted = config.model_copy(update={"run": config.run.model_copy(update={"budget": 600.0})})
    assert config.counted(3) == "3 of 6 trials"
    assert budgeted.counted(3) == "3 of at most 6 trials" and budgeted.counted(6) == "6 of 6 trials"
