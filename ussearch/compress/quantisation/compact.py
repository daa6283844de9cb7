"""A quantised file without what only takes room, which is a good part of a small network's INT8 file."""

from __future__ import annotations

from itertools import count

import onnx
from onnx import GraphProto, TensorProto, numpy_helper

WEIGHT = "_quantized"
"""How names of quantised weights and biases end; they stay, since they say to which layer the numbers belong."""


def compact_(model: onnx.ModelProto) -> None:
    """Make the file smaller in place; what it computes, inputs, outputs and the names of layers stay.

    Gone are zero points of biases (int32 has none but zero), constants that stand there twice, shapes that follow from
    others, names of the nodes that convert, and names of values between nodes, each of which stands there several
    times: they become numbers.
    """
    graph = model.graph
    _drop_zero_points_of_biases(graph)
    _share_constants(graph)
    del graph.value_info[:]
    for node in graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            node.name = ""
    _number_values(graph)


def _drop_zero_points_of_biases(graph: GraphProto) -> None:
    biases = {tensor.name for tensor in graph.initializer if tensor.data_type == TensorProto.INT32}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in biases:
            del node.input[2:]
    _keep_used(graph)


def _share_constants(graph: GraphProto) -> None:
    first: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    same = {}
    for tensor in graph.initializer:
        data = numpy_helper.to_array(tensor).tobytes()
        same[tensor.name] = first.setdefault((tensor.data_type, tuple(tensor.dims), data), tensor.name)
    _rename(graph, same)
    _keep_used(graph)


def _number_values(graph: GraphProto) -> None:
    kept = {value.name for value in (*graph.input, *graph.output)}
    kept |= {tensor.name for tensor in graph.initializer if tensor.name.endswith(WEIGHT)}
    names = [tensor.name for tensor in graph.initializer] + [name for node in graph.node for name in node.output]
    free = (each for each in map(str, count()) if each not in kept)
    numbers = {name: next(free) for name in dict.fromkeys(names) if name and name not in kept}
    _rename(graph, numbers)
    for tensor in graph.initializer:
        tensor.name = numbers.get(tensor.name, tensor.name)


def _rename(graph: GraphProto, names: dict[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]


def _keep_used(graph: GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    needed = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(needed)
