"""The Optuna storage of a study: what dashboards and other tools read. The records are the truth."""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from pydantic import BaseModel, ConfigDict
from sqlalchemy import create_engine
from sqlalchemy.exc import IntegrityError, ProgrammingError, SQLAlchemyError

from ussearch import schema
from ussearch.errors import UserError
from ussearch.files import write_atomically
from ussearch.storage_url import absolute, hide_passwords, normalised, require_driver, without_password
from ussearch.studies.records import TrialRecord
from ussearch.studies.suggest import DIRECTIONS, Space, Suggestion, finished_trial, quiet_optuna, running_trial

STUDY_NAME = "search"
"""Of the Optuna study in the study's own file; one in a shared database has a name of its own."""
PLACE = "storage.json"
_TIMEOUT_S = 60
_ATTEMPTS = 5
"""Two drivers that make the tables of a new database at the same moment disturb each other, once."""


class StorageLocation(BaseModel):
    """Where the database of a study lies if not in its folder; ``url`` without its password."""

    model_config = ConfigDict(frozen=True)

    name: str
    """Of the Optuna study; unique, because other studies share the database."""
    url: str


@contextmanager
def storage_errors(folder: Path, url: str | None = None) -> Iterator[None]:
    """Turn what SQLite, SQLAlchemy and Optuna raise for a database they cannot use into one sentence."""
    try:
        yield
    except (sqlite3.Error, SQLAlchemyError, StorageInternalError) as error:
        reason = _reason(error)
        if url is None and not (folder / PLACE).exists():
            raise UserError(
                f"The database of the study in {folder} cannot be used ({reason}): free some space or mend the disk; "
                "the same command with --resume continues, all finished trials are kept."
            ) from error
        raise UserError(
            f"The database of the study in {folder} cannot be used ({reason}): mend it or give another --storage; the "
            "same command with --resume continues, all finished trials are kept."
        ) from None  # what the driver raised may hold the password


def require_reachable(url: str) -> None:
    """Raise UserError where there is no database at ``url``, or it does not let us in."""
    require_driver(url)
    full = normalised(url)
    engine = create_engine(full, **_engine_settings(full))
    try:
        engine.connect().close()
    except SQLAlchemyError as error:
        reason = _reason(error)
        raise UserError(
            f"The database {hide_passwords(url)} cannot be used ({reason}): check --storage, and that the server runs."
        ) from None  # what the driver raised may hold the password
    finally:
        engine.dispose()


def _reason(error: Exception) -> str:
    return hide_passwords(str(getattr(error, "orig", None) or error.__cause__ or error).strip().splitlines()[0])


def existing_storage(folder: Path, url: str | None = None) -> RDBStorage:
    """Return Optuna's storage of the study in ``folder`` for tools that only read; nothing is made or reconciled.

    ``url`` gives the database with its password, where it needs one. Raises UserError where there is no database yet.
    """
    place = _known_place(folder)
    url = url or (place.url if place else None)
    if url is not None:
        require_reachable(url)
        return _rdb(normalised(url))
    path = folder / "study.db"
    if not path.is_file():
        raise UserError(f"{folder} has no {path.name} yet: expected a study whose search has begun; start it first.")
    return _rdb(f"sqlite:///{path}")


class StudyStorage:
    """The study in a relational database, kept in step with the records. Values are those of the edge."""

    def __init__(self, storage: RDBStorage, space: Space, name: str = STUDY_NAME) -> None:
        """Use ``of``, ``in_file`` or ``in_database``."""
        self._storage, self._space, self._name = storage, space, name
        self._study = self._opened()

    @classmethod
    def of(cls, folder: Path, space: Space, url: str | None = None) -> StudyStorage:
        """Open the storage of the study in ``folder``: the database at ``url``, the last one used, or its own file."""
        place = _known_place(folder)
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
            with sqlite3.connect(path, timeout=_TIMEOUT_S) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
            connection.close()
        except sqlite3.Error as error:
            raise UserError(
                f"{path} cannot be used ({error}): delete it, it is made again from the trials' records."
            ) from error
        return cls(_rdb(f"sqlite:///{path}"), space)

    @classmethod
    def in_database(cls, url: str, space: Space, name: str) -> StudyStorage:
        """Open or create the Optuna study ``name`` in the database at ``url``, which others may use, too."""
        require_driver(url)
        return cls(_rdb(normalised(url)), space, name)

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


@quiet_optuna()
def _rdb(url: str) -> RDBStorage:
    """Return Optuna's storage at ``url``; connections that have gone stale between long trials are made anew."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return RDBStorage(url, engine_kwargs=_engine_settings(url))
        except (IntegrityError, ProgrammingError):
            time.sleep(0.5)
    return RDBStorage(url, engine_kwargs=_engine_settings(url))


def _engine_settings(url: str) -> dict[str, Any]:
    connection: dict[str, Any] = {}
    if url.startswith("sqlite"):
        connection["timeout"] = _TIMEOUT_S
    elif "+psycopg:" in url:
        connection["client_encoding"] = "utf8"  # databases made without an encoding would answer in bytes
    return {"pool_pre_ping": True, "connect_args": connection}


def _known_place(folder: Path) -> StorageLocation | None:
    """Return where the study's database was last; None where it is the file in its folder."""
    path = folder / PLACE
    if not path.exists():
        return None
    try:
        return StorageLocation.model_validate(schema.STORAGE.read(path))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} is damaged: delete it, and give --storage again; the database is made from the records."
        ) from error


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
