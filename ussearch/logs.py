"""What the package says while it works: one tree of loggers, ``ussearch.*``, and the handlers that its programs attach.

A module speaks by ``logging.getLogger(__name__)``: numbers of trials, stages, durations; never what a patient could be
known by, so neither names of image files nor identifiers. Only who owns the process (the command line, a worker) or the
study (the holder of its lock) attaches a handler; the root logger is left alone.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

TREE = logging.getLogger("ussearch")
FORMAT = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")


class StandardError(logging.StreamHandler):  # type: ignore[type-arg]  # not generic at run time before Python 3.11
    """Writes to what standard error is at the moment: a live display puts its own in its place."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(FORMAT)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        self.stream = sys.stderr
        super().emit(record)


class LogFile(logging.FileHandler):
    """Adds lines to a file once another one, ``begun``, exists; keeps until then what is said before."""

    def __init__(self, path: Path, begun: Path) -> None:
        super().__init__(path, encoding="utf-8", delay=True)
        self.setFormatter(FORMAT)
        self._begun, self._early = begun, list[logging.LogRecord]()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, after those that had to wait."""
        self._early.append(record)
        if self.stream is not None or self._begun.exists():
            waiting, self._early = self._early, []
            for each in waiting:
                super().emit(each)


@dataclass(frozen=True)
class RemoteRecord:
    """What another process said, on its way to the one that keeps the log."""

    level: int
    logger: str
    text: str

    def repeat(self, place: str) -> None:
        """Say it here, by the same logger at the same level; ``place`` tells whose words these are."""
        logging.getLogger(self.logger).log(self.level, "%s: %s", place, self.text)


class Forwarding(logging.Handler):
    """Hands what is said in this process to another one; silent where that is gone."""

    def __init__(self, send: Callable[[RemoteRecord], None]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""
        with suppress(OSError):
            self._send(RemoteRecord(record.levelno, record.name, record.getMessage()))


class _Above(logging.Handler):
    """Gives the handlers above the tree what they got before a handler of the tree wanted more."""

    def emit(self, record: logging.LogRecord) -> None:
        above = TREE.parent
        if above is not None and above.hasHandlers():
            above.callHandlers(record)


class _Listeners:
    """Who listens to the tree, in whatever order they end; without any, the tree is as others have set it."""

    def __init__(self) -> None:
        self._lock, self._handlers = threading.Lock(), list[logging.Handler]()
        self._level, self._propagate, self._above = TREE.level, TREE.propagate, _Above()

    def add(self, handler: logging.Handler) -> None:
        """Have ``handler`` get what the tree says."""
        with self._lock:
            if not self._handlers:
                self._level, self._propagate = TREE.level, TREE.propagate
                self._above.setLevel(TREE.getEffectiveLevel())
                if TREE.propagate:
                    TREE.addHandler(self._above)
                TREE.propagate = False
            self._handlers.append(handler)
            TREE.addHandler(handler)
            self._open()

    def remove(self, handler: logging.Handler) -> None:
        """Take ``handler`` out again."""
        with self._lock:
            TREE.removeHandler(handler)
            self._handlers.remove(handler)
            if self._handlers:
                self._open()
                return
            TREE.removeHandler(self._above)
            TREE.propagate = self._propagate
            TREE.setLevel(self._level)

    def turn(self, handler: logging.Handler, level: int) -> None:
        """Have a handler that listens get what is said at ``level`` and above from now on."""
        with self._lock:
            handler.setLevel(level)
            if self._handlers:
                self._open()

    def _open(self) -> None:
        """Let pass what at least one handler wants."""
        TREE.setLevel(min(each.level for each in (self._above, *self._handlers)))


_LISTENERS = _Listeners()


@contextmanager
def listening(handler: logging.Handler, level: int) -> Iterator[None]:
    """Have ``handler`` get what the tree says at ``level`` and above for the block; others get what they got before."""
    handler.setLevel(level)
    _LISTENERS.add(handler)
    try:
        yield
    finally:
        _LISTENERS.remove(handler)
        handler.close()


def turn_to(handler: logging.Handler, level: int) -> None:
    """Have a handler that is listening get what is said at ``level`` and above from now on."""
    _LISTENERS.turn(handler, level)
