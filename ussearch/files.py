"""Writing files and folders so that a reader never sees half of one and a kill loses none.

A file or folder is written under the name of a leftover (``.NAME.PID.XXXX.part``), synced to disk and renamed into its
place. A folder that stands there is renamed to a neighbour (``.NAME.aside``) just before, and removed once the new one
stands. After a kill the old or the new folder is there whole: readers ask ``found_at`` where, and the next who writes
there puts back what was set aside and removes what was left half-written (``recover``).
"""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ussearch.errors import UserError

_ASIDE = re.compile(r"\.(?P<name>.+)\.aside")
_LEFTOVER = re.compile(r"\..+\.(?P<pid>\d+)\.[^.]+\.part")
_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EACCES}
"""How file systems, such as network shares, say that a folder cannot be synced."""


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write ``content`` to a temporary neighbour of ``path``, flush it to disk and rename it into place."""
    data = content.encode() if isinstance(content, str) else content
    try:
        make_folder(path.parent)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=_prefix(path), suffix=".part")
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o644)  # a temporary file is private; what it becomes is not
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
        sync(path.parent)
    except OSError as error:
        raise _failed(path, error) from error
    finally:
        Path(name).unlink(missing_ok=True)


@contextmanager
def staged_directory(path: Path) -> Iterator[Path]:
    """Yield a temporary neighbour of the directory ``path`` that replaces it only if the block succeeds.

    Raises UserError where it cannot be written; what stood there before then stands there still.
    """
    try:
        make_folder(path.parent)
        real = path.resolve()
        if real.exists() and not real.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "a file is there, not a folder")
        recover(real.parent.glob(f".{glob.escape(real.name)}.*"))
        staging = _leftover(path)
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        staging.chmod(0o755)
        yield staging
        _sync_tree(staging)
        _replace(path, staging)
    except OSError as error:
        raise _failed(path, error) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _replace(path: Path, staging: Path) -> None:
    """Let ``staging`` stand at ``path``; what stands there is set aside first and removed last."""
    real, aside = path.resolve(), aside_of(path)
    if real.exists():
        real.rename(aside)
    try:
        staging.rename(real)
    except OSError:
        if aside.exists():
            aside.rename(real)
        raise
    sync(real.parent)
    with suppress(OSError):  # the new one stands; what is left goes with the next writer
        remove_folder(aside)


def aside_of(path: Path) -> Path:
    """Return where the folder ``path`` is set aside while it is replaced."""
    real = path.resolve()
    return real.with_name(f".{real.name}.aside")


def found_at(path: Path) -> Path:
    """Return where the folder ``path`` can be read: there, or where a kill left it set aside."""
    aside = aside_of(path)
    return aside if aside.is_dir() and not path.exists() else path


def folders_in(parent: Path) -> dict[str, Path]:
    """Return the folders in ``parent`` by name, in order, each where it can be read."""
    places = [path for path in parent.glob("*") if path.is_dir() and not _LEFTOVER.fullmatch(path.name)]
    names = {aside["name"] if (aside := _ASIDE.fullmatch(path.name)) else path.name for path in places}
    return {name: found_at(parent / name) for name in sorted(names)}


def recover(paths: Iterable[Path], *, own: bool = False) -> None:
    """Finish what dead processes left, as far as ``paths`` name it; for whoever may write there, and nobody else.

    Folders that were set aside stand again where nothing took their place, and what was being written is removed, save
    by a live process of this machine. ``own``: what bears the id of this process, too, was left by an earlier one.
    """
    for path in sorted(paths):
        if found := _ASIDE.fullmatch(path.name):
            _put_back(path, path.with_name(found["name"]))
        elif (found := _LEFTOVER.fullmatch(path.name)) and not _writing(int(found["pid"]), own):
            remove_folder(path)


def _put_back(aside: Path, path: Path) -> None:
    if path.exists():
        remove_folder(aside)
    elif aside.is_dir():
        aside.rename(path)
        sync(path.parent)


def _writing(pid: int, own: bool) -> bool:
    if pid == os.getpid():
        return not own
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    return True


def _leftover(path: Path) -> Path:
    """Make a temporary folder beside ``path``, named so that it is removed once this process is dead."""
    real = path.resolve()
    return Path(tempfile.mkdtemp(dir=real.parent, prefix=_prefix(real), suffix=".part"))


def remove_folder(path: Path) -> None:
    """Remove a folder with all it holds, if it is there; it loses its name first, so that nobody reads half of it."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    elif path.exists():
        grave = _leftover(path)
        try:
            path.rename(grave / path.name)
        finally:
            shutil.rmtree(grave, ignore_errors=True)


def make_folder(path: Path) -> None:
    """Make a folder and those that it lies in; each new one is synced where it lies."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync(path.parent)


def sync(path: Path) -> None:
    """Flush a file, or which names a folder has, to disk."""
    descriptor = None
    try:
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _sync_tree(folder: Path) -> None:
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync(Path(place, name))
        sync(Path(place))


def _prefix(path: Path) -> str:
    return f".{path.name.lstrip('.')}.{os.getpid()}."


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


def require_writable(folder: Path, what_fails: str, remedy: str) -> None:
    """Raise UserError where nothing can be written into ``folder``, which need not be there yet; writes nothing."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise UserError(f"{what_fails}: {place} cannot be written; {remedy}.")


def unwritable(path: Path, error: OSError) -> UserError:
    """Return what to tell a user; a file where a folder is needed has errors of several names."""
    blocking = next((each for each in path.parents if each.exists() and not each.is_dir()), None)
    obstacle = f"{blocking} is a file, not a folder" if blocking else error.strerror
    return UserError(f"Cannot write {path}: {obstacle}; choose a folder that can be written.")


def _failed(path: Path, error: OSError) -> UserError:
    return UserError(f"Cannot write {path}: {error.strerror}; free some space or choose another folder.")
