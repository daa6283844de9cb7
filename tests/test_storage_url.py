"""Database addresses: read, completed, stripped of their passwords."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.configurations import run_config
from ussearch.errors import UserError
from ussearch.storage_url import absolute, hide_passwords, kept, normalised, require_driver, without_password


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:pa%40ss@host:5432/name", "postgresql://me:***@host:5432/name"),
        ("--storage=postgresql+psycopg://me:p@ss/w@host/name", "--storage=postgresql+psycopg://me:***@host/name"),
        (
            "postgresql://host/name?user=me&password=abc&sslmode=off",
            "postgresql://host/name?user=me&password=***&sslmode=off",
        ),
        ("mysql://me@host/name", "mysql://me@host/name"),
        ("sqlite:///a/b.db", "sqlite:///a/b.db"),
        ("no address: at all", "no address: at all"),
    ],
)
def test_passwords_are_hidden(text: str, shown: str) -> None:
    assert hide_passwords(text) == shown


def test_what_is_kept_is_an_address_without_password() -> None:
    url = "postgresql://me:pa%40ss@host:5432/name?password=abc&sslmode=require"
    assert without_password(url) == "postgresql://me@host:5432/name?sslmode=require"
    assert normalised("postgresql://me:pa%40ss@host/name") == "postgresql+psycopg://me:pa%40ss@host/name"
    assert normalised("postgresql+psycopg2://host/name") == "postgresql+psycopg2://host/name"


def test_a_file_is_named_from_the_root_so_that_another_folder_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("sqlite:///a/b.db") == f"sqlite:///{tmp_path}/a/b.db"
    for url in ("sqlite:////a/b.db", "sqlite:///:memory:", "sqlite://", "postgresql://host/name"):
        assert absolute(url) == url


@pytest.mark.parametrize("url", ["", "nonsense", "me:secret@host", "cassandra://me:secret@host/name"])
def test_what_is_no_address_is_refused_without_showing_secrets(url: str) -> None:
    with pytest.raises(UserError, match="expected a database URL") as caught:
        require_driver(url)
    chain = f"{caught.value} {caught.value.__cause__!r}"
    assert "secret" not in chain or "://" not in url


def test_a_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UserError, match=r"ussearch\[postgresql\]"):
        require_driver("postgresql://me:secret@host/name")


def test_configurations_do_not_show_the_password_of_their_database() -> None:
    written = run_config(storage="postgresql://me:secret@host/name").model_dump_json()
    assert "secret" not in written and "postgresql://me@host/name" in written
    assert "secret" not in repr(run_config(storage="postgresql://me:secret@host/name"))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://me:secret@host/name", "postgresql://me@host/name"),
        ("postgresql://me:se@secret@host:5432/name", "postgresql://me@host:5432/name"),
        ("postgresql://me@host/name?password=secret", "postgresql://me@host/name"),
        ("postgresql://host:5432/name", "postgresql://host:5432/name"),
        ("sqlite:///studies/x.db", "sqlite:///studies/x.db"),
        ("postgresql://me:se/secret@host/name", "postgresql://me@host/name"),
    ],
)
def test_what_is_kept_of_an_address_is_no_password(url: str, expected: str) -> None:
    assert kept(url) == expected
