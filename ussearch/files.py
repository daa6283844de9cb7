"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ussearch.errors import UserError


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write ``content`` to a temporary neighbour of ``path``, flush it to disk and rename it into place."""
    data = content.encode() if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o644)  # a temporary file is private; what it becomes is not
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError as error:
        raise UserError(f"Cannot write {path}: {error.strerror}; free some space or choose another folder.") from error
    finally:
        Path(name).unlink(missing_ok=True)


@contextmanager
def staged_directory(path: Path) -> Iterator[Path]:
    """Yield a temporary neighbour of the directory ``path`` that replaces it only if the block succeeds."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        staging.chmod(0o755)
        yield staging
        if path.exists():
            shutil.rmtree(path)
        staging.rename(path)
    except OSError as error:
        raise UserError(f"Cannot write {path}: {error.strerror}; free some space or choose another folder.") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def inside(root: Path, name: str) -> Path:
    """Return ``root / name``; raises UserError where ``name`` would leave ``root``."""
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()):
        raise UserError(f"Path {name!r} leaves {root}: expected a path inside it; do not use this folder.")
    return path


def unwritable(path: Path, error: OSError) -> UserError:
    """Return what to tell a user; a file where a folder is needed has errors of several names."""
    blocking = next((each for each in path.parents if each.exists() and not each.is_dir()), None)
    obstacle = f"{blocking} is a file, not a folder" if blocking else error.strerror
    return UserError(f"Cannot write {path}: {obstacle}; choose a folder that can be written.")
