"""A model as the rules read it: its nodes, constants and shapes, gathered once, safe on files that lie."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper, shape_inference

from ussearch.errors import UserError

SMALL = 1024
"""Elements up to which a constant may decide about shapes; larger ones are weights."""
NO_NUMBERS = frozenset({TensorProto.STRING, TensorProto.COMPLEX64, TensorProto.COMPLEX128})
Shape = tuple[int, ...]


class ModelView:
    """What rules ask about a model. References to external data are never followed."""

    def __init__(self, model: onnx.ModelProto) -> None:
        """Raises UserError where names are not text."""
        self.model = model
        self.nodes = list(walk(model.graph))
        if not all(isinstance(name, str) for name in self._names()):  # NOTE: protobuf gives bytes where UTF-8 is broken
            raise UserError("The model is not an ONNX file (a name in it is no text); export the network again.")
        self.initializers = {tensor.name: tensor for graph in graphs(model.graph) for tensor in graph.initializer}
        self.producers = {name: node for node in self.nodes for name in node.output if name}

    @property
    def opset(self) -> int:
        """Version of ONNX's own operator set; 0 where the file imports none."""
        versions = [entry.version for entry in self.model.opset_import if entry.domain in {"", "ai.onnx"}]
        return max(versions, default=0)

    @property
    def tensors(self) -> Iterator[TensorProto]:
        """Every stored tensor: initializers and those in attributes."""
        yield from self.initializers.values()
        for node in self.nodes:
            for attribute in node.attribute:
                yield from ([attribute.t] if attribute.HasField("t") else [])
                yield from attribute.tensors

    @property
    def inputs(self) -> list[onnx.ValueInfoProto]:
        """What a caller must give: initializers that are listed as inputs, as IR 3 demands, are left out."""
        return [value for value in self.model.graph.input if value.name not in self.initializers]

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """The shapes of all tensors of the main graph that are known before running, by name."""
        known = {name: tuple(tensor.dims) for name, tensor in self.initializers.items()}
        graph = self._inferred().graph
        for value in [*graph.input, *graph.value_info, *graph.output]:
            shape = static_shape(value)
            if shape is not None:
                known[value.name] = shape
        return known

    def is_constant(self, name: str) -> bool:
        """Whether ``name`` is a weight to a parser: an initializer or what a Constant node makes."""
        return name in self.initializers or (name in self.producers and self.producers[name].op_type == "Constant")

    def is_quantised_constant(self, name: str) -> bool:
        """Whether ``name`` is a constant behind nothing but QuantizeLinear and DequantizeLinear."""
        for _ in range(3):
            node = self.producers.get(name)
            if self.is_constant(name) or node is None or node.op_type not in {"QuantizeLinear", "DequantizeLinear"}:
                break
            name = input_name(node, 0)
        return self.is_constant(name)

    def values(self, name: str) -> NDArray[Any] | None:
        """Return the values of a constant; None where it is none, lies outside the file or cannot be read."""
        stored = self.initializers.get(name)
        if stored is None and self.is_constant(name):
            stored = next((_content(each) for each in self.producers[name].attribute), None)
        if not isinstance(stored, TensorProto):
            return stored
        if stored.data_location == TensorProto.EXTERNAL or stored.data_type in NO_NUMBERS:
            return None
        try:
            return np.asarray(numpy_helper.to_array(stored))
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    def rank(self, name: str) -> int | None:
        """Return the number of dimensions of ``name``; None where it is not known."""
        return len(self.shapes[name]) if name in self.shapes else None

    def _names(self) -> Iterator[object]:
        """Yield every name that rules read."""
        for node in self.nodes:
            yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
            yield from (attribute.name for attribute in node.attribute)
        for graph in graphs(self.model.graph):
            yield from (each.name for each in [*graph.initializer, *graph.input, *graph.output])

    def _inferred(self) -> onnx.ModelProto:
        """Return the model without weights, with all shapes that follow from its inputs."""
        light = _without_weights(self.model)
        try:
            return shape_inference.infer_shapes(light, data_prop=True)
        except (shape_inference.InferenceError, RuntimeError, ValueError, TypeError):
            return light


def static_shape(value: onnx.ValueInfoProto) -> Shape | None:
    """Return the shape of ``value``; None where it is no tensor or a dimension is not a number."""
    if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
        return None
    dimensions = value.type.tensor_type.shape.dim
    if not all(dimension.HasField("dim_value") and dimension.dim_value >= 0 for dimension in dimensions):
        return None
    return tuple(dimension.dim_value for dimension in dimensions)


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield ``graph`` and every graph inside it, such as the branches of an If."""
    yield graph
    for node in graph.node:
        yield from _inside(node)


def walk(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield every node, those of subgraphs behind the node that holds them."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for subgraph in [attribute.g, *attribute.graphs]:
                yield from walk(subgraph)


def input_name(node: onnx.NodeProto, position: int) -> str:
    """Return the name of an input; empty where it is left out."""
    return node.input[position] if position < len(node.input) else ""


def attribute_text(node: onnx.NodeProto, name: str, default: str) -> str:
    """Return a text attribute as it is written, or its default."""
    found = [attribute.s for attribute in node.attribute if attribute.name == name]
    return found[0].decode(errors="replace") if found else default


def node_name(node: onnx.NodeProto) -> str:
    """Return how a user finds ``node``: its name, or what it makes."""
    return printable(node.name or f"{node.op_type} that makes {', '.join(node.output) or 'nothing'}")


def printable(name: str) -> str:
    """Return a name from a file as it can be shown: no control characters, at most 200 characters."""
    return "".join(each if each.isprintable() else "?" for each in name[:200])


def _content(attribute: onnx.AttributeProto) -> TensorProto | NDArray[Any] | None:
    """Return what the attribute of a Constant node holds; None for text and sparse tensors."""
    match attribute.name:
        case "value":
            return attribute.t
        case "value_int" | "value_float":
            return np.asarray(attribute.i if attribute.name == "value_int" else attribute.f)
        case "value_ints" | "value_floats":
            return np.asarray(attribute.ints if attribute.name == "value_ints" else attribute.floats)
        case _:
            return None


def _inside(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        for subgraph in [attribute.g, *attribute.graphs]:
            yield from graphs(subgraph)


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return ``model`` with large initializers emptied and without the shapes that it claims for what nodes make."""
    graph = onnx.GraphProto(name="network")
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(onnx.ValueInfoProto(name=value.name) for value in model.graph.output)
    for tensor in model.graph.initializer:
        small = all(size >= 0 for size in tensor.dims) and np.prod(tensor.dims, dtype=np.float64) <= SMALL
        kept = tensor if small else TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
        graph.initializer.append(kept)
    light = onnx.ModelProto(ir_version=model.ir_version, graph=graph)
    light.opset_import.extend(model.opset_import)
    light.functions.extend(model.functions)
    return light
