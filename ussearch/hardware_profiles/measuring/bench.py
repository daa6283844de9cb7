"""The latency of a model file on this machine, measured in a process of its own."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnx

from ussearch.errors import UserError
from ussearch.hardware_profiles.kernels.onnx_graph import onnx_kernels
from ussearch.hardware_profiles.latency.model import LatencyPrediction
from ussearch.hardware_profiles.measuring import measure
from ussearch.hardware_profiles.onnx_files.check import load_onnx
from ussearch.hardware_profiles.profile import Profile

Say = Callable[[str], None]
CPU = "CPUExecutionProvider"


@dataclass(frozen=True)
class Measurement:
    """What one model file takes here, in milliseconds and MiB.

    ``latency_ms`` is what it takes with the core at its best, by the time of a matrix product between short stretches
    of runs (``reference_ms``); ``slowed`` (0 or 1) says that the core hardly ever was. Percentiles are those of all
    runs. ``spread`` says how much slower the busiest round was (0.1: a tenth); ``busy`` which share of all processors
    other processes took, None where the system does not tell. ``inputs`` says what was fed: name, numpy type, shape,
    and the places of those sizes that the file leaves open and that were chosen here.
    """

    model: str
    runtime: str
    runtime_version: str
    provider: str
    precision: str
    threads: int
    machine: str
    rounds: int
    runs: int
    latency_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    sd_ms: float
    spread: float
    peak_rss_mib: float
    base_rss_mib: float
    busy: float | None
    reference_ms: float
    slowed: int
    inputs: Sequence[Mapping[str, Any]]

    @property
    def frames_per_second(self) -> float:
        """How many frames a second the median allows."""
        return 1000 / self.latency_ms

    @property
    def inputs_text(self) -> str:
        """What was fed, as the CSV of ``measure.py`` has it."""
        return measure.inputs_text([dict(each) for each in self.inputs])

    @property
    def disturbed(self) -> bool:
        """Whether other processes took so much of the machine that the figures are not its own."""
        return (self.busy or 0.0) > measure.BUSY

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON-ready data."""
        return {**asdict(self), "frames_per_second": self.frames_per_second, "disturbed": self.disturbed}


def bench(
    model: Path,
    *,
    threads: int = 1,
    rounds: int = 3,
    seconds: float = 2.0,
    patience_s: float = 20.0,
    say: Say = lambda _: None,
) -> Measurement:
    """Measure ``model`` with onnxruntime on this machine's processors, pinned, after a warm-up.

    Every input is fed what the file asks for; sizes that it leaves open are chosen, and named in ``inputs``. Raises
    UserError where the file is no model or onnxruntime cannot run it.
    """
    load_onnx(model)
    row = measure_here([model], threads, say, rounds=rounds, seconds=seconds, patience_s=patience_s, nodes=False)[0]
    return Measurement(**{name: row[name] for name in Measurement.__dataclass_fields__})


def measure_here(
    models: Sequence[Path],
    threads: int,
    say: Say = lambda _: None,
    *,
    rounds: int,
    seconds: float,
    patience_s: float,
    nodes: bool = True,
) -> list[dict[str, Any]]:
    """Return the rows of ``measure.py`` for model files on this machine's onnxruntime; raises UserError."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not 1 <= threads <= processors:
        raise UserError(f"{threads} threads were asked for, {processors} processors may be used here; ask for fewer.")
    options = argparse.Namespace(
        rounds=rounds,
        nodes=nodes,
        threads=threads,
        seconds=seconds,
        patience=patience_s,
        provider=CPU,
        trtexec=None,
    )
    try:
        return measure.measure_all(list(models), options, say)
    except measure.MeasurementError as problem:
        raise UserError(str(problem)) from problem


def predict_file(model: Path, profile: Profile, inputs: Sequence[Mapping[str, Any]] = ()) -> LatencyPrediction:
    """Return what ``profile`` predicts for a model file whose inputs have the shapes of ``inputs``, as measured.

    Raises UserError where its shapes are not known.
    """
    return profile.predict(onnx_kernels(_with_shapes(load_onnx(model), inputs)))


def compared(measurement: Measurement, prediction: LatencyPrediction) -> Mapping[str, Any]:
    """Return a prediction beside the measurement, JSON-ready."""
    return {
        "latency_ms": prediction.latency_ms,
        "interval_ms": [prediction.low_ms, prediction.high_ms],
        "extrapolated": prediction.extrapolated,
        "source": prediction.label,
        "predicted_to_measured": prediction.latency_ms / measurement.latency_ms,
        "unpriced": list(prediction.unpriced),
        "outside": list(prediction.outside),
    }


def _with_shapes(model: onnx.ModelProto, inputs: Sequence[Mapping[str, Any]]) -> onnx.ModelProto:
    """Return ``model`` with its inputs declared as they were fed, so that all other shapes follow."""
    shapes = {each["name"]: each["shape"] for each in inputs if each["chosen"]}
    for value in model.graph.input:
        if value.name in shapes:
            declared = value.type.tensor_type.shape
            declared.ClearField("dim")
            for size in shapes[value.name]:
                declared.dim.add().dim_value = size
    if shapes:
        for made in model.graph.output:  # NOTE: a name there would contradict what follows from the inputs
            made.type.tensor_type.ClearField("shape")
    return model
