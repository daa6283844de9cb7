"""The range of every activation on calibration images: by extremes, by divergence of histograms, or by percentiles.

All three come from the same two passes over the images, one image in memory at a time: onnxruntime's own collectors
keep the activations of all images, which is gigabytes at 256×256. A range depends on neither the scheme nor on which
nodes stay in float, so one calibration serves every attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto

from ussearch.compress.quantisation.settings import Method
from ussearch.errors import UserError

Images = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
Counts = npt.NDArray[np.int64]
Range = tuple[float, float]
Ranges = dict[str, Range]

BINS = 4096
"""Of a histogram from minus to plus the largest magnitude."""
MAGNITUDES = 512
"""Bins of magnitudes whose truncations are compared: the time grows with the square."""
LEVELS = 128
"""To which a truncated histogram is reduced."""
PERCENTILE = 99.99
"""Of the values lie inside the range."""


class ActivationRanges:
    """The activations of a float model on calibration images."""

    def __init__(self, model: onnx.ModelProto, images: Images) -> None:
        """``model`` has known shapes and one input; ``images`` are [N, C, S, S].

        Raises UserError where an activation is not finite.
        """
        self._images = images
        self._names = _float_tensors(model)
        self._session = _session_with_outputs(model, self._names)
        self._extremes = self._measure_extremes()

    def ranges(self, method: Method) -> Ranges:
        """Return (low, high) of every float tensor of the graph by its name."""
        if method == "minmax":
            return dict(self._extremes)
        truncated: Callable[[Counts], Range] = entropy_range if method == "entropy" else percentile_range
        found: Ranges = {}
        for name, (low, high) in self._extremes.items():
            limit = max(abs(low), abs(high))
            below, above = truncated(self._histograms[name])
            found[name] = max(low, below * limit), min(high, above * limit)
        return found

    def _activations(self) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """Yield each tensor of each image in turn."""
        image_name = self._session.get_inputs()[0].name
        for image in self._images:
            values = self._session.run(self._names, {image_name: image[None].astype(np.float32)})
            yield from zip(self._names, values, strict=True)

    def _measure_extremes(self) -> Ranges:
        found: Ranges = {}
        for name, values in self._activations():
            low, high = float(values.min()), float(values.max())
            if not np.isfinite([low, high]).all():
                raise UserError(
                    f"Activation {name!r} is not finite on the calibration images, expected a working network; "
                    "train it again."
                )
            before = found.get(name, (low, high))
            found[name] = min(low, before[0]), max(high, before[1])
        return found

    @cached_property
    def _histograms(self) -> dict[str, Counts]:
        """How many values lie in each of ``BINS`` bins between minus and plus the largest magnitude."""
        limits = {name: max(abs(low), abs(high)) for name, (low, high) in self._extremes.items()}
        counts = {name: np.zeros(BINS, np.int64) for name in self._names}
        for name, values in self._activations():
            counts[name] += np.histogram(values, BINS, range=(-limits[name], limits[name]))[0]
        return counts


def percentile_range(counts: Counts) -> Range:
    """Return the range that holds ``PERCENTILE`` of a histogram over [-1, 1], as much being cut off at either end.

    Wu et al. 2020, "Integer Quantization for Deep Learning Inference", section 5.2.
    """
    edges = np.linspace(-1.0, 1.0, len(counts) + 1)
    cut = (100.0 - PERCENTILE) / 200.0 * counts.sum()
    below = np.cumsum(counts)
    first = int(np.argmax(below > cut))
    last = int(np.argmax(below >= counts.sum() - cut))
    return float(edges[first]), float(edges[last + 1])


def entropy_range(counts: Counts) -> Range:
    """Return the symmetric range whose 8-bit form tells least apart from a histogram over [-1, 1].

    Migacz, "8-bit inference with TensorRT", GTC 2017: the truncation of the magnitudes with the smallest
    Kullback-Leibler divergence between the values, those beyond counted at the end, and the same reduced to 128 levels.
    """
    half = len(counts) // 2
    magnitudes = (counts[half:] + counts[:half][::-1]).reshape(MAGNITUDES, -1).sum(axis=1)
    kept = np.arange(LEVELS, MAGNITUDES + 1)
    best = int(kept[np.argmin([_divergence(magnitudes, int(bins)) for bins in kept])])
    return -best / MAGNITUDES, best / MAGNITUDES


def _divergence(magnitudes: Counts, bins: int) -> float:
    """Return KL(P, Q) of the first ``bins`` magnitudes, outliers at the end, and the same reduced to ``LEVELS``."""
    values = magnitudes[:bins].astype(np.float64)
    level = np.arange(bins) * LEVELS // bins
    inside = np.bincount(level, values, LEVELS)
    values[-1] += magnitudes[bins:].sum()
    present = values > 0
    shared = np.bincount(level, present, LEVELS)
    reduced = (inside / np.maximum(shared, 1))[level]
    p, q = values[present] / values.sum(), reduced[present] / max(reduced[present].sum(), 1.0)
    return float((p * np.log(p / np.maximum(q, 1e-9))).sum())  # what only outliers fill has no share in q


def _float_tensors(model: onnx.ModelProto) -> list[str]:
    """Return the names of all float activations, the image and the logits included."""
    constants = {tensor.name for tensor in model.graph.initializer}
    infos = (*model.graph.input, *model.graph.value_info, *model.graph.output)
    floats = (info.name for info in infos if info.type.tensor_type.elem_type == TensorProto.FLOAT)
    return [name for name in dict.fromkeys(floats) if name not in constants]


def _session_with_outputs(model: onnx.ModelProto, names: list[str]) -> onnxruntime.InferenceSession:
    """Return a session of ``model`` that also gives the tensors ``names``, computed as they stand in the file."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    known = {info.name: info for info in (*model.graph.input, *model.graph.value_info)}
    watched.graph.output.extend(known[name] for name in names if name in known)
    return session(watched.SerializeToString(), optimised=False)


def session(model: bytes, *, optimised: bool = True) -> onnxruntime.InferenceSession:
    """Return a session on one thread of this machine's processor."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
