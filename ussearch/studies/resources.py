"""With what a search works: workers, a database, time limits. None of it changes what it finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from ussearch.run_config import ExecutionOptions
from ussearch.search_spaces import Architecture
from ussearch.studies.executors import EXECUTORS, ExecutorFactory, ExecutorSettings, ProcessExecutor, in_this_process
from ussearch.studies.timings import SearchTimings

LEAST_LIMIT_S = 600.0
LIMIT_FACTOR = 20.0
"""A trial may take this multiple of its predicted time (good to a factor of two on an idle machine) and never less than
``LEAST_LIMIT_S``: a limit is there for workers that hang, not for candidates that are slow."""


def _unlimited(architecture: Architecture) -> float | None:
    return None


def _always(trial_id: int, seconds: float) -> bool:
    return True


@dataclass(frozen=True)
class SearchResources:
    """How a search is carried out.

    Attributes:
        executor: makes the executor.
        storage: URL of the database; None: the study's own file, or the database it used last.
        limit_s: the longest that an architecture's evaluation may take; None: no limit.
        may_begin: whether the candidate of a slot may still begin, which should take so many seconds.
        expected: about how many trials there will be, where ``may_begin`` ends the search; None: all that it is of.
        timings: filled in by the search.
    """

    executor: ExecutorFactory = in_this_process
    storage: str | None = field(default=None, repr=False)
    limit_s: Callable[[Architecture], float | None] = _unlimited
    may_begin: Callable[[int, float], bool] = _always
    expected: int | None = None
    timings: SearchTimings = field(default_factory=SearchTimings)


def default_resources(workers: int) -> SearchResources:
    """Return how a study that had ``workers`` trains what is asked of it later: with as many processes."""
    if workers == 1:
        return SearchResources()
    threads = max(1, torch.get_num_threads() // workers)
    return SearchResources(lambda evaluator: ProcessExecutor(evaluator, workers, threads))


def resources_for(
    asked: ExecutionOptions, *, on_gpu: bool, threads: int, predicted_s: Callable[[Architecture], float]
) -> SearchResources:
    """Return what a run asks for.

    Args:
        asked: how the run is to be carried out.
        on_gpu: whether candidates train on a GPU.
        threads: intra-op threads of each worker.
        predicted_s: how long the evaluation of an architecture by one worker should take.
    """
    settings = ExecutorSettings(asked.trials_at_a_time, threads, asked.ray, on_gpu)

    def limit_s(architecture: Architecture) -> float | None:
        return asked.trial_timeout or max(LEAST_LIMIT_S, LIMIT_FACTOR * predicted_s(architecture))

    make = EXECUTORS[executor_name(asked)]
    return SearchResources(lambda evaluator: make(evaluator, settings), asked.storage, limit_s)


def executor_name(asked: ExecutionOptions) -> str:
    """Return the executor that a run needs: a time limit can be kept only in another process."""
    if asked.ray is not None:
        return "ray"
    return "process" if asked.trials_at_a_time > 1 or asked.trial_timeout is not None else "local"
