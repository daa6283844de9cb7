"""FCN-ResNet18 on a Jetson Nano with TensorRT FP16: eleven sizes of one segmentation network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from published import nasbench201, yolobench
from published.tables import Floats, read_rows
from ussearch.hardware_profiles.catalogue import load_profile
from ussearch.hardware_profiles.kernels.kernel import BYTES_PER_ELEMENT, Kernel
from ussearch.hardware_profiles.latency.model import DATASHEET_FACTOR
from ussearch.hardware_profiles.latency.roofline import MIB, Roofline, fit_non_negative

CLASSES = 21
TILE_PIXELS = 128
"""Output pixels that TensorRT's convolutions compute at a time on this GPU."""
KERNEL_CLASSES = ("conv 3x3", "conv 7x7", "max_pool", "pointwise_conv")


@dataclass(frozen=True)
class Sizes:
    """The measured sizes: width and height in pixels, kernels, milliseconds."""

    names: tuple[str, ...]
    kernels: tuple[tuple[Kernel, ...], ...]
    latency_ms: Floats

    def near(self, predicted_ms: Floats) -> NDArray[np.bool_]:
        """Return whether each prediction is within 20 % or rounds to the published integer FPS."""
        published_fps = np.round(1000 / self.latency_ms)
        rounded = np.round(1000 / predicted_ms) == published_fps
        return np.asarray((np.abs(predicted_ms / self.latency_ms - 1) <= 0.2) | rounded)


@cache
def load(data: Path) -> Sizes:
    """Read the table in ``data``."""
    rows = list(read_rows(data / "segmentation.csv"))
    sides = [tuple(int(side) for side in row["input"].split("x")) for row in rows]
    return Sizes(
        names=tuple(f"{row['model'].rsplit('-', 1)[-1]} {row['input']}" for row in rows),
        kernels=tuple(tuple(fcn_resnet18(height, width)) for width, height in sides),
        latency_ms=np.array([float(row["latency_ms"]) for row in rows]),
    )


def fcn_resnet18(height: int, width: int) -> Iterator[Kernel]:
    """Yield the kernels of ResNet-18 to stride 32 and the small head: 3x3 to 128 channels, 1x1 to the classes.

    Batch norms, ReLUs and residual sums are fused behind convolutions, as TensorRT does; a fused sum reads one more
    tensor.
    """
    height, width = -(-height // 2), -(-width // 2)
    yield _convolution(3, 64, 7, 2, height, width)
    height, width = -(-height // 2), -(-width // 2)
    yield _pool(64, height, width)
    before = 64
    for channels in (64, 128, 256, 512):
        for block in range(2):
            stride = 2 if block == 0 and channels > 64 else 1
            height, width = -(-height // stride), -(-width // stride)
            if before != channels:
                yield _convolution(before, channels, 1, stride, height, width)
            yield _convolution(before, channels, 3, stride, height, width)
            yield _convolution(channels, channels, 3, 1, height, width, summed=True)
            before = channels
    yield _convolution(512, 128, 3, 1, height, width)
    yield _convolution(128, CLASSES, 1, 1, height, width)


def _convolution(  # noqa: PLR0917  # the six numbers of a convolution, in their usual order
    before: int, after: int, window: int, stride: int, height: int, width: int, summed: bool = False
) -> Kernel:
    """Return a convolution with ``height`` x ``width`` output pixels."""
    parameters, pixels = before * after * window**2, height * width
    read = before * pixels * stride**2 + (after * pixels if summed else 0)
    return Kernel(
        name="",
        operator="pointwise_conv" if window == 1 else "conv",
        input_shapes=((1, before, height * stride, width * stride), *([(after * pixels,)] if summed else [])),
        output_shape=(1, after, height, width),
        macs=parameters * pixels,
        bytes=(read + after * pixels + parameters) * BYTES_PER_ELEMENT,
        parameters=parameters,
        sources=(),
        window=(window, window),
        stride=stride,
    )


def _pool(channels: int, height: int, width: int) -> Kernel:
    elements = channels * height * width
    return Kernel(
        name="",
        operator="max_pool",
        input_shapes=((1, channels, 2 * height, 2 * width),),
        output_shape=(1, channels, height, width),
        macs=0,
        bytes=5 * elements * BYTES_PER_ELEMENT,
        parameters=0,
        sources=(),
        window=(3, 3),
        stride=2,
    )


def predicted_ms(model: Roofline, sizes: Sizes) -> Floats:
    """Return the milliseconds of every size."""
    return np.array([sum(model.kernel_ms(kernels)) + model.ms_per_call for kernels in sizes.kernels])


def with_arithmetic_of(model: Roofline, sizes: Sizes, fitted: list[int]) -> Roofline:
    """Return ``model`` with its price of arithmetic fitted to the sizes ``fitted``; its other prices stay."""
    measured_ms = sizes.latency_ms[fitted]
    rest = predicted_ms(model.model_copy(update={"ms_per_gmac": 0.0}), sizes)[fitted] / measured_ms
    arithmetic = predicted_ms(_arithmetic_only(model), sizes)[fitted] / measured_ms
    price = max(0.0, float(arithmetic @ (1 - rest) / (arithmetic @ arithmetic)))  # least squared relative error
    return model.model_copy(update={"ms_per_gmac": price})


def _arithmetic_only(model: Roofline) -> Roofline:
    free = {"ms_per_gmac": 1.0, "ms_per_mib": 0.0, "ms_per_operator": 0.0, "ms_per_call": 0.0}
    return model.model_copy(update=free)


def pairs(model: Roofline, sizes: Sizes) -> Iterator[tuple[tuple[int, int], Floats]]:
    """Yield every pair of sizes and what a model fitted to the pair predicts for all sizes."""
    for pair in combinations(range(len(sizes.names)), 2):
        yield pair, predicted_ms(with_arithmetic_of(model, sizes, list(pair)), sizes)


def nano_fp16_from_other_data(data: Path) -> Roofline:
    """Return a model of TensorRT FP16 on a Jetson Nano that has seen no measurement of the segmentation network.

    Arithmetic costs half of what onnxruntime's FP32 costs on the same board (YOLOBench), launches what they cost in
    NAS-Bench-201's FP16 measurements, where sibling convolutions are one. Traffic is half the bytes at the datasheet's
    bandwidth, taken to be as optimistic as datasheets are: the small tensors of NAS-Bench-201 never reach the memory.
    """
    bench, column = yolobench.load(data), "op_eagle_jetson_16"
    measured = bench.measured("jetson-nano")
    fp32 = fit_non_negative(bench.three["jetson-nano"][measured], bench.latency_ms["jetson-nano"][measured])
    space = nasbench201.load(data).measured_on(column)
    call, gmacs, pools, convolutions = nasbench201.charges(space, "merged").T
    launches = np.stack([call, gmacs, pools + convolutions], axis=1)
    launch_ms = fit_non_negative(launches, space.latency_ms[column])[2]
    bandwidth = load_profile("jetson-nano").facts["bandwidth_gb_per_s"]
    return Roofline(
        ms_per_gmac=fp32[0] / 2,
        ms_per_mib=DATASHEET_FACTOR * 1000 * MIB / 2 / (bandwidth * 1e9),
        ms_per_operator=launch_ms,
        tile_pixels=TILE_PIXELS,
    )
