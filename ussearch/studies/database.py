"""The relational database of a study: where it lies, how it is reached, and what goes wrong in words."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from pydantic import BaseModel, ConfigDict
from sqlalchemy import create_engine
from sqlalchemy.exc import IntegrityError, ProgrammingError, SQLAlchemyError

from ussearch import schema
from ussearch.errors import UserError
from ussearch.storage_url import hide_passwords, normalised, require_driver
from ussearch.studies.suggest import quiet_optuna

PLACE = "storage.json"
TIMEOUT_S = 60
"""How long SQLite waits for another process to finish writing."""
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
    place = known_place(folder)
    url = url or (place.url if place else None)
    if url is not None:
        require_reachable(url)
        return rdb_storage(normalised(url))
    path = folder / "study.db"
    if not path.is_file():
        raise UserError(f"{folder} has no {path.name} yet: expected a study whose search has begun; start it first.")
    return rdb_storage(f"sqlite:///{path}")


@quiet_optuna()
def rdb_storage(url: str) -> RDBStorage:
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
        connection["timeout"] = TIMEOUT_S
    elif "+psycopg:" in url:
        connection["client_encoding"] = "utf8"  # databases made without an encoding would answer in bytes
    return {"pool_pre_ping": True, "connect_args": connection}


def known_place(folder: Path) -> StorageLocation | None:
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
