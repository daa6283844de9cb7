"""Model files against each other on this machine: in one process, in turns, so that what disturbs hits all of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from ussearch.errors import UserError
from ussearch.hardware_profiles.measuring import measure
from ussearch.hardware_profiles.measuring.bench import CPU

Floats = npt.NDArray[np.float32]


def installed() -> bool:
    """Return whether the extra is there."""
    return find_spec("openvino") is not None


class OpenVinoSession:
    """An ONNX file with one input and one output; what is not quantised is computed in FP32.

    Left alone, OpenVINO would compute in BF16 where the processor can, which is another precision than is asked for.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        """Raises UserError where the extra is not installed or OpenVINO cannot load the file."""
        openvino = _openvino()
        properties = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
        }
        try:
            compiled = openvino.Core().compile_model(str(path), "CPU", properties)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"OpenVINO cannot load {path} ({reason}); export the network again.") from error
        self.version = str(openvino.__version__)
        self.input_shape = tuple(compiled.input(0).shape)
        self._request: Any = compiled.create_infer_request()

    def run(self, image: Floats) -> Floats:
        """Return the output for one input of ``input_shape``."""
        self._request.infer([image], share_inputs=True)
        return np.array(self._request.get_output_tensor(0).data, np.float32)


def _openvino() -> Any:
    """Import OpenVINO; raises UserError where it is not installed.

    Importing it would send a message to Google Analytics and leave files in the user's home, unless its package for
    that is missing: here it is, to this process.
    """
    if not installed():
        raise UserError("OpenVINO is not installed: pip install 'ussearch[openvino]'.")
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: importing it fails
    import openvino

    return openvino


TURN_S = 0.02
"""How long a model runs before it is the next one's turn."""
LEAST_TURNS = 10
Run = Callable[[], object]
"""One forward pass."""
Opener = Callable[[Path, int], Run]
"""From a model file and a number of threads to its forward pass on a made-up image, batch 1; raises UserError."""


def paired_benchmark(
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
        feeds, _ = measure.feeds_of(session, np)
    except Exception as error:  # NOTE: onnxruntime's exceptions share no base class but this one
        raise UserError(
            f"onnxruntime cannot run {path.name} ({str(error)[:200]}): export the network again."
        ) from error
    return lambda: session.run(None, feeds)


def _by_openvino(path: Path, threads: int) -> Run:
    session = OpenVinoSession(path, threads)
    image = (np.random.RandomState(0).rand(*session.input_shape) * 255).astype(np.float32)
    return lambda: session.run(image)


ONNXRUNTIME, OPENVINO = "onnxruntime", "OpenVINO"
OPENERS: Mapping[str, Opener] = {ONNXRUNTIME: _by_onnxruntime, OPENVINO: _by_openvino}
"""By the name that profiles give a runtime."""
