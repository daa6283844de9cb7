"""How two tools count operations, so that figures printed by them can be compared to the last digit."""

from __future__ import annotations

from math import prod

from recorder import Row
from torch import nn


def thop_count(network: nn.Module, rows: list[Row]) -> tuple[int, int]:
    """Count as thop does: two operations for every element that passes a batch norm, besides the products."""
    return sum(parameter.numel() for parameter in network.parameters()), sum(row.macs for row in rows) + _norms(rows)


def folded_count(network: nn.Module, rows: list[Row]) -> tuple[int, int]:
    """Count one operation for every element that passes a batch norm, besides the products."""
    return sum(parameter.numel() for parameter in network.parameters()), sum(row.macs for row in rows) + _norms(
        rows
    ) // 2


def profiler_count(network: nn.Module, rows: list[Row]) -> tuple[int, int]:
    """Count as EfficientDet's authors did: one operation for every element a convolution writes, besides the products.

    TensorFlow's profiler sees the batch norm after it as a scale within the weights and a bias.
    """
    biases = sum(row.out_elements for row in rows if row.kernel)
    return sum(parameter.numel() for parameter in network.parameters()), sum(row.macs for row in rows) + biases


def paddle_count(network: nn.Module, rows: list[Row]) -> tuple[int, int]:
    """Count as ``paddle.flops`` does.

    Running means and variances are parameters there; biases of convolutions, batch norms (two an element) and global
    means (one for each element read and written) are operations.
    """
    statistics = sum(buffer.numel() for buffer in network.buffers() if buffer.is_floating_point())
    parameters = sum(parameter.numel() for parameter in network.parameters()) + statistics
    operations = sum(row.macs for row in rows) + _norms(rows)
    operations += sum(row.in_elements + row.out_elements for row in rows if row.op == "mean")
    operations += sum(row.out_elements for row in rows if row.kernel and _has_bias(row))
    return parameters, operations


def _norms(rows: list[Row]) -> int:
    return sum(2 * row.out_elements for row in rows if row.op == "batch_norm")


def _has_bias(row: Row) -> bool:
    before, after = (int(shape.split("x")[1]) for shape in (row.in_shape, row.out_shape))
    weights = before // int(row.groups) * after * prod(int(side) for side in row.kernel.split("x"))
    return row.params > weights
