"""One driver a study: a lock that names its holder, so that a dead one is recognised at once.

Whoever takes the lock finishes what a dead driver left: folders that were set aside stand again, what was half-written
is removed.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ussearch.errors import UserError
from ussearch.files import recover, write_atomically


class Holder(BaseModel):
    """A process: its id alone is not enough, because ids are given again to later processes."""

    model_config = ConfigDict(frozen=True)

    host: str
    pid: int
    started: str

    @classmethod
    def this_process(cls) -> Holder:
        """Describe the running process."""
        return cls(host=socket.gethostname(), pid=os.getpid(), started=process_start(os.getpid()) or "")

    @property
    def alive(self) -> bool:
        """Whether the process still runs. One on another machine is believed to: it cannot be asked."""
        return self.host != socket.gethostname() or process_start(self.pid) == self.started


def process_start(pid: int) -> str | None:
    """Return what tells this process from a later one with the same id; None where there is no such process."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            return None
        # NOTE: fields after the name in parentheses: 0 is the state (Z: dead, not yet collected), 19 the start in
        # ticks since boot; the boot's id tells this boot from another one.
        boot = Path("/proc/sys/kernel/random/boot_id")
        this_boot = boot.read_text().strip() if boot.exists() else "unknown boot"
        return None if fields[0] in "ZX" else f"{fields[19]} ticks after boot {this_boot}"
    answer = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None


@contextmanager
def held(path: Path) -> Iterator[Holder]:
    """Hold the lock file ``path`` for the block, and with it its folder; a dead holder's lock is taken over at once.

    What a dead driver left in the folder is mended first; a folder made for the lock is removed if it stays empty.
    Raises UserError naming the holder where another live process has the lock, or where the folder cannot be written.
    """
    mine = Holder.this_process()
    missing = missing_folders(path.parent)
    while not _acquired(path, mine):
        _discard(path, _dead_holder(path))
    try:
        recover(path.parent.rglob(".*"), own=True)  # this process has only just begun: what bears its id is of another
        yield mine
    finally:
        if _holder(path) == mine:
            path.unlink(missing_ok=True)
        remove_empty(missing)


def is_lock(path: Path) -> bool:
    """Tell whether a file is a lock that a driver holds or held."""
    return _holder(path) is not None


def missing_folders(folder: Path) -> list[Path]:
    """Return those of ``folder`` and the folders that it lies in that are not there, innermost first."""
    return [each for each in (folder, *folder.parents) if not each.exists()]


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove the folders in which nothing lies, innermost first."""
    for each in folders:
        with suppress(OSError):  # there is something in it, or it was never made
            each.rmdir()


def _dead_holder(path: Path) -> Holder | None:
    """Return the dead holder of the lock file ``path``, if any; raises UserError where a live one has it."""
    holder = _holder(path)
    if holder is not None and holder.alive:
        raise UserError(
            f"{path.parent} is being worked on by process {holder.pid} on {holder.host}: wait for it, stop it, or, if "
            f"it is certainly gone, delete {path}."
        )
    return holder


def _acquired(path: Path, mine: Holder) -> bool:
    """Create the lock with its content in one step; False where there is one already."""
    draft = path.with_name(f".{path.name}.{mine.pid}.draft.part")
    write_atomically(draft, mine.model_dump_json())
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    return True


def _holder(path: Path) -> Holder | None:
    """Return who holds the lock; None where it is gone or unreadable."""
    try:
        return Holder.model_validate(json.loads(path.read_text()))
    except (OSError, ValueError, ValidationError):
        return None


def _discard(path: Path, stale: Holder | None) -> None:
    """Remove a stale lock, unless another process has taken it over in the meantime."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.stale.part")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    if _holder(aside) != stale:
        aside.rename(path)
    else:
        aside.unlink()
