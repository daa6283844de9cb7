"""Which part of a run is neither training nor evaluation."""

from __future__ import annotations

import pytest

from ussearch.studies.timings import SearchTimings, outside_training


def test_workers_that_are_moving_results_and_what_is_unseen_are_overhead() -> None:
    now_s = [100.0]
    timings = SearchTimings(workers=2, clock=lambda: now_s[0])
    timings.staffed(2, ending=False)
    now_s[0] += 3
    timings.evaluation_s = 5.0
    timings.staffed(0, ending=True)
    assert (timings.wall_s, timings.ending_s) == (3, 0)
    assert outside_training({"search": 5.0}, timings) == (0.5 + 2) / 5, "one of six worker-seconds, and two unseen"


def test_stages_that_train_are_no_overhead() -> None:
    seconds = {"plan": 1.0, "full training": 50.0, "compress": 20.0, "route": 27.0, "export": 1.5, "verify": 0.5}
    assert outside_training(seconds, SearchTimings()) == pytest.approx(0.03)
