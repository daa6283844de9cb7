"""What a device executes, the unit in which latency and memory are counted, and which ATen operators become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

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


FREE = frozenset(
    {
        "view",
        "_unsafe_view",
        "reshape",
        "_reshape_alias",
        "flatten",
        "unflatten",
        "unsqueeze",
        "squeeze",
        "expand",
    }
    | {"detach", "alias", "lift_fresh", "clone", "contiguous", "_to_copy", "dropout", "native_dropout"}
)
"""Changes of shape only. ``clone`` is the copy that PyTorch makes after a permutation; a runtime's
Transpose copies itself.
"""

FOLDED = frozenset(
    {
        "native_batch_norm",
        "_native_batch_norm_legit",
        "_native_batch_norm_legit_no_training",
        "cudnn_batch_norm",
    }
)
"""Batch norms, which exporters and runtimes fold into the convolution before them."""

ACTIVATIONS = {
    "relu": "relu",
    "hardtanh": "relu6",
    "relu6": "relu6",
    "clamp": "clip",
    "clamp_min": "clip",
    "leaky_relu": "leaky_relu",
    "_prelu_kernel": "prelu",
    "elu": "elu",
    "silu": "silu",
    "hardswish": "hardswish",
    "hardsigmoid": "hardsigmoid",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "gelu": "gelu",
    "exp": "exp",
    "log": "log",
    "neg": "neg",
    "rsub": "sub",
    "sqrt": "sqrt",
    "pow": "pow",
}
"""Element-wise functions of one tensor: ATen name to our name."""

BINARY = frozenset({"add", "sub", "mul", "div", "maximum", "minimum"})
"""Element-wise functions of two tensors: a kernel, unless the second one is a number or a constant."""

KERNELS = {
    "mm": "matmul",
    "addmm": "matmul",
    "bmm": "matmul",
    "baddbmm": "matmul",
    "upsample_nearest2d": "resize_nearest",
    "_upsample_nearest_exact2d": "resize_nearest",
    "upsample_bilinear2d": "resize_bilinear",
    "upsample_bicubic2d": "resize_bicubic",
    "cat": "concat",
    "stack": "concat",
    "max_pool2d_with_indices": "max_pool",
    "max_pool2d": "max_pool",
    "avg_pool2d": "average_pool",
    "_adaptive_avg_pool2d": "global_pool",
    "adaptive_avg_pool2d": "global_pool",
    "adaptive_max_pool2d": "global_pool",
    "mean": "reduce",
    "sum": "reduce",
    "amax": "reduce",
    "amin": "reduce",
    "max": "reduce",
    "var": "reduce",
    "_softmax": "softmax",
    "_safe_softmax": "softmax",
    **dict.fromkeys(FOLDED, "batch_norm"),
    "native_layer_norm": "layer_norm",
    "native_group_norm": "group_norm",
    "permute": "transpose",
    "transpose": "transpose",
    "t": "transpose",
    "split": "split",
    "split_with_sizes": "split",
    "unbind": "split",
    "slice": "slice",
    "select": "slice",
    "index_select": "gather",
    "index": "gather",
    "constant_pad_nd": "pad",
    "reflection_pad2d": "pad",
    "replication_pad2d": "pad",
    "pixel_shuffle": "depth_to_space",
    "pixel_unshuffle": "space_to_depth",
    "roll": "roll",
    "flip": "slice",
}
"""Kernels whose name differs from ATen's; several of ours may share one price."""

SLICES = frozenset({"slice", "select"})
"""Free where they take everything, as ``x[:, 0]`` of a single channel does."""

MATRIX_PRODUCTS = frozenset({"mm", "addmm", "bmm", "baddbmm"})


def convolution_class(arguments: Sequence[Any], weight_is_constant: bool) -> str:
    """Name the kind of ``aten.convolution``: dense, pointwise, depthwise, grouped, transposed or dynamic."""
    weight, transposed, groups = arguments[1], arguments[6], arguments[8]
    if not weight_is_constant:
        return "dynamic_conv"
    if transposed:
        return "transposed_conv"
    if groups > 1:
        return "depthwise_conv" if groups == arguments[0].shape[1] else "grouped_conv"
    return "pointwise_conv" if prod(weight.shape[2:]) == 1 else "conv"


def convolution_macs(arguments: Sequence[Any], output: Shape) -> int:
    """Return the multiply-accumulates of ``aten.convolution``.

    A weight is [out, in / groups, k, k] and is applied once per output pixel; transposed it is [in, out /
    groups, k, k] and is applied once per input pixel.
    """
    image, weight, transposed = arguments[0], arguments[1], arguments[6]
    pixels = prod(image.shape[2:]) if transposed else prod(output[2:])
    return int(output[0] * pixels * prod(weight.shape))


def convolution_geometry(arguments: Sequence[Any]) -> dict[str, Any]:
    """Return window, stride, groups and dilation of ``aten.convolution`` (the larger of two sides)."""
    weight, stride, dilation = arguments[1], arguments[3], arguments[5]
    window = (int(weight.shape[2]), int(weight.shape[3]))
    return {"window": window, "stride": max(stride), "groups": arguments[8], "dilation": max(dilation)}


def matmul_macs(name: str, arguments: Sequence[Any], output: Shape) -> int:
    """Return the multiply-accumulates of a matrix product: output elements times the contracted length."""
    first = arguments[1] if name in {"addmm", "baddbmm"} else arguments[0]
    return prod(output) * int(first.shape[-1])


KNOWN = frozenset(
    {*KERNELS.values(), *ACTIVATIONS.values(), *BINARY, "global_pool"}
    | {f"{kind}conv" for kind in ("", "pointwise_", "depthwise_", "grouped_", "transposed_", "dynamic_")}
)
"""Every operator whose arithmetic the tables above know; any other is named by a prediction as unpriced."""
