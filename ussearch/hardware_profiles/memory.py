"""Peak memory of a network's process: what is alive at once, the weights, and the runtime itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import prod

from ussearch.hardware_profiles.kernels.kernel import BYTES_PER_ELEMENT, Kernel
from ussearch.hardware_profiles.kernels.trace import INPUT
from ussearch.hardware_profiles.latency.roofline import MIB
from ussearch.hardware_profiles.profile import Profile

IN_PLACE = frozenset(
    {"relu", "relu6", "clip", "leaky_relu", "sigmoid", "tanh", "hardsigmoid", "hardswish", "add", "sub", "mul", "div"}
)
"""Element-wise operators that runtimes fuse or write over their input."""
APART = 2
"""Tensors of that size that another one (SiLU, GELU) needs: its input in another layout, and its output."""


def activation_peak_mib(kernels: Sequence[Kernel]) -> float:
    """Return the largest sum of activations that are alive together, in MiB (FP32).

    An activation lives from the kernel that makes it to the last kernel that reads it; the network's input
    belongs to the caller and the last output is the result, so that both live to the end.
    """
    last_use = {index: index for index in range(len(kernels))}
    image_bytes = 0
    for index, kernel in enumerate(kernels):
        for source, shape in zip(kernel.sources, kernel.input_shapes, strict=True):
            if source == INPUT:
                image_bytes = prod(shape) * BYTES_PER_ELEMENT
            else:
                last_use[source] = index
    dying = defaultdict(list)
    for source, index in last_use.items():
        if source != index:
            dying[index].append(kernels[source].output_bytes)
    alive = peak = image_bytes
    for index, kernel in enumerate(kernels):
        alive += kernel.output_bytes
        peak = max(peak, alive)
        alive -= sum(dying[index])
        if not IN_PLACE.issuperset(kernel.epilogue):
            peak = max(peak, alive + APART * kernel.output_bytes)
    return peak / MIB


def peak_memory_mib(kernels: Sequence[Kernel], parameters: int, profile: Profile) -> float:
    """Return the peak memory in MiB of a process on ``profile`` that runs ``kernels`` with FP32 weights.

    The larger of loading the model (the file and its copies) and of running it; see ``MemoryCopies``.
    """
    weights_mib = parameters * BYTES_PER_ELEMENT / MIB
    copies = profile.memory_copies
    loading_mib = copies.weights_while_loading * weights_mib
    running_mib = copies.weights * weights_mib + copies.activations * activation_peak_mib(kernels)
    return profile.runtime_memory_mib + max(loading_mib, running_mib)
