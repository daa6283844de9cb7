"""What a device executes: the unit in which latency and memory are counted."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

BYTES_PER_ELEMENT = 4
"""Every byte count is that of FP32 tensors; the fitted numbers of a profile absorb other precisions."""

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Kernel:
    """One operator that a runtime launches, with the activations that may be fused behind it.

    ``macs`` counts multiply-accumulate operations, ``bytes`` all tensors read and written (inputs,
    parameters, output; FP32). ``sources`` holds the indices of the kernels that made the inputs, -1 for the
    network's input. ``epilogue`` names the activations applied to the output: whether they cost anything
    depends on the runtime. ``window``, ``stride``, ``groups`` and ``dilation`` are those of a convolution.
    """

    name: str
    operator: str
    input_shapes: tuple[Shape, ...]
    output_shape: Shape
    macs: int
    bytes: int
    parameters: int
    sources: tuple[int, ...]
    epilogue: tuple[str, ...] = ()
    window: tuple[int, int] = (1, 1)
    stride: int = 1
    groups: int = 1
    dilation: int = 1

    @property
    def output_bytes(self) -> int:
        """Size of the output in bytes (FP32)."""
        return prod(self.output_shape) * BYTES_PER_ELEMENT

    @property
    def kernel_class(self) -> str:
        """What a set of measurements must contain to say something about this kernel.

        The operator, for a convolution with its window (larger side) and whether it is dilated: ``conv 3x3``,
        ``depthwise_conv 5x5 dilated``.
        """
        if not self.operator.endswith("conv"):
            return self.operator
        side = max(self.window)
        window = "" if self.operator == "pointwise_conv" else f" {side}x{side}"
        return f"{self.operator}{window}{' dilated' if self.dilation > 1 else ''}"
