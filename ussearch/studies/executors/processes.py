"""Evaluation in worker processes of this machine.

A thread of the driver looks after the workers, so that none waits while the driver drafts or writes. Workers that die
or hang are replaced; their tasks come back as lost.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from multiprocessing import Pipe
from multiprocessing.connection import wait

from ussearch.errors import UserError
from ussearch.evaluators import Evaluator, TrainingTask
from ussearch.logs import RemoteRecord
from ussearch.studies.executors.base import (
    EXECUTORS,
    EpochDone,
    Executor,
    ExecutorSettings,
    Message,
    TaskOutcome,
    TaskStarted,
    Tell,
)
from ussearch.studies.executors.serialization import SerializedEvaluator, SerializedOutcome
from ussearch.studies.executors.worker_process import Hello, Ready, Refused, WorkerProcess

GLANCE_S = 0.5
"""How often time limits are looked at."""
MOST_FALSE_STARTS = 3
"""Workers that end before they are ready, one after the other, before the executor gives up."""


class ProcessExecutor:
    """Up to ``workers`` processes, started when the first tasks come, each with ``threads`` intra-op threads.

    Where the evaluator trains on cards they are spread over them: a new worker gets the card that has the fewest.
    """

    def __init__(self, evaluator: Evaluator, workers: int, threads: int = 1) -> None:
        self.workers = workers
        self._threads = threads
        self._evaluator = SerializedEvaluator.of(evaluator, same_machine=True)
        self._tasks: deque[TrainingTask] = deque()
        self._news: queue.SimpleQueue[Message | TaskOutcome | Exception] = queue.SimpleQueue()
        self._workers: list[WorkerProcess] = []
        self._false_starts = 0
        self._closing = False
        self._bell, self._button = Pipe(duplex=False)
        self._thread = threading.Thread(target=self._look_after, name="workers", daemon=True)

    def submit(self, task: TrainingTask) -> None:
        """Take a task."""
        self._tasks.append(task)
        if not self._thread.is_alive():
            self._thread.start()
        self._button.send_bytes(b"task")

    def collect(self, tell: Tell) -> TaskOutcome:
        """Wait for the next outcome."""
        while True:
            news = self._news.get()
            if isinstance(news, Exception):
                raise news
            if isinstance(news, TaskOutcome):
                return news
            tell(news)

    def close(self) -> None:
        """Kill all workers."""
        if self._closing:
            return
        self._closing = True
        if self._thread.is_alive():
            self._button.send_bytes(b"end")
            self._thread.join(timeout=10)  # longer only where it is stuck in sending to a worker that stopped reading
        for worker in list(self._workers):
            worker.kill()

    @property
    def pids(self) -> list[int]:
        """Ids of the processes that are there now."""
        return [worker.pid for worker in list(self._workers)]

    def _look_after(self) -> None:
        """Start workers for the tasks, listen to the workers, replace those that are lost; the body of the thread."""
        try:
            while not self._closing:
                self._hire()
                self._distribute()
                self._listen()
                self._dismiss_the_overdue()
        except Exception as error:
            self._news.put(error)

    def _hire(self) -> None:
        """Start as many processes as there are tasks for."""
        free = sum(worker.task is None for worker in self._workers)
        for _ in range(min(self.workers - len(self._workers), len(self._tasks) - free)):
            taken = [worker.card for worker in self._workers]
            card = min(self._evaluator.cards, key=taken.count, default=None)
            self._workers.append(WorkerProcess(self._threads, card))

    def _distribute(self) -> None:
        for worker in [each for each in self._workers if each.idle]:
            if self._tasks:
                try:
                    worker.give(self._tasks.popleft())
                except OSError:
                    self._lose(worker, worker.cause_of_death())

    def _listen(self) -> None:
        """Wait a while for news, and take one piece from everyone who has some."""
        by_connection = {worker.connection: worker for worker in self._workers}
        for source in wait([self._bell, *by_connection], timeout=GLANCE_S):
            if source is self._bell:
                self._bell.recv_bytes()
                continue
            worker = by_connection[source]  # type: ignore[index]  # the bell is the only other thing waited for
            try:
                self._hear(worker, worker.connection.recv())
            except (EOFError, OSError):
                self._lose(worker, worker.cause_of_death())

    def _hear(self, worker: WorkerProcess, message: object) -> None:
        match message:
            case Hello():
                worker.equip(self._evaluator)
            case Ready():
                worker.settle()
                self._false_starts = 0
            case TaskStarted() | EpochDone():
                self._news.put(message)
            case RemoteRecord():
                message.repeat(f"worker {worker.pid}")
            case SerializedOutcome():
                worker.release()
                self._news.put(message.open())
            case Refused():
                raise UserError(message.message)

    def _dismiss_the_overdue(self) -> None:
        for worker in [each for each in self._workers if each.overdue]:
            limit_s = worker.task.limit_s if worker.task else None
            self._lose(worker, "its worker did not start" if limit_s is None else overdue(limit_s))

    def _lose(self, worker: WorkerProcess, reason: str) -> None:
        """Give up a worker, and its task with it."""
        self._workers.remove(worker)
        words = worker.words()
        worker.kill()
        if worker.task is not None:
            self._news.put(TaskOutcome(worker.task.trial_id, None, reason, traceback=f"{reason}\n{words}"))
            return
        self._false_starts += not worker.ready
        if self._false_starts >= MOST_FALSE_STARTS:
            raise UserError(
                f"No worker process can be started ({reason}): give fewer --workers or mend the machine; all finished "
                "trials are kept, the same command with --resume continues."
            )


def overdue(limit_s: float) -> str:
    """Return the reason of a task that was given up because of its time."""
    return f"it took longer than its time limit of {limit_s:.0f} s (--trial-timeout)"


@EXECUTORS.register("process")
def _process(evaluator: Evaluator, settings: ExecutorSettings) -> Executor:
    return ProcessExecutor(evaluator, settings.workers, settings.threads)
