"""NAS-Bench-201 on a dozen devices: small networks of fifteen cells, 32x32 pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from published.protocol import CALIBRATION_NETWORKS, SEEDS, mean_quality
from published.tables import Floats, read_rows
from ussearch.hardware_profiles.kernels.kernel import BYTES_PER_ELEMENT, Kernel
from ussearch.hardware_profiles.latency.cross_validation import Quality, quality
from ussearch.hardware_profiles.latency.roofline import GMAC, fit_non_negative

STAGES = ((16, 32), (32, 16), (64, 8))
"""Channels and side in pixels of the three stages."""
CELLS_PER_STAGE = 5
CELLS = CELLS_PER_STAGE * len(STAGES)
CLASSES = 10
KERNEL_CLASSES = ("add", "average_pool", "conv 3x3", "global_pool", "matmul", "pointwise_conv")


@dataclass(frozen=True)
class Cell:
    """A cell: (from node, to node, operation) of each edge that is not a skip or holds an operation."""

    edges: tuple[tuple[int, int, str], ...]

    @classmethod
    def parse(cls, text: str) -> Cell:
        """Read the notation of the data set, such as ``|nor_conv_3x3~0|+|avg_pool_3x3~0|skip_connect~1|+...``."""
        nodes = [node.strip("|").split("|") for node in text.split("+")]
        edges = [(edge.split("~"), target) for target, node in enumerate(nodes, 1) for edge in node]
        return cls(tuple((int(source), target, name) for (name, source), target in edges))

    @property
    def convolutions(self) -> list[tuple[int, str]]:
        """Node that it reads and operation of every convolution."""
        return [(source, name) for source, _, name in self.edges if "conv" in name]

    @property
    def pools(self) -> int:
        """Number of 3x3 average pools."""
        return sum("pool" in name for _, _, name in self.edges)

    @property
    def adds(self) -> int:
        """Number of sums of two tensors."""
        return len(self.edges) - len({target for _, target, _ in self.edges})

    @property
    def merged(self) -> int:
        """Number of convolutions where those of one size that read the same node are one launch."""
        return len(set(self.convolutions))

    @property
    def siblings(self) -> int:
        """Number of convolutions that read a node which another one reads already."""
        return len(self.convolutions) - len({source for source, _ in self.convolutions})


@dataclass(frozen=True)
class Space:
    """Networks and what was measured; latencies are NaN where a device has no measurement."""

    cells: tuple[Cell, ...]
    latency_ms: dict[str, Floats]

    @cached_property
    def kernels(self) -> tuple[tuple[Kernel, ...], ...]:
        """The kernels of every network."""
        return tuple(network_kernels(cell) for cell in self.cells)

    def macs(self) -> Floats:
        """Return the multiply-accumulates of every network in 1e9."""
        return np.array([sum(kernel.macs for kernel in network) / GMAC for network in self.kernels])

    def measured_on(self, device: str) -> Space:
        """Return the networks measured on ``device`` alone."""
        kept = np.flatnonzero(~np.isnan(self.latency_ms[device]))
        return Space(tuple(self.cells[index] for index in kept), {device: self.latency_ms[device][kept]})


@cache
def load(data: Path) -> Space:
    """Read the table in ``data``."""
    rows = list(read_rows(data / "nasbench201.csv.gz"))
    devices = [name for name in rows[0] if name.startswith(("op_", "h360_"))]
    return Space(
        cells=tuple(Cell.parse(row["arch_str"]) for row in rows),
        latency_ms={name: np.array([float(row[name] or "nan") for row in rows]) for name in devices},
    )


def network_kernels(cell: Cell) -> tuple[Kernel, ...]:
    """Return the kernels of the network made of ``cell``: stem, cells, two residual blocks, pool, classifier.

    The ReLU in front of each convolution is not a kernel here: its cost is part of the convolution's.
    """
    kernels = [_convolution(3, 16, 3, 32, 32)]
    for index, (channels, side) in enumerate(STAGES):
        if index:
            kernels += _residual(channels // 2, channels, side)
        kernels += _cell_kernels(cell, channels, side) * CELLS_PER_STAGE
    channels, side = STAGES[-1]
    features = channels * side**2
    kernels.append(_kernel("global_pool", features, (1, channels, 1, 1)))
    kernels.append(_kernel("matmul", channels, (1, CLASSES), channels * CLASSES, macs=channels * CLASSES))
    return tuple(kernels)


def _cell_kernels(cell: Cell, channels: int, side: int) -> list[Kernel]:
    kernels = [_convolution(channels, channels, int(name[-1]), side, side) for _, name in cell.convolutions]
    shape = (1, channels, side, side)
    elements = channels * side**2
    pools = [_kernel("average_pool", elements, shape) for _ in range(cell.pools)]
    return [*kernels, *pools, *(_kernel("add", 2 * elements, shape) for _ in range(cell.adds))]


def _residual(before: int, channels: int, side: int) -> list[Kernel]:
    """Return a block that halves the side: two 3x3 convolutions; on the shortcut a pool and a 1x1 one."""
    elements = channels * side**2
    return [
        _convolution(before, channels, 3, 2 * side, side),
        _convolution(channels, channels, 3, side, side),
        _kernel("average_pool", before * 4 * side**2, (1, before, side, side)),
        _convolution(before, channels, 1, side, side),
        _kernel("add", 2 * elements, (1, channels, side, side)),
    ]


@cache
def _convolution(before: int, after: int, window: int, side_before: int, side: int) -> Kernel:
    parameters = before * after * window**2
    operator = "pointwise_conv" if window == 1 else "conv"
    elements = before * side_before**2
    return _kernel(operator, elements, (1, after, side, side), parameters, macs=parameters * side**2, window=window)


@cache
def _kernel(
    operator: str, elements: int, shape: tuple[int, ...], parameters: int = 0, *, macs: int = 0, window: int = 1
) -> Kernel:
    moved = elements + int(np.prod(shape)) + parameters
    return Kernel(
        name="",
        operator=operator,
        input_shapes=((elements,),),
        output_shape=shape,
        macs=macs,
        bytes=moved * BYTES_PER_ELEMENT,
        parameters=parameters,
        sources=(),
        window=(window, window),
    )


def charges(space: Space, convolutions: str) -> Floats:
    """Return call, GMACs, pools and convolutions as the runtime launches them [networks, 4].

    ``convolutions`` names the attribute of ``Cell`` that counts them.
    """
    counted = [getattr(cell, convolutions) for cell in space.cells]
    counts = [len(each) if isinstance(each, list) else each for each in counted]
    pools = [CELLS * cell.pools for cell in space.cells]
    return np.stack([np.ones(len(counts)), space.macs(), pools, CELLS * np.array(counts)], axis=1)


def ten_samples(features: Floats, latency_ms: Floats, macs: Floats, seeds: Sequence[int] = SEEDS) -> Quality:
    """Fit to ten networks, test on all others; mean over seeds."""
    results = []
    for seed in seeds:
        drawn = np.random.default_rng(seed).choice(len(macs), CALIBRATION_NETWORKS, replace=False)
        rest = np.setdiff1d(np.arange(len(macs)), drawn)
        predicted_ms = features @ fit_non_negative(features[drawn], latency_ms[drawn])
        results.append(quality(predicted_ms[rest], latency_ms[rest], macs[rest]))
    return mean_quality(results)
