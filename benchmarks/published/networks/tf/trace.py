"""One row per operator of a network, recorded while it runs without data on torch's meta device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

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
CONVOLUTIONS = frozenset({"conv", "pointwise_conv", "depthwise_conv", "grouped_conv", "conv_transpose"})
IGNORED = frozenset({"empty", "_unsafe_view"})
"""What batch norm and reshape call besides: neither computes nor moves anything."""
Row = dict[str, str | int]


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the operators that run, views left out: nothing is computed or moved for those."""

    def __init__(self, network: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.network = network
        self.rows: list[Row] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run the operator and record it."""
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        aliases = [value.alias_info for value in func._schema.returns]
        is_view = any(alias is not None and not alias.is_write for alias in aliases)
        if not is_view and name not in IGNORED:
            self._record(name, args, result)
        return result

    def _record(self, name: str, args: Sequence[Any], result: Any) -> None:
        out = next(_tensors([result]))
        row: Row = dict.fromkeys(COLUMNS, "")
        row |= {"network": self.network, "index": len(self.rows), "macs": 0, "params": 0}
        read = list(_tensors(args))
        if name == "convolution":
            row |= _convolution(args, out)
            read = read[:1]
        else:
            row["op"] = "batch_norm" if "batch_norm" in name else name
        row |= {
            "in_shape": _shape(read[0]) if read else "",
            "out_shape": _shape(out),
            "in_elements": sum(tensor.numel() for tensor in read),
            "out_elements": out.numel(),
        }
        self.rows.append(row)


def rows_of(network: str, build: Callable[[], nn.Module], height: int, width: int) -> tuple[list[Row], int]:
    """Return the rows of a network for an input of this size, and its trainable parameters, each counted once.

    The rows hold the weights a convolution reads, so that weights which several levels share count once per level,
    and those of batch norms do not count: runtimes fold them.
    """
    with torch.device("meta"), torch.no_grad():
        module = build().eval()
        image = torch.empty(1, 3, height, width)
        with Recorder(network) as recorder:
            module(image)
    return recorder.rows, sum(parameter.numel() for parameter in module.parameters())


def _convolution(args: Sequence[Any], out: Tensor) -> Row:
    image, weight, bias, stride, _, dilation, transposed, _, groups = args[:9]
    kernel = weight.shape[2:]
    if transposed:
        name = "conv_transpose"
    elif groups == 1:
        name = "pointwise_conv" if prod(kernel) == 1 else "conv"
    else:
        name = "depthwise_conv" if groups == image.shape[1] else "grouped_conv"
    pixels = (image if transposed else out).shape
    return {
        "op": name,
        "kernel": _times(kernel),
        "stride": _times(stride),
        "groups": groups,
        "dilation": _times(dilation),
        "macs": weight.numel() * pixels[0] * prod(pixels[2:]),
        "params": weight.numel() + (0 if bias is None else bias.numel()),
    }


def _tensors(values: Sequence[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


def _shape(tensor: Tensor) -> str:
    return _times(tensor.shape)


def _times(values: Sequence[int]) -> str:
    return "x".join(str(value) for value in values)
