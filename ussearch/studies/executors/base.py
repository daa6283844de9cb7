"""What every executor does: take tasks, tell what happens to them, give each one's outcome once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ussearch.accelerators import lacks_memory
from ussearch.evaluators import EpochRecord, Evaluation, Evaluator, TrainingTask
from ussearch.files import write_atomically
from ussearch.registry import Registry


@dataclass(frozen=True)
class TaskStarted:
    """A worker has begun with a task."""

    trial_id: int


@dataclass(frozen=True)
class EpochDone:
    """A task has trained one epoch."""

    trial_id: int
    record: EpochRecord


Message = TaskStarted | EpochDone
Tell = Callable[[Message], None]


@dataclass(frozen=True)
class TaskOutcome:
    """How a task ended: ``evaluation``, or None where its worker was lost, for the ``reason`` given.

    ``seconds`` is the wall-clock time of the evaluation where it was made; 0 where the worker was lost. ``traceback``
    is the whole of what is known of a loss, or of several tries: a traceback, or what the worker wrote before its end.
    """

    trial_id: int
    evaluation: Evaluation | None
    reason: str = ""
    seconds: float = 0.0
    traceback: str = ""


class Executor(Protocol):
    """Evaluates tasks, ``workers`` of them at a time, in the order they are submitted."""

    workers: int

    def submit(self, task: TrainingTask) -> None:
        """Take a task; returns at once. A task that was lost may be submitted again."""

    def collect(self, tell: Tell) -> TaskOutcome:
        """Wait for the next outcome, telling what happens in the meantime; there must be an unfinished task.

        Raises UserError where no worker can be started or a worker met something that the user must mend.
        """

    def close(self) -> None:
        """End all workers at once, whatever they are doing; further calls do nothing."""


@dataclass(frozen=True)
class ExecutorSettings:
    """How many workers, and of what kind.

    Attributes:
        workers: tasks evaluated at the same time.
        threads: intra-op threads of each worker; the local executor leaves those of this process as they are.
        ray_address: of the Ray cluster (``auto``: the one on this machine).
        on_gpu: whether a task needs a GPU or a share of one; Ray must be told.
    """

    workers: int = 1
    threads: int = 1
    ray_address: str | None = None
    on_gpu: bool = False


ExecutorFactory = Callable[[Evaluator], Executor]
"""Makes the executor of an evaluator, with the workers that were decided on."""
EXECUTORS: Registry[Callable[[Evaluator, ExecutorSettings], Executor]] = Registry("executor")


def reason_of(error: BaseException) -> str:
    """Return an unexpected error in one line, such as ``MemoryError: no message``."""
    text = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {text}"[:500]


TRACEBACK = "traceback.txt"


def loss_of(outcome: TaskOutcome) -> str | None:
    """Return why an outcome does not count yet: the worker was lost, or memory ran out, perhaps to a neighbour."""
    if outcome.evaluation is None:
        return outcome.reason
    failure = outcome.evaluation.failure
    return failure if failure is not None and lacks_memory(failure) else None


def after(lost: TaskOutcome | None, outcome: TaskOutcome) -> TaskOutcome:
    """Return the outcome of a second try with what is known of the first, which was ``lost``."""
    if lost is None:
        return outcome
    return replace(outcome, traceback="\n".join(filter(None, (lost.traceback, outcome.traceback))))


def keep_traceback(folder: Path, outcome: TaskOutcome, name: str = TRACEBACK) -> None:
    """Write what is known of the losses of a task into a file of ``folder``; nothing where nothing was lost."""
    if outcome.traceback:
        write_atomically(folder / name, outcome.traceback)


def run_tasks(
    tasks: Sequence[TrainingTask], evaluator: Evaluator, make_executor: ExecutorFactory, tell: Tell
) -> Iterator[TaskOutcome]:
    """Yield how each task ends, as soon as it does; one whose worker was lost is tried once more.

    The workers are begun for the tasks and ended behind the last one, or when the caller leaves early.
    """
    if not tasks:
        return
    lost: dict[int, TaskOutcome] = {}
    by_trial_id = {task.trial_id: task for task in tasks}
    with closing(make_executor(evaluator)) as executor:
        for task in tasks:
            executor.submit(task)
        left = len(tasks)
        while left:
            outcome = executor.collect(tell)
            if loss_of(outcome) is not None and outcome.trial_id not in lost:
                lost[outcome.trial_id] = outcome
                executor.submit(by_trial_id[outcome.trial_id])
                continue
            left -= 1
            yield after(lost.get(outcome.trial_id), outcome)
