"""The real command line on a pseudo-terminal, as a person at a keyboard has it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

ESCAPE = re.compile(rb"\x1b")
HIDE_CURSOR, SHOW_CURSOR = b"\x1b[?25l", b"\x1b[?25h"
CTRL_C = b"\x03"
PATIENCE_S = 300.0


@dataclass(frozen=True)
class Session:
    """What came out of a terminal, byte by byte, and the exit status."""

    status: int
    raw: bytes

    @property
    def text(self) -> str:
        """The bytes without control sequences; what was written over a line is a line of its own."""
        return re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", self.raw).decode().replace("\r\n", "\n").replace("\r", "\n")


def on_a_terminal(
    *arguments: object,
    columns: int = 80,
    rows: int = 40,
    interrupt_at: bytes = b"",
    terminate: bool = False,
    **variables: str,
) -> Session:
    """Run ``ussearch ARGUMENTS``; as soon as ``interrupt_at`` has been shown, press Ctrl-C or send SIGTERM."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    child = os.fork()
    if child == 0:
        os.close(ours)
        os.login_tty(theirs) if hasattr(os, "login_tty") else _take(theirs)
        plain = {
            name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")
        }
        environment = {**plain, "TERM": "xterm-256color", **variables}
        os.execve(sys.executable, [sys.executable, "-m", "ussearch", *map(str, arguments)], environment)
    os.close(theirs)
    end = partial(os.kill, child, signal.SIGTERM) if terminate else partial(os.write, ours, CTRL_C)
    raw = _read(ours, interrupt_at, end)
    os.close(ours)
    return Session(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), raw)


def _take(terminal: int) -> None:
    """Make a terminal that of this process: for Pythons without ``os.login_tty``."""
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    for stream in (0, 1, 2):
        os.dup2(terminal, stream)


def _read(terminal: int, interrupt_at: bytes, end: Callable[[], object]) -> bytes:
    raw, deadline = b"", time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        ready, _, _ = select.select([terminal], [], [], 1.0)
        try:
            block = os.read(terminal, 1 << 16) if ready else None
        except OSError:  # how Linux says that the other side was closed
            return raw
        if block == b"":
            return raw
        raw += block or b""
        if interrupt_at and interrupt_at in raw:
            end()
            interrupt_at = b""
    raise AssertionError(f"the command did not end within {PATIENCE_S:.0f} s: {raw[-500:]!r}")
