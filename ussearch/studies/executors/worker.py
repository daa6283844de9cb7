"""A worker process: evaluates jobs until its driver is gone.

It says Hello when it can listen, gets the parcel, says Ready, and from then on answers every job with messages and a
letter. A thread reads the pipe, so that the end of the driver ends the worker at once, in the middle of a training.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection

from ussearch.errors import UserError
from ussearch.studies.executors.base import Job
from ussearch.studies.executors.letters import Letter
from ussearch.studies.executors.local import evaluated
from ussearch.studies.executors.parcels import Parcel


@dataclass(frozen=True)
class Hello:
    """The worker has been started and listens."""


@dataclass(frozen=True)
class Ready:
    """The worker has unpacked the evaluator and takes jobs."""


@dataclass(frozen=True)
class Refused:
    """Something that the user must mend, in one sentence; the worker ends."""

    message: str


@dataclass(frozen=True)
class Assignment:
    """What a worker gets first: the evaluator, and how many intra-op threads it may use."""

    parcel: Parcel
    threads: int


def main() -> None:
    """Serve the driver at the other end of the socket whose number is the program's argument; never returns."""
    connection = Connection(int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides when its workers stop
    inbox: queue.SimpleQueue[Assignment | Job] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(connection, inbox), daemon=True).start()
    connection.send(Hello())
    assignment = inbox.get()
    assert isinstance(assignment, Assignment)
    try:
        serve(connection, inbox, assignment)
    except UserError as error:
        connection.send(Refused(str(error)))


def serve(connection: Connection, inbox: queue.SimpleQueue[Assignment | Job], assignment: Assignment) -> None:
    """Evaluate jobs one after the other; raises UserError as the evaluator does."""
    import torch

    torch.set_num_threads(assignment.threads)
    evaluator = assignment.parcel.open()
    connection.send(Ready())
    while True:
        job = inbox.get()
        assert isinstance(job, Job)
        connection.send(Letter.of(evaluated(evaluator, job, connection.send)))


def _read(connection: Connection, inbox: queue.SimpleQueue[Assignment | Job]) -> None:
    """Pass on what the driver sends; end the process where the driver has ended."""
    try:
        while True:
            inbox.put(connection.recv())
    except (EOFError, OSError):
        os._exit(0)  # not sys.exit: the main thread is training and would go on
