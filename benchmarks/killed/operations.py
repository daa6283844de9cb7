"""What a command does to the files below a folder, one operation after the other, and the end of it at the n-th.

The interpreter itself tells of writes, renames and removals (``sys.addaudithook``), before each is done, so that only
what a C library does goes unseen (the SQLite file); syncs, of which it tells nothing, are seen by a wrapper of
``os.fsync``. Nothing in the package knows of this.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
TEMPORARY = re.compile(r"\.\d+\.[a-z0-9_]+\.part")


@dataclass(frozen=True)
class Operation:
    """One operation: ``kind`` is write, sync, rename, removal, folder or link; ``source`` is that of a rename."""

    kind: str
    path: str
    source: str = ""

    @property
    def title(self) -> str:
        """The path without what differs from one process to the next."""
        return TEMPORARY.sub(".part", self.path)

    @property
    def sets_aside(self) -> bool:
        """Whether a folder that is replaced is set aside; the new one's rename into its place comes next."""
        return self.kind == "rename" and self.path.endswith(".aside")


class Watch:
    """Sees every operation below ``root`` in this process, from ``begin`` on, and kills it before the n-th."""

    def __init__(self, root: Path, kill_at: int = 0) -> None:
        self.operations: list[Operation] = []
        self._root, self._kill_at = str(root.resolve()) + os.sep, kill_at

    def begin(self) -> None:
        """Watch from now on; it cannot be undone in this process."""
        sys.addaudithook(self._seen)
        sync = os.fsync

        def seen_sync(descriptor: Any) -> None:
            number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
            self._note("sync", _folder_at(number))
            sync(descriptor)

        os.fsync = seen_sync

    def _seen(self, event: str, arguments: tuple[Any, ...]) -> None:
        told = EVENTS.get(event)
        if told is not None:
            told(self._note, arguments)

    def _note(self, kind: str, path: Any, source: Any = "", folder: int = -1) -> None:
        absolute = _absolute(path, folder)
        if absolute is None or not absolute.startswith(self._root):
            return
        self.operations.append(Operation(kind, self._short(absolute), self._short(_absolute(source, -1) or "")))
        if len(self.operations) == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def _short(self, absolute: str) -> str:
        return absolute.removeprefix(self._root)


Note = Callable[..., None]


def _opened(note: Note, arguments: tuple[Any, ...]) -> None:
    path, _, flags = arguments
    if isinstance(flags, int) and flags & WRITING and not isinstance(path, int):
        note("write", path)


EVENTS: dict[str, Callable[[Note, tuple[Any, ...]], None]] = {
    "open": _opened,
    "os.rename": lambda note, arguments: note("rename", arguments[1], arguments[0]),
    "os.remove": lambda note, arguments: note("removal", arguments[0], folder=arguments[1]),
    "os.rmdir": lambda note, arguments: note("removal", arguments[0], folder=arguments[1]),
    "os.mkdir": lambda note, arguments: note("folder", arguments[0], folder=arguments[2]),
    "os.link": lambda note, arguments: note("link", arguments[1], arguments[0]),
}


def _absolute(path: Any, folder: int) -> str | None:
    """Return the absolute path, also of one that is relative to an open folder; None where there is none."""
    if not path:
        return None
    start = Path.cwd() if folder == -1 else _folder_at(folder)
    return os.path.normpath(start / os.fsdecode(path))


def _folder_at(descriptor: int) -> Path:
    """Return which file or folder is open."""
    return Path(f"/proc/self/fd/{descriptor}").readlink()
