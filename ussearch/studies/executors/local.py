"""Evaluation in this process: nothing travels, nothing runs side by side."""

from __future__ import annotations

import logging
import time
import traceback
from collections import deque
from collections.abc import Callable

from ussearch.errors import UserError
from ussearch.evaluators import EpochRecord, Evaluator, TrainingTask
from ussearch.studies.executors.base import (
    EXECUTORS,
    EpochDone,
    Executor,
    ExecutorSettings,
    TaskOutcome,
    TaskStarted,
    Tell,
    reason_of,
)

LOG = logging.getLogger(__name__)


class LocalExecutor:
    """Evaluates one task at a time while it is collected; it cannot interrupt one, so time limits do not hold here."""

    workers = 1

    def __init__(self, evaluator: Evaluator, clock: Callable[[], float] = time.perf_counter) -> None:
        self._evaluator, self._clock = evaluator, clock
        self._tasks: deque[TrainingTask] = deque()

    def submit(self, task: TrainingTask) -> None:
        """Take a task."""
        self._tasks.append(task)

    def collect(self, tell: Tell) -> TaskOutcome:
        """Evaluate the oldest task."""
        return evaluated(self._evaluator, self._tasks.popleft(), tell, self._clock)

    def close(self) -> None:
        """Forget the tasks that have not begun."""
        self._tasks.clear()


def evaluated(
    evaluator: Evaluator, task: TrainingTask, tell: Tell, clock: Callable[[], float] = time.perf_counter
) -> TaskOutcome:
    """Evaluate a task here and now; this is what workers do, too.

    An error that is neither the candidate's (those are evaluations with a ``failure``) nor the user's loses the task.
    """

    def on_epoch(record: EpochRecord) -> None:
        LOG.debug("trial %d: epoch %d, loss %.4f, %.1f s", task.trial_id, record.epoch, record.loss, record.seconds)
        tell(EpochDone(task.trial_id, record))

    tell(TaskStarted(task.trial_id))
    LOG.debug("task %d begins", task.trial_id)
    start = clock()
    try:
        evaluation = evaluator.evaluate(task, on_epoch)
    except UserError:
        raise
    except Exception as error:
        LOG.warning("task %d is lost to %s", task.trial_id, type(error).__name__)
        return lost(task, error)
    seconds = clock() - start
    LOG.info("task %d ends after %.1f s", task.trial_id, seconds)
    return TaskOutcome(task.trial_id, evaluation, seconds=seconds)


def lost(task: TrainingTask, error: Exception) -> TaskOutcome:
    """Return the outcome of a task that ended in ``error``, which is being handled."""
    return TaskOutcome(task.trial_id, None, reason_of(error), traceback=traceback.format_exc())


def in_this_process(evaluator: Evaluator) -> Executor:
    """Return the executor of this process alone."""
    return LocalExecutor(evaluator)


@EXECUTORS.register("local")
def _local(evaluator: Evaluator, settings: ExecutorSettings) -> Executor:
    if settings.workers != 1:
        raise ValueError(f"the local executor has one worker, not {settings.workers}")
    return LocalExecutor(evaluator)
