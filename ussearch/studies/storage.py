"""The Optuna storage of a study: what dashboards and other tools read. The records are the truth."""

from __future__ import annotations

import sqlite3
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import optuna
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from ussearch import schema
from ussearch.errors import UserError
from ussearch.files import write_atomically
from ussearch.storage_url import absolute, normalised, require_driver, without_password
from ussearch.studies.database import PLACE, TIMEOUT_S, StorageLocation, known_place, rdb_storage
from ussearch.studies.records import TrialRecord
from ussearch.studies.suggest import DIRECTIONS, Space, Suggestion, finished_trial, quiet_optuna, running_trial

STUDY_NAME = "search"
"""Of the Optuna study in the study's own file; one in a shared database has a name of its own."""


class StudyStorage:
    """The study in a relational database, kept in step with the records. Values are those of the edge."""

    def __init__(self, storage: RDBStorage, space: Space, name: str = STUDY_NAME) -> None:
        """Use ``of``, ``in_file`` or ``in_database``."""
        self._storage, self._space, self._name = storage, space, name
        self._study = self._opened()

    @classmethod
    def of(cls, folder: Path, space: Space, url: str | None = None) -> StudyStorage:
        """Open the storage of the study in ``folder``: the database at ``url``, the last one used, or its own file."""
        place = known_place(folder)
        url = url or (place.url if place else None)
        if url is None:
            return cls.in_file(folder / "study.db", space)
        name = place.name if place else f"{folder.resolve().name}-{uuid.uuid4().hex[:12]}"
        storage = cls.in_database(url, space, name)
        known = StorageLocation(name=name, url=without_password(absolute(url)))
        write_atomically(folder / PLACE, schema.STORAGE.to_json(known, indent=1))
        return storage

    @classmethod
    def in_file(cls, path: Path, space: Space) -> StudyStorage:
        """Open or create a SQLite file in write-ahead mode, so that readers never wait for the writer."""
        try:
            with sqlite3.connect(path, timeout=TIMEOUT_S) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
            connection.close()
        except sqlite3.Error as error:
            raise UserError(
                f"{path} cannot be used ({error}): delete it, it is made again from the trials' records."
            ) from error
        return cls(rdb_storage(f"sqlite:///{path}"), space)

    @classmethod
    def in_database(cls, url: str, space: Space, name: str) -> StudyStorage:
        """Open or create the Optuna study ``name`` in the database at ``url``, which others may use, too."""
        require_driver(url)
        return cls(rdb_storage(normalised(url)), space, name)

    def close(self) -> None:
        """Let go of the database; what SQLite's log still holds comes into its file now, not at some later time."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    @quiet_optuna()
    def _opened(self) -> optuna.Study:
        return optuna.create_study(
            storage=self._storage, study_name=self._name, directions=DIRECTIONS, load_if_exists=True
        )

    def reconcile(self, records: Sequence[TrialRecord]) -> None:
        """Bring the database in step with the records; nobody else may be working on the study.

        Trials left running by a driver that died are finished from their record, or failed where there is none.
        Records that never reached the database are added. A database that holds anything else is made anew.
        """
        by_trial_id = {record.trial_id: record for record in records}
        if not self._agrees(by_trial_id):
            optuna.delete_study(study_name=self._name, storage=self._storage)
            self._study = self._opened()
        told = {_trial_id_of(trial) for trial in self._trials() if _is_result(trial, by_trial_id)}
        for trial in self._trials(TrialState.RUNNING):
            record = by_trial_id.get(_trial_id_of(trial))
            if record is None or record.trial_id in told:
                self._study.tell(trial.number, state=TrialState.FAIL)
            else:
                self.finish(trial.number, record)
                told.add(record.trial_id)
        for trial_id in sorted(by_trial_id.keys() - told):
            self._study.add_trial(finished_trial(by_trial_id[trial_id], self._space, "edge"))

    def begin(self, candidate: Suggestion) -> int:
        """Add a running trial and return its number."""
        self._study.add_trial(
            running_trial(
                candidate.trial_id,
                candidate.label,
                candidate.role,
                choices=candidate.choices,
                attributes=candidate.sampler_attributes,
                space=self._space,
                costs=candidate.costs["edge"],
            )
        )
        return max(trial.number for trial in self._trials(TrialState.RUNNING))

    def finish(self, number: int, record: TrialRecord) -> None:
        """Tell a running trial's result."""
        if record.failed:
            self._study.tell(number, state=TrialState.FAIL)
        else:
            self._study.tell(number, record.objectives("edge"))

    def abandon(self, number: int) -> None:
        """Mark a running trial as failed: it was interrupted and its slot will be tried again."""
        self._study.tell(number, state=TrialState.FAIL, skip_if_finished=True)

    def _trials(self, *states: TrialState) -> list[optuna.trial.FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states or None)

    def _agrees(self, by_trial_id: Mapping[int, TrialRecord]) -> bool:
        """Return whether every completed trial has a record, once, and the same objectives."""
        complete = self._trials(TrialState.COMPLETE)
        trial_ids = Counter(_trial_id_of(trial) for trial in complete)
        return all(count == 1 for count in trial_ids.values()) and all(
            (record := by_trial_id.get(_trial_id_of(trial))) is not None
            and tuple(trial.values) == record.objectives("edge")
            for trial in complete
        )


def _is_result(trial: optuna.trial.FrozenTrial, by_trial_id: Mapping[int, TrialRecord]) -> bool:
    """Return whether a finished trial tells the outcome of its slot; interrupted ones do not."""
    record = by_trial_id.get(_trial_id_of(trial))
    if record is None:
        return False
    return trial.state == (TrialState.FAIL if record.failed else TrialState.COMPLETE)


def _trial_id_of(trial: optuna.trial.FrozenTrial) -> int:
    """Return the id of a trial; databases of before 0.2.0 call it a slot."""
    attributes = trial.user_attrs
    return int(attributes.get("trial_id", attributes.get("slot", -1)))
