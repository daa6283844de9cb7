"""Files appear whole or not at all, and paths stay where they belong."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest

from ussearch.errors import UserError
from ussearch.files import inside, sha256_of, staged_directory, write_atomically


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
