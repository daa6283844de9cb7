"""Jobs that are known from the start, carried out in any order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

from ussearch.evaluators import Evaluator
from ussearch.studies.executors.base import Job, Outcome, Staffing, Tell
from ussearch.studies.executors.losses import loss_of


def carried_out(jobs: Sequence[Job], evaluator: Evaluator, staffing: Staffing, tell: Tell) -> Iterator[Outcome]:
    """Yield how each job ends, as soon as it does; one whose worker was lost is tried once more.

    The workers are begun for the jobs and ended behind the last one, or when the caller leaves early.
    """
    if not jobs:
        return
    repeated: set[int] = set()
    by_slot = {job.slot: job for job in jobs}
    with closing(staffing(evaluator)) as executor:
        for job in jobs:
            executor.submit(job)
        left = len(jobs)
        while left:
            outcome = executor.collect(tell)
            if loss_of(outcome) is not None and outcome.slot not in repeated:
                repeated.add(outcome.slot)
                executor.submit(by_slot[outcome.slot])
                continue
            left -= 1
            yield outcome
