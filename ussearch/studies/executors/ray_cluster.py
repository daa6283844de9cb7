"""Evaluation on an existing Ray cluster (extra ``ray``).

The evaluator is put into the object store once and fetched once a node. A task streams what happens: messages first,
its outcome last. Ray itself repeats nothing: whether a lost task is tried again is for the search to decide.
"""

from __future__ import annotations

import importlib
import math
import os
import queue
import socket
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ussearch import logs, process_settings
from ussearch.accelerators import SpoiltProcess
from ussearch.errors import UserError
from ussearch.evaluators import Evaluator, TrainingTask
from ussearch.studies.executors.base import (
    EXECUTORS,
    Executor,
    ExecutorSettings,
    Message,
    TaskOutcome,
    TaskStarted,
    Tell,
    reason_of,
)
from ussearch.studies.executors.local import evaluated, lost
from ussearch.studies.executors.processes import overdue
from ussearch.studies.executors.serialization import SerializedEvaluator, SerializedOutcome, SerializedTask
from ussearch.studies.executors.worker_process import Refused, leave_spoilt

USAGE_STATISTICS = "RAY_USAGE_STATS_ENABLED"
GLANCE_S = 0.5
"""How often time limits are looked at."""
Said = Message | SerializedOutcome | Refused | logs.RemoteRecord
"""What a task streams."""


class RayExecutor:
    """Runs ``workers`` tasks at a time on the cluster at ``address``, each with ``threads`` CPUs and a GPU's share."""

    def __init__(
        self, evaluator: Evaluator, workers: int, address: str = "auto", threads: int = 1, on_gpu: bool = False
    ) -> None:
        """Join the cluster; raises UserError as ``require_cluster`` does."""
        self.workers = workers
        self._ray, self._ours = joined(address)
        gpus = _gpus(self._ray, address) if on_gpu else 0.0
        device = torch.device("cuda" if on_gpu else "cpu")  # a task sees only the GPU that it is given
        self._evaluator = self._ray.put(SerializedEvaluator.of(evaluator, same_machine=False, device=device))
        # NOTE: left to itself Ray starts a new process for every task on a GPU.
        self._remote = self._ray.remote(max_calls=0)(_evaluated_remotely).options(
            num_cpus=threads,
            num_gpus=gpu_share(workers, gpus) if on_gpu else 0,
            max_retries=0,
            num_returns="streaming",
            runtime_env={"env_vars": {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}},
        )
        self._threads = threads
        self._waiting: deque[TrainingTask] = deque()
        self._running: dict[Any, TrainingTask] = {}
        self._deadlines: dict[int, float] = {}

    def submit(self, task: TrainingTask) -> None:
        """Take a task; it is launched when fewer than ``workers`` are there."""
        self._waiting.append(task)
        self._launch()

    def collect(self, tell: Tell) -> TaskOutcome:
        """Wait for the next outcome."""
        while True:
            self._launch()
            ready, _ = self._ray.wait(list(self._running), num_returns=1, timeout=GLANCE_S)
            outcome = self._next_of(ready[0], tell) if ready else self._first_overdue()
            if outcome is not None:
                self._launch()
                return outcome

    def close(self) -> None:
        """Cancel all tasks and leave the cluster as it was."""
        self._waiting.clear()
        for stream in list(self._running):
            self._dismiss(stream)
        if self._ours:
            self._ray.shutdown()
            self._ours = False

    def _launch(self) -> None:
        while self._waiting and len(self._running) < self.workers:
            task = self._waiting.popleft()
            level = logs.TREE.getEffectiveLevel()
            stream = self._remote.remote(self._evaluator, self._threads, SerializedTask.of(task), level)
            self._running[stream] = task

    def _next_of(self, stream: Any, tell: Tell) -> TaskOutcome | None:
        """Take the next thing that a task says: its outcome, or None after something that was told."""
        task = self._running[stream]
        try:
            said: Said = self._ray.get(next(stream))
        except (StopIteration, self._ray.exceptions.RayError) as error:
            self._forget(stream)
            return TaskOutcome(task.trial_id, None, self._loss(error), traceback=traceback.format_exc())
        match said:
            case SerializedOutcome():
                self._forget(stream)
                return said.open()
            case Refused():
                raise UserError(said.message)
            case logs.RemoteRecord():
                said.repeat("worker on the cluster")
                return None
            case TaskStarted() if task.limit_s is not None:
                self._deadlines[task.trial_id] = time.monotonic() + task.limit_s
        tell(said)
        return None

    def _loss(self, error: BaseException) -> str:
        """Return why a task came to nothing, in one line; raises UserError where the cluster can run none at all."""
        if isinstance(error, (self._ray.exceptions.RayTaskError, self._ray.exceptions.RuntimeEnvSetupError)):
            raise UserError(
                f"A node of the Ray cluster cannot run trials ({reason_of(error)}): install the same version of "
                "ussearch on every node; all finished trials are kept, the same command with --resume continues."
            ) from error
        return f"its worker on the Ray cluster was lost ({reason_of(error).partition('. ')[0]})"

    def _first_overdue(self) -> TaskOutcome | None:
        """Give up a task that has taken too long since it began; queueing in the cluster does not count."""
        for stream, task in self._running.items():
            if time.monotonic() > self._deadlines.get(task.trial_id, math.inf):
                self._dismiss(stream)
                return TaskOutcome(task.trial_id, None, overdue(task.limit_s or 0.0))
        return None

    def _dismiss(self, stream: Any) -> None:
        self._ray.cancel(stream, force=True)
        self._forget(stream)

    def _forget(self, stream: Any) -> None:
        self._deadlines.pop(self._running.pop(stream).trial_id, None)


def require_cluster(address: str, *, on_gpu: bool = False) -> None:
    """Raise UserError where Ray is not installed, the cluster cannot be reached, or it lacks the GPU that is wanted."""
    ray, ours = joined(address)
    try:
        if on_gpu:
            _gpus(ray, address)
    finally:
        if ours:
            ray.shutdown()


def _gpus(ray: Any, address: str) -> float:
    """Return how many GPUs a cluster has; raises UserError where it has none: Ray would wait for one for ever."""
    gpus = float(ray.cluster_resources().get("GPU", 0.0))
    if not gpus:
        raise UserError(
            f"The Ray cluster at {address!r} has no GPU, and trials were to train on one: give --accelerator cpu, or "
            "start a node that has a GPU."
        )
    return gpus


def joined(address: str) -> tuple[Any, bool]:
    """Return the module ``ray``, connected to the cluster at ``address``, and whether it was not connected before.

    Raises UserError where Ray is not installed or the cluster cannot be reached.
    """
    try:
        with _without_usage_statistics():
            ray: Any = importlib.import_module("ray")
    except ImportError as error:
        raise UserError("--ray needs Ray, which is not installed: pip install 'ussearch[ray]'.") from error
    if ray.is_initialized():
        return ray, False
    try:
        _require_listening(address)
        with _without_usage_statistics():
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(
            f"No Ray cluster can be reached at {address!r} ({reason_of(error)}): expected auto on a machine of the "
            "cluster, or HOST:PORT of its head; `ray start --head` starts one."
        ) from error
    return ray, True


@contextmanager
def _without_usage_statistics() -> Iterator[None]:
    """Have Ray report nothing to its makers, unless the user said otherwise; the environment is left as it was."""
    if USAGE_STATISTICS in os.environ:
        yield
        return
    os.environ[USAGE_STATISTICS] = "0"
    try:
        yield
    finally:
        os.environ.pop(USAGE_STATISTICS, None)


def _require_listening(address: str) -> None:
    """Raise OSError or ValueError where nobody listens at HOST:PORT: Ray would wait for minutes, then end us."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if "://" in address or not port.isdecimal():
        raise ValueError("not HOST:PORT")
    with socket.create_connection((host, int(port)), timeout=5):
        pass


def gpu_share(workers: int, gpus: float) -> float:
    """Return what one of ``workers`` tasks takes of a GPU, so that all of them fit; one GPU at most."""
    return 1.0 / max(1, math.ceil(workers / gpus)) if gpus else 1.0


def _evaluated_remotely(
    serialized: SerializedEvaluator, threads: int, task: SerializedTask, log_level: int
) -> Iterator[Said]:
    """Carry a task out on a node, in a thread beside this generator."""
    said: queue.SimpleQueue[Said] = queue.SimpleQueue()

    def work() -> None:
        try:
            with logs.listening(logs.Forwarding(said.put), log_level):
                outcome = _evaluated_in_thread(serialized, threads, task, said.put)
            said.put(SerializedOutcome.of(outcome))  # the last word, once the log is as it was: the next task may begin
        except SpoiltProcess:
            leave_spoilt()
        except UserError as error:
            said.put(Refused(str(error)))
        except Exception as error:
            said.put(SerializedOutcome.of(lost(task.task, error)))

    threading.Thread(target=work, daemon=True).start()
    while True:
        message = said.get()
        yield message
        if isinstance(message, SerializedOutcome | Refused):
            return


def _evaluated_in_thread(
    serialized: SerializedEvaluator, threads: int, task: SerializedTask, tell: Tell
) -> TaskOutcome:
    process_settings.settle()
    torch.set_num_threads(threads)  # here, because OpenMP keeps the number of threads by thread
    return evaluated(serialized.open(), task.open(), tell)


@EXECUTORS.register("ray")
def _ray(evaluator: Evaluator, settings: ExecutorSettings) -> Executor:
    return RayExecutor(evaluator, settings.workers, settings.ray_address or "auto", settings.threads, settings.on_gpu)
