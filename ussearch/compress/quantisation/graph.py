"""What can be read off a model file about quantisation, and what only takes room in a quantised one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import onnx
from onnx import GraphProto, NodeProto, TensorProto, numpy_helper

INT8_TYPES = frozenset({TensorProto.INT8, TensorProto.UINT8})
INTEGER_OPERATORS = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger"})
INTEGER_PREFIXES = ("QLinear", "MatMulInteger", "QGemm", "DynamicQuantize")
PREPARING = frozenset({"Sub", "Div", "Add", "Mul", "Cast", "Concat"})
"""What the image passes before the first layer: normalisation, and repetition for layers that want more channels."""
LAYERS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


def name_of(node: NodeProto) -> str:
    """Return what a node is called: its name, or that of its first output."""
    return node.name or node.output[0]


def layers(model: onnx.ModelProto) -> list[str]:
    """Return the names of the nodes that have weights of their own, in order of execution: what quantisation is
    about.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    return [
        name_of(node)
        for node in model.graph.node
        if node.op_type in LAYERS and len(node.input) > 1 and node.input[1] in constants
    ]


def image_nodes(model: onnx.ModelProto) -> list[str]:
    """Return the names of the layers that read the image, and of what prepares it for them."""
    constants = {tensor.name for tensor in model.graph.initializer}
    image, found = {model.graph.input[0].name}, []
    for node in model.graph.node:
        reads = bool(image.intersection(node.input))
        if reads and node.op_type in PREPARING and image | constants >= set(node.input):
            image.update(node.output)
            found.append(name_of(node))
        elif reads and node.op_type in LAYERS:
            found.append(name_of(node))
    return found


def int8_nodes(model: onnx.ModelProto) -> list[str]:
    """Return the names of all nodes that compute with 8-bit integers or convert from or to them."""
    integers = {tensor.name for tensor in model.graph.initializer if tensor.data_type in INT8_TYPES}
    return [
        name_of(node)
        for node in model.graph.node
        if node.op_type in INTEGER_OPERATORS
        or node.op_type.startswith(INTEGER_PREFIXES)
        or integers.intersection(node.input)
        or (node.op_type == "Cast" and onnx.helper.get_node_attr_value(node, "to") in INT8_TYPES)
    ]


def slow_activations(model: onnx.ModelProto) -> list[str]:
    """Return, for each activation that costs INT8 more than it gains, the name of its node and the reason.

    onnxruntime has no integer kernel for them, so that every one costs a conversion to float and back of the whole
    feature map. Measured on x86 against FP32: 0.74 of the speed with hard-swish, 0.93 with SiLU.
    """
    return [
        f"{name_of(node)}: {kind} has no 8-bit kernel, its map is converted to float and back"
        for kind, node in _smooth_activations(model)
    ]


def _smooth_activations(model: onnx.ModelProto) -> Iterator[tuple[str, NodeProto]]:
    """Yield (kind, node) of hard-swish, SiLU and GELU, written as one node or as several."""
    producers = {output: node for node in model.graph.node for output in node.output}
    whole = {"HardSwish": "hard-swish", "Swish": "SiLU", "Gelu": "GELU", "Erf": "GELU", "Mish": "Mish"}
    gates = {"HardSigmoid": "hard-swish", "Sigmoid": "SiLU"}
    for node in model.graph.node:
        if node.op_type in whole:
            yield whole[node.op_type], node
        elif node.op_type == "Mul":
            for value, gate in (tuple(node.input), tuple(node.input)[::-1]):
                producer = producers.get(gate)
                # a gate of squeeze-excitation reads something else than what it multiplies
                if producer is not None and producer.op_type in gates and producer.input[0] == value:
                    yield gates[producer.op_type], node


WEIGHT = "_quantized"
"""How names of quantised weights and biases end; they stay, since they say to which layer the numbers belong."""


def deduplicate_initializers_(model: onnx.ModelProto) -> None:
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
