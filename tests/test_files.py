"""Files appear whole or not at all, and paths stay where they belong."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ussearch.errors import UserError
from ussearch.files import (
    folders_in,
    found_at,
    inside,
    recover,
    sha256_of,
    staged_directory,
    write_atomically,
)

OPERATIONS = (
    (Path, "rename"),
    (Path, "replace"),
    (Path, "unlink"),
    (Path, "mkdir"),
    (os, "fsync"),
    (tempfile, "mkdtemp"),
    (tempfile, "mkstemp"),
    (shutil, "rmtree"),
)
SWAP = (
    "mkdtemp",  # the new folder is written beside the old one
    "fsync",  # its files
    "fsync",
    "fsync",  # and which there are
    "rename",  # the old one aside
    "rename",  # the new one in place
    "fsync",
    "mkdtemp",  # the old one loses its name
    "rename",
    "rmtree",  # and goes
    "rmtree",  # nothing is left of the new one's first name
)
WRITE = ("mkstemp", "fsync", "replace", "fsync", "unlink")


def watch(monkeypatch: pytest.MonkeyPatch, at: int = 0, act: Callable[[], None] = lambda: None) -> list[str]:
    """Return the list in which every operation is noted as it begins; before number ``at``, ``act``."""
    seen: list[str] = []

    def watched(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*args: Any, **settings: Any) -> Any:
            seen.append(name)
            if len(seen) == at:
                try:
                    act()
                except OSError:
                    if not settings.get("ignore_errors"):
                        raise
                    return None
            return original(*args, **settings)

        return operation

    for owner, name in OPERATIONS:
        monkeypatch.setattr(owner, name, watched(name, getattr(owner, name)))
    return seen


def fail() -> None:
    raise OSError(errno.EIO, "Input/output error")


def killed(work: Callable[[], None], at: int) -> None:
    """Do the work in a process of its own that is killed before its operation number ``at``."""
    child = os.fork()
    if child == 0:
        with pytest.MonkeyPatch.context() as patch:
            watch(patch, at, lambda: os.kill(os.getpid(), signal.SIGKILL))
            work()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def write_folder(path: Path, text: str) -> None:
    with staged_directory(path) as folder:
        (folder / "a").write_text(text)
        (folder / "b").write_text(text)


def content(path: Path) -> dict[str, str]:
    return {each.name: each.read_text() for each in path.iterdir()}


OLD, NEW, LATER = ({"a": text, "b": text} for text in ("old", "new", "later"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    write_folder(tmp_path / "out", "old")
    return tmp_path / "out"


def test_the_lines_of_the_swap_are_these(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        seen = watch(patch)
        write_folder(out, "new")
    assert tuple(seen) == SWAP
    assert content(out) == NEW and list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("at", range(1, len(SWAP) + 1))
def test_a_folder_survives_the_failure_of_any_line(out: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    stands = OLD if at <= 6 else NEW
    with monkeypatch.context() as patch:
        seen = watch(patch, at, fail)
        if at <= 7:
            with pytest.raises(UserError, match="Cannot write"):
                write_folder(out, "new")
        else:  # the new one stands and is on the disk
            write_folder(out, "new")
    assert len(seen) >= at and content(out) == stands
    write_folder(out, "later")
    assert content(out) == LATER
    recover(out.parent.glob(".*"), own=True)
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("at", range(1, len(SWAP) + 1))
def test_a_folder_survives_a_kill_at_any_line(out: Path, at: int) -> None:
    killed(lambda: write_folder(out, "new"), at)
    assert content(found_at(out)) == (OLD if at <= 6 else NEW)
    assert out.exists() is (at != 6)
    assert folders_in(out.parent) == {"out": found_at(out)}
    write_folder(out, "later")
    assert content(out) == LATER and list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("at", range(1, len(SWAP) + 1))
def test_who_holds_the_lock_mends_what_a_kill_left(out: Path, at: int) -> None:
    killed(lambda: write_folder(out, "new"), at)
    recover(out.parent.rglob(".*"), own=True)
    assert content(out) == (OLD if at <= 6 else NEW)
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("at", range(1, len(WRITE) + 1))
def test_a_file_survives_failures_and_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")
    killed(lambda: write_atomically(path, "new"), at)
    assert path.read_text() == ("old" if at <= 3 else "new")
    write_atomically(path, "old")
    with monkeypatch.context() as patch:
        seen = watch(patch, at, fail)
        with pytest.raises((UserError, OSError)):
            write_atomically(path, "new")
    assert tuple(seen[:at]) == WRITE[:at]
    assert path.read_text() == ("old" if at <= 3 else "new")
    recover(tmp_path.glob(".*"), own=True)
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path, out: Path) -> None:
    (tmp_path / "link").symlink_to(out)
    write_folder(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and content(out) == NEW


def test_a_file_is_not_replaced_by_a_folder(out: Path) -> None:
    (out / "mine").write_text("three years")
    with pytest.raises(UserError, match="a file is there, not a folder"):
        write_folder(out / "mine", "new")
    assert (out / "mine").read_text() == "three years"


def test_what_a_live_process_writes_is_left_alone(tmp_path: Path) -> None:
    theirs, ours = tmp_path / f".x.{os.getppid()}.abc.part", tmp_path / f".x.{os.getpid()}.abc.part"
    for path in (theirs, ours, tmp_path / ".part", tmp_path / ".hidden"):
        path.write_text("")
    recover(tmp_path.glob("*"))
    assert theirs.exists() and ours.exists()
    recover(tmp_path.glob("*"), own=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([theirs.name, ".part", ".hidden"])


def test_written_files_are_whole_and_readable_by_others(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    write_atomically(path, "ä")
    assert path.read_bytes() == "ä".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    write_atomically(path, b"other")
    assert path.read_bytes() == b"other"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="choose a folder"):
        write_atomically(tmp_path / "file" / "x", "")
    with pytest.raises(UserError, match="choose a folder"), staged_directory(tmp_path / "file" / "x"):
        pass


def test_a_directory_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), staged_directory(tmp_path / "out") as folder:
        (folder / "half").write_text("")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with staged_directory(tmp_path / "out") as folder:
        (folder / "whole").write_text("")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["whole"]


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x"])
def test_paths_cannot_escape(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="leaves"):
        inside(tmp_path / "bundle", name)
    assert inside(tmp_path, "a/b") == (tmp_path / "a" / "b").resolve()


def test_digest_equals_that_of_the_standard_library(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc" * 1_000_000)
    assert sha256_of(tmp_path / "x") == hashlib.sha256(b"abc" * 1_000_000).hexdigest()
