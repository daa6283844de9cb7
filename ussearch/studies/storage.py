"""The Optuna storage of a study: what dashboards and other tools read. The records are the truth."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from ussearch.errors import UserError
from ussearch.studies.drafting import Candidate
from ussearch.studies.optuna_trials import DIRECTIONS, Space, finished_trial, quiet_optuna, running_trial
from ussearch.studies.records import TrialRecord

STUDY_NAME = "search"
_TIMEOUT_S = 60


@contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Turn what SQLite, SQLAlchemy and Optuna raise for a database they cannot use into one sentence."""
    try:
        yield
    except (sqlite3.Error, SQLAlchemyError, StorageInternalError) as error:
        reason = str(getattr(error, "orig", None) or error.__cause__ or error).splitlines()[0]
        raise UserError(
            f"The database of the study in {folder} cannot be used ({reason}): free some space or mend the disk; the "
            "same command with --resume continues, all finished trials are kept."
        ) from error


class StudyStorage:
    """The study in a relational database, kept in step with the records. Values are those of the edge."""

    def __init__(self, url: str, space: Space) -> None:
        quiet_optuna()
        sqlite = url.startswith("sqlite")
        storage = RDBStorage(url, engine_kwargs={"connect_args": {"timeout": _TIMEOUT_S}} if sqlite else None)
        self._storage, self._space = storage, space
        self._study = self._opened()

    @classmethod
    def in_file(cls, path: Path, space: Space) -> StudyStorage:
        """Open or create a SQLite file in write-ahead mode, so that readers never wait for the writer."""
        try:
            with sqlite3.connect(path, timeout=_TIMEOUT_S) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
            connection.close()
        except sqlite3.Error as error:
            raise UserError(
                f"{path} cannot be used ({error}): delete it, it is made again from the trials' records."
            ) from error
        return cls(f"sqlite:///{path}", space)

    def _opened(self) -> optuna.Study:
        return optuna.create_study(
            storage=self._storage, study_name=STUDY_NAME, directions=DIRECTIONS, load_if_exists=True
        )

    def reconcile(self, records: Sequence[TrialRecord]) -> None:
        """Bring the database in step with the records; nobody else may be working on the study.

        Trials left running by a driver that died are finished from their record, or failed where there is none.
        Records that never reached the database are added. A database that holds anything else is made anew.
        """
        by_slot = {record.slot: record for record in records}
        if not self._agrees(by_slot):
            optuna.delete_study(study_name=STUDY_NAME, storage=self._storage)
            self._study = self._opened()
        told = {trial.user_attrs.get("slot") for trial in self._trials() if _is_result(trial, by_slot)}
        for trial in self._trials(TrialState.RUNNING):
            record = by_slot.get(trial.user_attrs.get("slot", -1))
            if record is None or record.slot in told:
                self._study.tell(trial.number, state=TrialState.FAIL)
            else:
                self.finish(trial.number, record)
                told.add(record.slot)
        for slot in sorted(by_slot.keys() - told):
            self._study.add_trial(finished_trial(by_slot[slot], self._space, "edge"))

    def begin(self, candidate: Candidate) -> int:
        """Add a running trial and return its number."""
        self._study.add_trial(
            running_trial(
                candidate.slot,
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

    def _agrees(self, by_slot: Mapping[int, TrialRecord]) -> bool:
        """Return whether every completed trial has a record, once, and the same objectives."""
        complete = self._trials(TrialState.COMPLETE)
        slots = Counter(trial.user_attrs.get("slot") for trial in complete)
        return all(count == 1 for count in slots.values()) and all(
            (record := by_slot.get(trial.user_attrs.get("slot", -1))) is not None
            and tuple(trial.values) == record.objectives("edge")
            for trial in complete
        )


def _is_result(trial: optuna.trial.FrozenTrial, by_slot: Mapping[int, TrialRecord]) -> bool:
    """Return whether a finished trial tells the outcome of its slot; interrupted ones do not."""
    record = by_slot.get(trial.user_attrs.get("slot", -1))
    if record is None:
        return False
    return trial.state == (TrialState.FAIL if record.failed else TrialState.COMPLETE)
