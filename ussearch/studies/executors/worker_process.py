"""A worker process: what it does until its driver is gone, and how its driver sees it."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any, NoReturn

from ussearch import logs, process_settings
from ussearch.accelerators import SpoiltProcess, only_card
from ussearch.errors import UserError
from ussearch.evaluators import TrainingTask
from ussearch.studies.executors.local import evaluated
from ussearch.studies.executors.serialization import SerializedEvaluator, SerializedOutcome, SerializedTask


@dataclass(frozen=True)
class Hello:
    """The worker has been started and listens."""


@dataclass(frozen=True)
class Ready:
    """The worker has unpacked the evaluator and takes tasks."""


@dataclass(frozen=True)
class Refused:
    """Something that the user must mend, in one sentence; the worker ends."""

    message: str


@dataclass(frozen=True)
class Assignment:
    """What a worker gets first: the evaluator, how many intra-op threads it may use, what of its log is wanted."""

    evaluator: SerializedEvaluator
    threads: int
    log_level: int


def main() -> None:
    """Serve the driver at the other end of the socket whose number is the program's argument; never returns."""
    connection = Connection(int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides when its workers stop
    inbox: queue.SimpleQueue[Assignment | SerializedTask] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(connection, inbox), daemon=True).start()
    connection.send(Hello())
    assignment = inbox.get()
    assert isinstance(assignment, Assignment)
    try:
        with logs.listening(logs.Forwarding(connection.send), assignment.log_level):
            serve(connection, inbox, assignment)
    except SpoiltProcess:
        leave_spoilt()
    except UserError as error:
        connection.send(Refused(str(error)))


def leave_spoilt() -> NoReturn:
    """End a process that a card's error has spoilt, so that another takes its place and the task is tried again.

    At once: what would be tidied up is on the card, and would wait for it.
    """
    traceback.print_exc()
    sys.stderr.flush()
    os._exit(1)


def serve(
    connection: Connection, inbox: queue.SimpleQueue[Assignment | SerializedTask], assignment: Assignment
) -> None:
    """Evaluate tasks one after the other; raises UserError as the evaluator does, SpoiltProcess among them."""
    import torch

    torch.set_num_threads(assignment.threads)
    evaluator = assignment.evaluator.open()
    process_settings.settle()
    connection.send(Ready())
    while True:
        task = inbox.get()
        assert isinstance(task, SerializedTask)
        connection.send(SerializedOutcome.of(evaluated(evaluator, task.open(), connection.send)))


def _read(connection: Connection, inbox: queue.SimpleQueue[Assignment | SerializedTask]) -> None:
    """Pass on what the driver sends; end the process where the driver has ended."""
    try:
        while True:
            inbox.put(connection.recv())
    except (EOFError, OSError):
        os._exit(0)  # not sys.exit: the main thread is training and would go on


PROGRAM = "from ussearch.studies.executors.worker_process import main; main()"
"""Not run by ``-m``: what a worker sends must be of the same classes as the driver's, not of a second ``__main__``."""
START_LIMIT_S = 600.0
"""Importing torch takes seconds; minutes on a machine that is far too busy."""

MOST_WORDS = 1 << 20
"""Bytes that are kept of what a lost worker wrote."""


class WorkerProcess:
    """A process that evaluates one task at a time; it is ``ready`` once it has the evaluator.

    Of the GPUs it sees the one numbered ``card``, or all where that is None.
    """

    def __init__(self, threads: int, card: int | None = None) -> None:
        """Start the process; it imports its modules while the driver goes on."""
        ours, theirs = socket.socketpair()
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the worker)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                env=_environment(threads, card),
                stdin=subprocess.DEVNULL,
                stdout=self._stderr,
                stderr=self._stderr,
                start_new_session=True,  # Ctrl-C in the terminal is the driver's to handle
            )
        self.connection = Connection(ours.detach())
        self.ready = False
        self.card = card
        self.task: TrainingTask | None = None
        self._threads = threads
        self._deadline: float | None = time.monotonic() + START_LIMIT_S

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def idle(self) -> bool:
        """Whether it waits for a task."""
        return self.ready and self.task is None

    @property
    def overdue(self) -> bool:
        """Whether its task, or its start, has taken longer than it may."""
        return self._deadline is not None and time.monotonic() > self._deadline

    def equip(self, evaluator: SerializedEvaluator) -> None:
        """Send the evaluator; raises OSError where the process has ended."""
        self.connection.send(Assignment(evaluator, self._threads, logs.TREE.getEffectiveLevel()))

    def settle(self) -> None:
        """Note that the process has the evaluator and waits for tasks."""
        self.ready, self._deadline = True, None

    def give(self, task: TrainingTask) -> None:
        """Send a task, whose time limit begins now; raises OSError where the process has ended."""
        self.task = task
        self._deadline = None if task.limit_s is None else time.monotonic() + task.limit_s
        self.connection.send(SerializedTask.of(task))

    def release(self) -> None:
        """Note that its task is done."""
        self.task, self._deadline = None, None

    def kill(self) -> None:
        """End the process at once and wait for its end."""
        self._process.kill()
        self._process.wait()
        self.connection.close()
        self._stderr.close()

    def cause_of_death(self) -> str:
        """Return how a process that closed its pipe came to its end, with the last line it wrote."""
        try:
            status = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            return "its worker process stopped answering"
        if status == -signal.SIGKILL:
            return "its worker process was killed (SIGKILL: by hand, or by the system for lack of memory)"
        end = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        return f"its worker process {end}{self._last_words()}"

    def words(self) -> str:
        """Return what the process has written so far, the last MiB of it."""
        self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, self._stderr.tell() - MOST_WORDS))
        return self._stderr.read().decode(errors="replace")

    def _last_words(self) -> str:
        lines = self.words().strip().splitlines()
        return f": {lines[-1].strip()[:300]}" if lines else ""


def _environment(threads: int, card: int | None) -> dict[str, str]:
    """Return the environment of a worker: threads that soon sleep while they wait, our modules, and its card."""
    settings: dict[str, Any] = {
        "OMP_NUM_THREADS": threads,
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", "10000"),  # as the command line sets it, and why: cli/app.py
        "PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path),
    }
    seen = {} if card is None else only_card(card)
    return {**os.environ, **{name: str(value) for name, value in settings.items()}, **seen}
