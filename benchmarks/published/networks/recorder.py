"""Records what a network does: one row per operator, by running it once on the meta device, where nothing is computed.

The rows follow one convention. Views cost nothing and are left out. Convolutions and fully connected layers carry the
parameters (weights and biases), read their input only and write their output; every other operator reads all tensors
given to it. Shapes are those of the first tensor read (a bias, for ``addmm``) and of the first one written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

VIEWS = {
    "_reshape_alias",
    "_unsafe_view",
    "alias",
    "as_strided",
    "chunk",
    "detach",
    "expand",
    "flatten",
    "lift_fresh",
    "permute",
    "select",
    "slice",
    "split",
    "split_with_sizes",
    "squeeze",
    "t",
    "transpose",
    "unbind",
    "unsqueeze",
    "view",
}
"""Operators that only look at memory differently."""
FACTORIES = {"_to_copy", "arange", "empty", "full", "new_empty", "new_zeros", "ones", "scalar_tensor", "zeros"}
"""Operators that make or convert constants, which a deployed network holds ready."""
NAMES = {
    "_batch_norm_impl_index": "batch_norm",
    "_native_batch_norm_legit_no_training": "batch_norm",
    "native_batch_norm": "batch_norm",
    "native_layer_norm": "layer_norm",
    "_native_layer_norm": "layer_norm",
}
CONVOLUTIONS = frozenset({"conv", "pointwise_conv", "depthwise_conv", "grouped_conv", "conv_transpose"})
COLUMNS = (
    "network",
    "index",
    "op",
    "in_shape",
    "out_shape",
    "kernel",
    "stride",
    "groups",
    "dilation",
    "macs",
    "params",
    "in_elements",
    "out_elements",
)


@dataclass(frozen=True)
class Row:
    """One operator of a network. Shapes are written ``1x3x224x224``; convolutions alone have a kernel."""

    op: str
    in_shape: str
    out_shape: str
    macs: int
    params: int
    in_elements: int
    out_elements: int
    kernel: str = ""
    stride: str = ""
    groups: str = ""
    dilation: str = ""

    def cells(self, network: str, index: int) -> tuple[str, ...]:
        """Return the row as a line of the table, in the order of `COLUMNS`."""
        known = {**vars(self), "network": network, "index": index}
        return tuple(str(known[column]) for column in COLUMNS)


def record(network: nn.Module, *inputs: Tensor) -> list[Row]:
    """Return the operators of one forward pass, in the order in which they run.

    Args:
        network: a network whose parameters lie on the meta device.
        inputs: what it is given, on the meta device as well.
    """
    recorder = _Recorder()
    with torch.no_grad(), recorder:
        network.eval()(*inputs)
    return recorder.rows


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Row] = []

    def __torch_dispatch__(  # type: ignore[override]  # torch leaves the types of its base open
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run the operator and keep what it read and wrote."""
        result = func(*args, **(kwargs or {}))
        op = func.overloadpacket.__name__
        written = _tensors(result)
        if op not in VIEWS and op not in FACTORIES and written:
            read = _tensors([*args, *(kwargs or {}).values()])
            self.rows.append(_row(op, args, read, written[0]))
        return result


def _row(op: str, args: Sequence[Any], read: list[Tensor], out: Tensor) -> Row:
    if op == "convolution":
        return _convolution(args, out)
    macs, params, in_elements = 0, 0, sum(tensor.numel() for tensor in read)
    if op == "addmm":
        bias, given, weight = read[:3]
        macs, params, in_elements = given.numel() * weight.shape[1], bias.numel() + weight.numel(), given.numel()
    elif op in {"mm", "bmm"}:
        macs = read[0].numel() * read[1].shape[-1]
    return Row(
        op=NAMES.get(op, op),
        in_shape=_joined(read[0].shape) if read else "",
        out_shape=_joined(out.shape),
        macs=macs,
        params=params,
        in_elements=in_elements,
        out_elements=out.numel(),
    )


def _convolution(args: Sequence[Any], out: Tensor) -> Row:
    given, weight, bias, stride, _, dilation, transposed, _, groups = args
    pixels = prod(given.shape[2:]) if transposed else prod(out.shape[2:])
    return Row(
        op=_kind_of_convolution(weight, groups, transposed),
        in_shape=_joined(given.shape),
        out_shape=_joined(out.shape),
        macs=out.shape[0] * weight.numel() * pixels,
        params=weight.numel() + (0 if bias is None else bias.numel()),
        in_elements=given.numel(),
        out_elements=out.numel(),
        kernel=_joined(weight.shape[2:]),
        stride=_joined(stride),
        groups=str(groups),
        dilation=_joined(dilation),
    )


def _kind_of_convolution(weight: Tensor, groups: int, transposed: bool) -> str:
    if transposed:
        return "conv_transpose"
    if groups > 1:
        return "depthwise_conv" if weight.shape[1] == 1 else "grouped_conv"
    return "pointwise_conv" if all(side == 1 for side in weight.shape[2:]) else "conv"


def _joined(sizes: Sequence[int]) -> str:
    return "x".join(str(size) for size in sizes)


def _tensors(values: Any) -> list[Tensor]:
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, list | tuple):
        return [tensor for value in values for tensor in _tensors(value)]
    return []
