"""Where the time of a search goes: what the driver does, and what its workers do meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class SearchTimings:
    """Seconds of one search.

    Each of ``workers`` is at any moment evaluating, being started, without a job because none is drafted yet, without
    one because none is left, or sending results and waiting for the driver: the rest (``moving_s``).

    Attributes:
        workers: how many there are.
        driver_s: wall-clock time of the driver by activity; drafting and keeping go on beside the workers.
        evaluation_s: worker-seconds of training and evaluation, measured where they happen.
        starting_s: worker-seconds from the first job's submission to its begin.
        lacking_s, ending_s: worker-seconds without a job, before and after the last one is drafted.
        wall_s: wall-clock time of the search's trials.
        clock: tells the time in seconds.
    """

    workers: int = 1
    driver_s: dict[str, float] = field(default_factory=dict)
    evaluation_s: float = 0.0
    starting_s: float = 0.0
    lacking_s: float = 0.0
    ending_s: float = 0.0
    wall_s: float = 0.0
    clock: Callable[[], float] = field(default=time.perf_counter, repr=False)
    _since: float | None = None
    _idle: int = 0
    _ending: bool = False
    _started: int = 0

    @contextmanager
    def driver(self, activity: str) -> Iterator[None]:
        """Count the time of the block as the driver's ``activity``."""
        start = self.clock()
        try:
            yield
        finally:
            self.driver_s[activity] = self.driver_s.get(activity, 0.0) + self.clock() - start

    def staffed(self, jobs: int, *, ending: bool) -> None:
        """Note that from now on there are ``jobs`` for the workers, and whether no more will come."""
        now = self.clock()
        if self._since is not None:
            passed = now - self._since
            self.wall_s += passed
            if self._ending:
                self.ending_s += passed * self._idle
            else:
                self.lacking_s += passed * self._idle
        self._since, self._idle, self._ending = now, max(0, self.workers - jobs), ending

    def begun(self, submitted: float) -> None:
        """Note that a job begins which was submitted at ``submitted`` (by ``clock``)."""
        if self._started < self.workers:  # later ones wait for their turn, not for a worker to start
            self._started += 1
            self.starting_s += self.clock() - submitted

    @property
    def moving_s(self) -> float:
        """Worker-seconds of sending results and waiting for the driver to take them, lost trials included."""
        known = self.evaluation_s + self.starting_s + self.lacking_s + self.ending_s
        return max(0.0, self.workers * self.wall_s - known)

    @property
    def overhead_s(self) -> float:
        """Wall-clock seconds in which the workers, taken together, could have evaluated but did not."""
        return (self.starting_s + self.lacking_s + self.moving_s) / self.workers

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data, all in seconds."""
        return {
            "workers": self.workers,
            "wall": self.wall_s,
            "driver": dict(self.driver_s),
            "workers_evaluating": self.evaluation_s,
            "workers_lacking_drafts": self.lacking_s,
            "workers_without_work_at_the_end": self.ending_s,
            "workers_starting": self.starting_s,
            "workers_sending_and_waiting": self.moving_s,
            "overhead": self.overhead_s,
        }


TRAINING_STAGES = ("full training", "compress", "route")
"""Stages of a run that are training as a whole; a router's are the trainings without each fold."""


def outside_training(stage_seconds: Mapping[str, float], search: SearchTimings) -> float:
    """Return the share of a run's time that was neither training nor evaluation, from 0 to 1."""
    total = sum(stage_seconds.values())
    others = sum(seconds for name, seconds in stage_seconds.items() if name not in (*TRAINING_STAGES, "search"))
    unseen = stage_seconds.get("search", 0.0) - search.wall_s  # taking the lock, opening the database
    return (others + unseen + search.overhead_s) / total if total else 0.0
