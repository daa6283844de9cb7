"""Model files against each other on this machine: in one process, in turns, so that what disturbs one disturbs all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

import numpy as np

from ussearch.errors import UserError
from ussearch.hardware_profiles.measuring import measure
from ussearch.hardware_profiles.measuring.bench import CPU
from ussearch.hardware_profiles.measuring.openvino_session import OpenVinoSession

TURN_S = 0.02
"""How long a model runs before it is the next one's turn."""
LEAST_TURNS = 10
Run = Callable[[], object]
"""One forward pass."""
Opener = Callable[[Path, int], Run]
"""From a model file and a number of threads to its forward pass on a made-up image, batch 1; raises UserError."""


def side_by_side(
    models: Sequence[Path], *, threads: int = 1, runs: int = 60, runtimes: Sequence[str] = ()
) -> list[list[float]]:
    """Return the latencies of each model in ms, one a turn: the median of the turn's runs, batch 1, full optimisation.

    Every model runs at least ``runs`` times in all and takes as many turns as every other. A turn's first run does not
    count, as it finds the cache of another model. ``runtimes`` names one of ``OPENERS`` for each model, onnxruntime
    else; it must be able to run the file (UserError).
    """
    openers = [OPENERS[name] for name in runtimes or [ONNXRUNTIME] * len(models)]
    passes = [opener(path, threads) for opener, path in zip(openers, models, strict=True)]
    times_ms: list[list[float]] = [[] for _ in models]
    counted = [0] * len(models)
    while min(counted) < runs or len(times_ms[0]) < LEAST_TURNS:
        for number, run in enumerate(passes):
            turn = _turn(run)
            times_ms[number].append(median(turn))
            counted[number] += len(turn)
    return times_ms


def _turn(run: Run) -> list[float]:
    """Return the milliseconds of a turn's runs without the first."""
    run()
    times: list[float] = []
    began = time.perf_counter()
    while not times or time.perf_counter() - began < TURN_S:
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1000)
    return times


def _by_onnxruntime(path: Path, threads: int) -> Run:
    import onnxruntime

    try:
        session = measure.open_session(onnxruntime, path, threads, CPU)
    except Exception as error:  # NOTE: onnxruntime's exceptions share no base class but this one
        raise UserError(
            f"onnxruntime cannot run {path.name} ({str(error)[:200]}): export the network again."
        ) from error
    feeds = measure.inputs_of(session, np)
    return lambda: session.run(None, feeds)


def _by_openvino(path: Path, threads: int) -> Run:
    session = OpenVinoSession(path, threads)
    image = (np.random.RandomState(0).rand(*session.input_shape) * 255).astype(np.float32)
    return lambda: session.run(image)


ONNXRUNTIME, OPENVINO = "onnxruntime", "OpenVINO"
OPENERS: Mapping[str, Opener] = {ONNXRUNTIME: _by_onnxruntime, OPENVINO: _by_openvino}
"""By the name that profiles give a runtime."""
