"""Evaluation in this process: nothing travels, nothing runs side by side."""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable

from ussearch.errors import UserError
from ussearch.evaluators import EpochRecord, Evaluator
from ussearch.studies.executors.base import (
    EXECUTORS,
    EpochDone,
    Executor,
    ExecutorSettings,
    Job,
    JobOutcome,
    JobStarted,
    Tell,
    reason_of,
)


class LocalExecutor:
    """Evaluates one job at a time while it is collected; it cannot interrupt one, so time limits do not hold here."""

    workers = 1

    def __init__(self, evaluator: Evaluator, clock: Callable[[], float] = time.perf_counter) -> None:
        self._evaluator, self._clock = evaluator, clock
        self._jobs: deque[Job] = deque()

    def submit(self, job: Job) -> None:
        """Take a job."""
        self._jobs.append(job)

    def collect(self, tell: Tell) -> JobOutcome:
        """Evaluate the oldest job."""
        return evaluated(self._evaluator, self._jobs.popleft(), tell, self._clock)

    def close(self) -> None:
        """Forget the jobs that have not begun."""
        self._jobs.clear()


def evaluated(evaluator: Evaluator, job: Job, tell: Tell, clock: Callable[[], float] = time.perf_counter) -> JobOutcome:
    """Evaluate a job here and now; this is what workers do, too.

    An error that is neither the candidate's (those are evaluations with a ``failure``) nor the user's loses the job.
    """

    def on_epoch(record: EpochRecord) -> None:
        tell(EpochDone(job.trial_id, record))

    tell(JobStarted(job.trial_id))
    start = clock()
    try:
        evaluation = evaluator.evaluate(job.architecture, job.seed, on_epoch, **job.options)
    except UserError:
        raise
    except Exception as error:
        return JobOutcome(job.trial_id, None, reason_of(error), traceback=traceback.format_exc())
    return JobOutcome(job.trial_id, evaluation, seconds=clock() - start)


def in_this_process(evaluator: Evaluator) -> Executor:
    """Staff an evaluator with this process alone."""
    return LocalExecutor(evaluator)


@EXECUTORS.register("local")
def _local(evaluator: Evaluator, settings: ExecutorSettings) -> Executor:
    if settings.workers != 1:
        raise ValueError(f"the local executor has one worker, not {settings.workers}")
    return LocalExecutor(evaluator)
