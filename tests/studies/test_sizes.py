"""Sizes of a run, and where its study lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.configurations import run_config
from ussearch.errors import UserError
from ussearch.search_spaces import load_preset
from ussearch.studies import paths
from ussearch.studies.paths import claimed, study_folder
from ussearch.studies.resources import LEAST_LIMIT_S, LIMIT_FACTOR, executor_name, resources_for
from ussearch.studies.sizes import DATA_SIZES, PHANTOM_SIZES, with_usual_sizes, with_usual_workers


def sizes_of(**options: object) -> dict[str, int | None]:
    """Return the sizes that a run is given."""
    sized = with_usual_sizes(run_config(**options))
    training = sized.training.model_dump(include={"epochs", "final_epochs", "final_restarts"})
    return {"trials": sized.search.trials, **training, "image_size": sized.space.image_size}


def test_phantoms_are_tried_in_minutes_and_data_is_taken_seriously() -> None:
    assert sizes_of() == PHANTOM_SIZES
    assert sizes_of(data=Path("d")) == DATA_SIZES
    assert PHANTOM_SIZES["image_size"] == 128
    assert PHANTOM_SIZES["trials"] >= 10


def test_what_is_asked_for_counts() -> None:
    sizes = sizes_of(trials=1, epochs=3, image_size=32)
    assert (sizes["trials"], sizes["epochs"], sizes["image_size"]) == (1, 3, 32)
    assert (sizes["final_epochs"] or 0) > 3


@pytest.mark.parametrize(
    ("changes", "executor", "threads"),
    [
        ({}, "local", 8),
        ({"threads": 1}, "local", 1),
        ({"workers": 2}, "process", 4),
        ({"workers": 16}, "process", 1),
        ({"workers": 2, "threads": 3}, "process", 3),
        ({"trial_timeout": 60.0}, "process", 8),
        ({"ray": "auto"}, "ray", 1),
        ({"ray": "auto", "workers": 4, "trial_timeout": 60.0}, "ray", 1),
    ],
)
def test_what_is_asked_for_decides_where_trials_run(changes: dict[str, object], executor: str, threads: int) -> None:
    asked = run_config(**changes).execution
    assert (executor_name(asked), asked.worker_threads(cores=8)) == (executor, threads)


@pytest.mark.parametrize(
    ("changes", "cores", "cards", "workers"),
    [
        ({}, 1, 0, 1),
        ({}, 2, 0, 2),
        ({}, 64, 0, 4),
        ({}, 8, 1, 1),
        ({}, 1, 2, 2),
        ({}, 64, 8, 4),
        ({"threads": 2}, 8, 0, 1),
        ({"ray": "auto"}, 8, 2, 1),
        ({"workers": 6}, 2, 1, 6),
    ],
)
def test_a_worker_for_each_core_or_card_where_nobody_says_how_many(
    changes: dict[str, object], cores: int, cards: int, workers: int
) -> None:
    assert with_usual_workers(run_config(**changes), cores, cards).execution.workers == workers


def test_time_limits_are_generous_or_as_asked_for() -> None:
    def limit(predicted_s: float, **changes: object) -> float | None:
        asked = run_config(**changes).execution
        means = resources_for(asked, on_gpu=False, threads=1, predicted_s=lambda architecture: predicted_s)
        return means.limit_s(load_preset("unet").architecture)

    assert limit(1.0) == LEAST_LIMIT_S
    assert limit(600.0) == 600.0 * LIMIT_FACTOR
    assert limit(600.0, trial_timeout=5.0) == 5.0


def test_studies_are_numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = run_config(profile="nano", data=tmp_path / "my data")
    first = study_folder(config)
    assert first == Path("studies/my-data-nano-001")
    first.mkdir(parents=True)
    assert study_folder(config).name == "my-data-nano-002"
    assert study_folder(config.changed(output={"resume": True})) == first
    with pytest.raises(UserError, match="--study"):
        study_folder(run_config(profile="other", resume=True))


def test_two_runs_at_once_get_two_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = run_config(profile="nano")
    stale = study_folder(config)  # both have looked before either made its folder
    looked = iter([stale, stale])
    monkeypatch.setattr(paths, "study_folder", lambda asked: next(looked, None) or study_folder(asked))
    with claimed(config) as first, claimed(config) as second:
        assert (first.name, second.name) == ("phantoms-nano-001", "phantoms-nano-002")
        assert first.is_dir() and second.is_dir()
    assert list(tmp_path.iterdir()) == [], "nothing was kept in them"
