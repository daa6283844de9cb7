"""Addresses of databases, and how their passwords stay out of everything that is written or shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ussearch.errors import UserError

EXPECTED = "expected a database URL such as postgresql://user@host/name"
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
"""The driver that the extra ``postgresql`` installs, where a URL names none."""


def hide_passwords(text: str) -> str:
    """Return ``text`` with the password of every URL in it replaced by ``***``."""
    # NOTE: greedy up to the last @ of a word, since a password that nobody encoded may hold an @ itself.
    text = re.sub(r"(\w://[^\s:/@]*):\S*@", r"\1:***@", text)
    return re.sub(r"(?i)([?&]\w*password=)[^&\s'\"]*", r"\1***", text)


def normalised(url: str) -> str:
    """Return a URL with the driver that we install, ready for SQLAlchemy; raises UserError where it is none."""
    parsed = _parsed(url)
    return str(parsed.set(drivername=_driver(parsed.drivername)).render_as_string(hide_password=False))


def without_password(url: str) -> str:
    """Return a URL that may be kept: its password is gone, not masked, so that it can still be used as an address."""
    # NOTE: SQLAlchemy ends a password at its first @, and what nobody encoded behind it would be left of the host.
    parsed = _parsed(re.sub(r"(\w://[^\s:/@]*):[^?/\s]*@", r"\1@", url))
    query = {name: value for name, value in parsed.query.items() if not name.lower().endswith("password")}
    return str(parsed._replace(password=None, query=query).render_as_string(hide_password=False))


def absolute(url: str) -> str:
    """Return a URL that means the same from any folder: a file of SQLite is named from the root."""
    parsed = _parsed(url)
    if not parsed.drivername.startswith("sqlite") or not parsed.database or parsed.database.startswith((":", "file:")):
        return url
    return str(parsed.set(database=str(Path(parsed.database).absolute())).render_as_string(hide_password=False))


def kept(text: str) -> str:
    """Return what may be written down of an address that nobody has checked: see ``without_password``."""
    try:
        return without_password(text)
    except UserError:
        return hide_passwords(text)


def require_driver(url: str) -> None:
    """Raise UserError where ``url`` is none, or the package that talks to its database is not installed."""
    parsed = _parsed(url)
    driver = _driver(parsed.drivername)
    try:
        parsed.set(drivername=driver).get_dialect().import_dbapi()
    except ImportError as error:
        hint = "pip install 'ussearch[postgresql]'" if driver.endswith("+psycopg") else "install it"
        raise UserError(f"--storage {hide_passwords(url)} needs {error.name or driver}: {hint}.") from error
    except Exception as error:
        raise UserError(f"--storage {hide_passwords(url)} is of an unknown kind ({driver}): {EXPECTED}.") from error


def _parsed(url: str) -> Any:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url)
    except (ArgumentError, ValueError) as error:
        # NOTE: SQLAlchemy's message holds the URL with its password; it must not become this error's context.
        raise UserError(f"--storage {hide_passwords(url)} cannot be read: {EXPECTED}.") from type(error)()


def _driver(name: str) -> str:
    return _DRIVERS.get(name, name)
