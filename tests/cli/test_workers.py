"""``ussearch run`` with worker processes, through the real command line on tiny data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ussearch.studies import Study

from .conftest import TINY_RUN, Command


@pytest.mark.slow
def test_a_run_on_two_workers_is_the_same_when_trials_are_lost_and_it_is_resumed(
    ussearch: Command, tiny_data: Path, tmp_path: Path
) -> None:
    study = tmp_path / "s"
    run = ("run", "--profile", "jetson-nano", "--data", tiny_data, "--study", study, *TINY_RUN, "--workers", 2)
    outcome = ussearch(*run, "--json")
    assert outcome.status == 0, outcome.err
    result = json.loads(outcome.out)
    search = result["search_seconds"]
    assert search["workers"] == 2 and search["workers_evaluating"] > 0 and 0 < result["share_outside_training"] < 1
    assert sum(seconds for name, seconds in search["driver"].items()) <= search["wall"] <= result["seconds"]["search"]
    found = [(record.architecture_id, record.objective) for record in Study.open(study).trials()]
    assert len(found) == 4 and Study.open(study).config.workers == 2
    for trial_id in (1, 3):
        (study / "trials" / f"{trial_id:04d}" / "record.json").unlink()
    outcome = ussearch(*run, "--resume", "--timings", "--trial-timeout", "10m")
    assert outcome.status == 0, outcome.err
    assert [(record.architecture_id, record.objective) for record in Study.open(study).trials()] == found
    assert "training and evaluating" in outcome.out and "of the run's time" in outcome.out
    refused = ussearch(*run, "--resume", "--workers", 1)
    assert refused.status == 2 and "number of workers" in refused.err
