"""From a table of ATen operators, one row each, to the kernels that the product would trace from the same network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from math import prod
from pathlib import Path

from published.tables import read_rows
from ussearch.hardware_profiles.kernels.kernel import ACTIVATIONS, BYTES_PER_ELEMENT, FREE, KERNELS, Kernel, Shape

OPERATORS = {
    **KERNELS,
    "conv_transpose": "transposed_conv",
    "_safe_softmax": "softmax",
    "_softmax": "softmax",
    "batch_norm": "batch_norm",
    "layer_norm": "layer_norm",
    "native_group_norm": "group_norm",
    "constant_pad_nd": "pad",
    "reflection_pad2d": "pad",
    "avg_pool2d": "average_pool",
    "addcmul": "mul",
    "roll": "slice",
    "sum": "reduce",
    "var": "reduce",
    "linalg_vector_norm": "reduce",
    "repeat": "concat",
    "index": "gather",
}
"""Operators of the tables by the names of kernels; what is missing keeps its own name."""
UNSEEN = FREE | {"as_strided", "eye", "cumsum", "bitwise_not", "sin", "cos", "copy", "im2col"}
"""Rows that cost nothing, or that an exporter computes beforehand."""
NORMS_FOLD_BEHIND = ("conv", "matmul")


@cache
def read_networks(path: Path) -> Mapping[str, tuple[Kernel, ...]]:
    """Return the kernels of every network of a table of operators, by its key."""
    rows: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in read_rows(path):
        rows[row["network"]].append(row)
    return {name: tuple(kernels(each)) for name, each in rows.items()}


def kernels(rows: Sequence[Mapping[str, str]]) -> list[Kernel]:
    """Return the kernels of one network.

    A batch norm is folded into the convolution before it and is a kernel elsewhere (before activations, as in
    DenseNet); an activation belongs to the kernel before it.
    """
    found: list[Kernel] = []
    folds = False
    for row in rows:
        name = row["op"].rstrip("_")
        if name in UNSEEN or not int(row["out_elements"]):
            continue
        if name == "batch_norm" and folds:
            continue
        if name in ACTIVATIONS and found:
            found[-1] = replace(found[-1], epilogue=(*found[-1].epilogue, ACTIVATIONS[name]))
            folds = False
            continue
        found.append(kernel(row, _operator(name, row)))
        folds = found[-1].operator.endswith(NORMS_FOLD_BEHIND)
    return found


def _operator(name: str, row: Mapping[str, str]) -> str:
    """Return the name of a row's kernel; a mean over all pixels is what the product calls a global pool."""
    inputs, output = shape(row["in_shape"]), shape(row["out_shape"])
    if name in {"mean", "_adaptive_avg_pool2d"} and len(inputs) == 4 and prod(output) == inputs[0] * inputs[1]:
        return "global_pool"
    return OPERATORS.get(name, name)


def kernel(row: Mapping[str, str], operator: str) -> Kernel:
    """Return the kernel of one row."""
    inputs, output = shape(row["in_shape"]), shape(row["out_shape"])
    parameters = int(row["params"]) if operator.endswith(NORMS_FOLD_BEHIND) else 0
    read = _read(row, operator, parameters)
    elements = read + int(row["out_elements"]) + parameters
    return Kernel(
        name=row["index"],
        operator=operator,
        input_shapes=(inputs, (read - prod(inputs),)) if read > prod(inputs) else (inputs,),
        output_shape=output,
        macs=int(row["macs"]),
        bytes=elements * BYTES_PER_ELEMENT,
        parameters=parameters,
        sources=(),
        window=_pair(row["kernel"]),
        stride=max(_pair(row["stride"])),
        groups=int(row["groups"] or 1),
        dilation=max(_pair(row["dilation"])),
    )


def shape(text: str) -> Shape:
    """Read ``1x3x224x224``."""
    return tuple(int(each) for each in text.split("x")) if text else ()


def _read(row: Mapping[str, str], operator: str, parameters: int) -> int:
    """Return how many values of tensors a kernel reads beside its parameters.

    NOTE: the tables count the weights of matrix products among what is read, those of convolutions not.
    """
    read = int(row["in_elements"])
    return max(read - parameters, 0) if operator == "matmul" and read > parameters else read


def _pair(text: str) -> tuple[int, int]:
    if not text:
        return (1, 1)
    *_, first, second = [int(side) for side in f"{text}x{text}".split("x")]
    return first, second
