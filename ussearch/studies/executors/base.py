"""What every executor does: take jobs, tell what happens to them, give each one's outcome once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from safetensors.torch import load

from ussearch.evaluators import EpochRecord, Evaluation, Evaluator
from ussearch.files import write_atomically
from ussearch.registry import Registry
from ussearch.search_spaces import Architecture


@dataclass(frozen=True)
class Job:
    """One evaluation to be made; ``limit_s`` is the longest it may take from its start, None: as long as it needs.

    A training that is to stop after ``until_epoch`` epochs goes on from the file ``checkpoint``, and from the start
    where a worker on another machine does not see that file, to the same end. ``initial`` are the weights (safetensors)
    that it begins with instead of random ones.
    """

    trial_id: int
    architecture: Architecture
    seed: int
    limit_s: float | None = None
    until_epoch: int | None = None
    checkpoint: Path | None = None
    initial: bytes | None = field(default=None, repr=False)

    @property
    def options(self) -> dict[str, Any]:
        """What an evaluator that can stop, continue or begin with given weights is told besides."""
        options: dict[str, Any] = {}
        if self.checkpoint is not None:
            options |= {"until_epoch": self.until_epoch, "checkpoint": self.checkpoint}
        if self.initial is not None:
            options["initial"] = load(self.initial)
        return options


@dataclass(frozen=True)
class JobStarted:
    """A worker has begun with a job."""

    trial_id: int


@dataclass(frozen=True)
class EpochDone:
    """A job has trained one epoch."""

    trial_id: int
    record: EpochRecord


Message = JobStarted | EpochDone
Tell = Callable[[Message], None]


@dataclass(frozen=True)
class JobOutcome:
    """How a job ended: ``evaluation``, or None where its worker was lost, for the ``reason`` given.

    ``seconds`` is the wall-clock time of the evaluation where it was made; 0 where the worker was lost. ``traceback``
    is the whole of what is known of a loss, or of several tries: a traceback, or what the worker wrote before its end.
    """

    trial_id: int
    evaluation: Evaluation | None
    reason: str = ""
    seconds: float = 0.0
    traceback: str = ""


class Executor(Protocol):
    """Evaluates jobs, ``workers`` of them at a time, in the order they are submitted."""

    workers: int

    def submit(self, job: Job) -> None:
        """Take a job; returns at once. A job that was lost may be submitted again."""

    def collect(self, tell: Tell) -> JobOutcome:
        """Wait for the next outcome, telling what happens in the meantime; there must be an unfinished job.

        Raises UserError where no worker can be started or a worker met something that the user must mend.
        """

    def close(self) -> None:
        """End all workers at once, whatever they are doing; further calls do nothing."""


@dataclass(frozen=True)
class ExecutorSettings:
    """How many workers, and of what kind.

    Attributes:
        workers: jobs evaluated at the same time.
        threads: intra-op threads of each worker; the local executor leaves those of this process as they are.
        ray_address: of the Ray cluster (``auto``: the one on this machine).
        on_gpu: whether a job needs a GPU or a share of one; Ray must be told.
    """

    workers: int = 1
    threads: int = 1
    ray_address: str | None = None
    on_gpu: bool = False


MakeExecutor = Callable[[Evaluator, ExecutorSettings], Executor]
Staffing = Callable[[Evaluator], Executor]
"""Gives an evaluator the workers that were decided on."""
EXECUTORS: Registry[MakeExecutor] = Registry("executor")


def reason_of(error: BaseException) -> str:
    """Return an unexpected error in one line, such as ``MemoryError: no message``."""
    text = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {text}"[:500]


TRACEBACK = "traceback.txt"
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
"""What torch says on GPUs and CPUs, in lower case."""


def loss_of(outcome: JobOutcome) -> str | None:
    """Return why an outcome does not count yet: the worker was lost, or memory ran out, perhaps to a neighbour."""
    if outcome.evaluation is None:
        return outcome.reason
    return outcome.evaluation.failure if _ran_out_of_memory(outcome.evaluation) else None


def after(lost: JobOutcome | None, outcome: JobOutcome) -> JobOutcome:
    """Return the outcome of a second try with what is known of the first, which was ``lost``."""
    if lost is None:
        return outcome
    return replace(outcome, traceback="\n".join(filter(None, (lost.traceback, outcome.traceback))))


def keep_traceback(folder: Path, outcome: JobOutcome, name: str = TRACEBACK) -> None:
    """Write what is known of the losses of a job into a file of ``folder``; nothing where nothing was lost."""
    if outcome.traceback:
        write_atomically(folder / name, outcome.traceback)


def _ran_out_of_memory(evaluation: Evaluation) -> bool:
    failure = (evaluation.failure or "").lower()
    return any(words in failure for words in _OUT_OF_MEMORY)


def run_jobs(jobs: Sequence[Job], evaluator: Evaluator, staffing: Staffing, tell: Tell) -> Iterator[JobOutcome]:
    """Yield how each job ends, as soon as it does; one whose worker was lost is tried once more.

    The workers are begun for the jobs and ended behind the last one, or when the caller leaves early.
    """
    if not jobs:
        return
    lost: dict[int, JobOutcome] = {}
    by_trial_id = {job.trial_id: job for job in jobs}
    with closing(staffing(evaluator)) as executor:
        for job in jobs:
            executor.submit(job)
        left = len(jobs)
        while left:
            outcome = executor.collect(tell)
            if loss_of(outcome) is not None and outcome.trial_id not in lost:
                lost[outcome.trial_id] = outcome
                executor.submit(by_trial_id[outcome.trial_id])
                continue
            left -= 1
            yield after(lost.get(outcome.trial_id), outcome)
