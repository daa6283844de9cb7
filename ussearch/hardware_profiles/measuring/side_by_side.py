"""Model files against each other on this machine: in one process, in turns, so that what disturbs one disturbs all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from ussearch.errors import UserError
from ussearch.hardware_profiles.measuring import measure
from ussearch.hardware_profiles.measuring.bench import CPU

TURN_S = 0.02
"""How long a model runs before it is the next one's turn."""
LEAST_TURNS = 10


def side_by_side(models: Sequence[Path], *, threads: int = 1, runs: int = 60) -> list[list[float]]:
    """Return the latencies of each model in ms, one a turn: the median of the turn's runs, batch 1, full optimisation.

    Every model runs at least ``runs`` times in all and takes as many turns as every other. A turn's first run does not
    count, as it finds the cache of another model; onnxruntime must be able to run the files (UserError).
    """
    import onnxruntime

    try:
        sessions = [measure.open_session(onnxruntime, path, threads, CPU) for path in models]
    except Exception as error:  # NOTE: onnxruntime's exceptions share no base class but this one
        names = ", ".join(path.name for path in models)
        raise UserError(f"onnxruntime cannot run {names} ({str(error)[:200]}): export the networks again.") from error
    feeds = [measure.inputs_of(session, np) for session in sessions]
    times_ms: list[list[float]] = [[] for _ in models]
    counted = [0] * len(models)
    while min(counted) < runs or len(times_ms[0]) < LEAST_TURNS:
        for number, session in enumerate(sessions):
            turn = _turn(session, feeds[number])
            times_ms[number].append(median(turn))
            counted[number] += len(turn)
    return times_ms


def _turn(session: Any, feeds: dict[str, Any]) -> list[float]:
    """Return the milliseconds of a turn's runs without the first."""
    session.run(None, feeds)
    times: list[float] = []
    began = time.perf_counter()
    while not times or time.perf_counter() - began < TURN_S:
        start = time.perf_counter()
        session.run(None, feeds)
        times.append((time.perf_counter() - start) * 1000)
    return times
