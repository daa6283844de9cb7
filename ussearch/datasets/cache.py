"""Arrays kept on disk between runs, found by a key and memory-mapped.

An entry is a folder that appears complete or not at all: it is written under a temporary name and renamed.
Whoever finds an entry that is damaged (cut off, edited, of an older layout) builds it anew.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ussearch.errors import UserError

Arrays = dict[str, npt.NDArray[np.generic]]
CACHE_VARIABLE = "USSEARCH_CACHE_DIR"
_RECORD = "record.json"


def cache_folder() -> Path:
    """Return the folder of all caches: ``$USSEARCH_CACHE_DIR``, or the platform's place for caches."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("ussearch")


def cached_arrays(folder: Path, names: tuple[str, ...], build: Callable[[], Arrays]) -> Arrays:
    """Return the arrays ``names`` of the entry ``folder``, read-only maps of its files, building it where needed.

    Args:
        folder: place of the entry; its name must identify the content.
        names: of the arrays that the entry has.
        build: makes the arrays; called at most once. What it raises is passed on and leaves nothing behind.

    Raises:
        UserError: the folder cannot be written.
    """
    found = _load(folder, names)
    if found is None:
        _publish(folder, build())
        found = _load(folder, names)
    if found is None:
        raise UserError(
            f"Cache {folder} cannot be read back: check the disk or set {CACHE_VARIABLE} to another folder."
        )
    return found


def _load(folder: Path, names: tuple[str, ...]) -> Arrays | None:
    """Return the arrays of a sound entry, or None."""
    try:
        record: Mapping[str, int] = json.loads((folder / _RECORD).read_text())
        arrays: Arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}
        sound = all(_checksum(arrays[name]) == record[name] for name in names)
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None
    return arrays if sound else None


def _publish(folder: Path, arrays: Arrays) -> None:
    """Write an entry beside its place and rename it; where another process was faster, its entry stays."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        for name, array in arrays.items():
            np.save(staging / f"{name}.npy", array, allow_pickle=False)
        checksums = {name: _checksum(array) for name, array in arrays.items()}
        (staging / _RECORD).write_text(json.dumps(checksums))
        if folder.exists() and _load(folder, tuple(arrays)) is None:
            folder.rename(staging / "damaged")
        if not folder.exists():
            staging.rename(folder)
            shutil.rmtree(folder / "damaged", ignore_errors=True)
    except OSError as error:
        if _load(folder, tuple(arrays)) is None:
            raise _unwritable(folder, error) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _checksum(array: npt.NDArray[np.generic]) -> int:
    return zlib.crc32(np.ascontiguousarray(array).data.cast("B")) if array.size else 0


def _unwritable(folder: Path, error: OSError) -> UserError:
    return UserError(
        f"Cannot write the cache {folder} ({error.strerror}): free some space or name another folder in "
        f"{CACHE_VARIABLE}."
    )
