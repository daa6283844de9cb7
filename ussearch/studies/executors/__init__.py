"""Where trials are evaluated: in this process, in worker processes, on a Ray cluster.

An executor runs any ``Evaluator`` and keeps nothing: records are written by the driver alone. What differs between
executors is where the processor time is spent; for the same task all of them give the same evaluation, bit for bit on
CPUs of one kind with the same number of threads. On CUDA sums are made in an order of the moment: there, figures of the
same task differ in their last digits, and what grows out of them.
"""

from ussearch.studies.executors.base import (
    EXECUTORS,
    TRACEBACK,
    EpochDone,
    Executor,
    ExecutorFactory,
    ExecutorSettings,
    Message,
    TaskOutcome,
    TaskStarted,
    Tell,
    after,
    keep_traceback,
    loss_of,
    run_tasks,
)
from ussearch.studies.executors.local import LocalExecutor, in_this_process
from ussearch.studies.executors.processes import ProcessExecutor
from ussearch.studies.executors.ray_cluster import RayExecutor, require_cluster

__all__ = [
    "EXECUTORS",
    "TRACEBACK",
    "EpochDone",
    "Executor",
    "ExecutorFactory",
    "ExecutorSettings",
    "LocalExecutor",
    "Message",
    "ProcessExecutor",
    "RayExecutor",
    "TaskOutcome",
    "TaskStarted",
    "Tell",
    "after",
    "in_this_process",
    "keep_traceback",
    "loss_of",
    "require_cluster",
    "run_tasks",
]
