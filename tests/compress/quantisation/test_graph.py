"""What is read off a file."""

from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto, helper

from ussearch.compress.quantisation import Quantiser, Settings, int8_nodes, layers, slow_activations


@pytest.mark.parametrize(
    ("activation", "kind"),
    [("relu", None), ("relu6", None), ("hswish", "hard-swish"), ("swish", "SiLU"), ("gelu", "GELU")],
)
def test_slow_activations_are_named_with_the_reason(activation: str, kind: str | None, make_unet, ship) -> None:
    model = onnx.load(ship(make_unet(activation=activation)).path)
    found = slow_activations(model)
    if kind is None:
        assert found == []
        return
    assert len(found) == 3, "one behind each of the convolutions"
    assert all(f": {kind} has no 8-bit kernel" in sentence for sentence in found)
    names = {node.name or node.output[0] for node in model.graph.node}
    assert {sentence.split(": ")[0] for sentence in found} <= names


def graph(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 4, 4])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)
    return helper.make_model(helper.make_graph(nodes, "g", [image], [logits]))


def test_a_gate_is_no_activation() -> None:
    """Squeeze-excitation multiplies by the sigmoid of something else."""
    gate = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Sigmoid", ["pooled"], ["gate"]),
        helper.make_node("Mul", ["image", "gate"], ["logits"]),
    ]
    assert slow_activations(graph(*gate)) == []
    silu = [helper.make_node("Sigmoid", ["image"], ["gate"]), helper.make_node("Mul", ["gate", "image"], ["logits"])]
    assert slow_activations(graph(*silu)) == [
        "logits: SiLU has no 8-bit kernel, its map is converted to float and back"
    ]


def test_integer_nodes_are_found_and_only_they(small) -> None:
    source = onnx.load(small.path)
    assert int8_nodes(source) == []
    model = Quantiser(small.path, small.images).model(Settings("u8s8", "minmax"))
    pairs = [node.output[0] for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert int8_nodes(model) == pairs
    cast = graph(helper.make_node("Cast", ["image"], ["logits"], name="to_bytes", to=TensorProto.INT8))
    assert int8_nodes(cast) == ["to_bytes"]
    fused = graph(helper.make_node("QLinearAdd", ["image"], ["logits"], name="sum", domain="com.microsoft"))
    assert int8_nodes(fused) == ["sum"]


def test_layers_are_the_convolutions(small) -> None:
    model = onnx.load(small.path)
    assert layers(model) == [node.name for node in model.graph.node if node.op_type == "Conv"]
    assert Quantiser(small.path, small.images).layers == layers(model)
