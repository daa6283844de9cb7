"""The database is brought in step with the records, whatever happened to it."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from tests.studies.conftest import SPACE, run_search
from ussearch.errors import UserError
from ussearch.evaluators import CostsByTier
from ussearch.studies import Study, Suggestion
from ussearch.studies.storage import StudyStorage

COMPLETE, RUNNING, FAIL = (
    optuna.trial.TrialState.COMPLETE,
    optuna.trial.TrialState.RUNNING,
    optuna.trial.TrialState.FAIL,
)


def storage_of(study: Study) -> StudyStorage:
    return StudyStorage.in_file(study.folder / "study.db", SPACE.choices)


def states(study: Study) -> list[tuple[int, optuna.trial.TrialState]]:
    loaded = optuna.load_study(study_name="search", storage=f"sqlite:///{study.folder / 'study.db'}")
    return [(trial.user_attrs["trial_id"], trial.state) for trial in loaded.trials]


def candidate(study: Study, trial_id: int, costs: CostsByTier) -> Suggestion:
    return Suggestion(trial_id, "edge", study.architecture(0), costs)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return run_search(tmp_path / "s", trials=2)[0]


def test_nothing_changes_where_all_agrees(study: Study) -> None:
    before = states(study)
    storage_of(study).reconcile(study.trials())
    assert states(study) == before == [(0, COMPLETE), (1, COMPLETE)]


def test_a_trial_left_running_is_failed_at_once(study: Study) -> None:
    storage_of(study).begin(candidate(study, 2, study.trial(0).evaluation.costs))
    assert states(study)[-1] == (2, RUNNING)
    storage_of(study).reconcile(study.trials())
    assert states(study)[-1] == (2, FAIL)


def test_a_record_that_was_never_told_is_told(study: Study) -> None:
    storage = storage_of(study)
    record = study.trial(0).model_copy(update={"trial_id": 2})
    storage.begin(candidate(study, 2, record.evaluation.costs))
    storage_of(study).reconcile([*study.trials(), record])
    assert states(study) == [(0, COMPLETE), (1, COMPLETE), (2, COMPLETE)]


def test_a_lost_database_is_made_again(study: Study) -> None:
    before = states(study)
    (study.folder / "study.db").unlink()
    storage_of(study).reconcile(study.trials())
    assert states(study) == before


def test_results_without_record_do_not_stay(study: Study) -> None:
    (study.trial_folder(1) / "record.json").unlink()
    storage_of(study).reconcile(study.trials())
    assert states(study) == [(0, COMPLETE)]


def test_readers_do_not_wait_for_the_writer(study: Study) -> None:
    import sqlite3

    with sqlite3.connect(study.folder / "study.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_text("nothing like a database, long enough to be read as one" * 100)
    with pytest.raises(UserError, match=r"study.db cannot be used"):
        StudyStorage.in_file(tmp_path / "study.db", SPACE.choices)
