"""Small ONNX models, good ones and ones that break exactly one rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

SHAPE = (1, 4, 8, 8)
CONSTANTS: dict[str, Any] = {
    "kernel": np.ones((4, 4, 3, 3), np.float32),
    "kernel1": np.ones((4, 4, 3), np.float32),
    "bias": np.ones(4, np.float32),
    "axes": np.array([2], np.int64),
    "starts": np.array([0], np.int64),
    "ends": np.array([4], np.int64),
    "two": np.array([2], np.int64),
    "least": np.array(0, np.float32),
    "scales": np.array([1, 1, 2, 2], np.float32),
    "scales3": np.array([1, 2, 2], np.float32),
    "sizes": np.array([1, 4, 16, 16], np.int64),
    "shape": np.array([1, 4, 64], np.int64),
    "scale": np.array(0.1, np.float32),
    "scale0": np.array(0, np.float32),
    "scale4": np.full(4, 0.1, np.float32),
    "zero": np.array(0, np.int8),
    "zero_u8": np.array(0, np.uint8),
    "zero4": np.zeros(4, np.int8),
    "one_s8": np.array(1, np.int8),
    "kernel_s8": np.ones((4, 4, 3, 3), np.int8),
    "bias_s8": np.ones(4, np.int8),
    "class0": np.array(0, np.int64),
}
"""What nodes of the models may name; only what they name is stored."""


def node(operator: str, inputs: str, outputs: str = "y", *, name: str = "bad", **attributes: Any) -> NodeProto:
    """Return a node; names of inputs and outputs are separated by commas, ``-`` leaves one out."""
    sides = [["" if each == "-" else each for each in side.split(",")] for side in (inputs, outputs)]
    return helper.make_node(operator, *sides, name=name, **attributes)


def model(
    *nodes: NodeProto,
    shape: tuple[int | str, ...] = SHAPE,
    out: tuple[int | str, ...] = SHAPE,
    kind: int = TensorProto.FLOAT,
    given: int = TensorProto.FLOAT,
    opset: int = 13,
    ir_version: int = 8,
    **constants: Any,
) -> onnx.ModelProto:
    """Return the model ``image`` [shape] of type ``given`` -> nodes -> ``y`` [out] of type ``kind``.

    It stores the constants that its nodes name.
    """
    known = {**CONSTANTS, **constants}
    named = dict.fromkeys(name for each in nodes for name in each.input if name in known)
    weights = [numpy_helper.from_array(np.asarray(known[name]), name) for name in named]
    image = helper.make_tensor_value_info("image", given, shape)
    result = helper.make_tensor_value_info("y", kind, out)
    graph = helper.make_graph(nodes, "network", [image], [result], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)


def conv(inputs: str = "image,kernel", outputs: str = "y", *, name: str = "conv") -> NodeProto:
    """Return a 3x3 convolution that keeps the shape."""
    return node("Conv", inputs, outputs, name=name, pads=[1, 1, 1, 1])


def run_time(name: str, source: str = "axes") -> NodeProto:
    """Return a node that makes ``name`` at run time, in a way that shape inference sees through."""
    return node("Identity", source, name, name="source")


Make = Callable[[], onnx.ModelProto]


@dataclass(frozen=True)
class Case:
    """A model that breaks one rule at one node, and a neighbour that keeps all of them."""

    rule: str
    node: str
    bad: Make
    good: Make
    profile: str = "jetson-nano"


def constant_input(operator: str, inputs: str, source: str, out: tuple[int, ...], **attributes: Any) -> Case:
    """Return the case of an operator whose parameter ``#`` is made at run time instead of stored."""
    given = attributes.pop("outputs", "y")

    def make(parameter: str, *before: NodeProto) -> onnx.ModelProto:
        return model(*before, node(operator, inputs.replace("#", parameter), given, **attributes), out=out)

    return Case("constant_inputs", "bad", lambda: make("made", run_time("made", source)), lambda: make(source))


def pair(q: str, dq: str, **attributes: Any) -> onnx.ModelProto:
    """Return image -> QuantizeLinear -> DequantizeLinear -> y with scale and zero point of each."""
    first = node("QuantizeLinear", f"image,{q}", "q", name="quantise", **attributes)
    return model(first, node("DequantizeLinear", f"q,{dq}", name="bad", **attributes))


def cast(source: str, made: str, to: int, name: str = "cast") -> NodeProto:
    """Return a Cast."""
    return node("Cast", source, made, name=name, to=to)


def foreign(*, as_function: bool) -> onnx.ModelProto:
    """Return a model with an operator of a domain of its own, which the file explains where asked."""
    made = model(node("Twice", "image", domain="com.me"), opset=15)
    made.opset_import.append(helper.make_opsetid("com.me", 1))
    if as_function:
        twice = helper.make_node("Add", ["x", "x"], ["z"])
        sets = [helper.make_opsetid("", 15)]
        made.functions.append(helper.make_function("com.me", "Twice", ["x"], ["z"], [twice], sets))
    return made


def quantised_conv(*, bias: bool, channels: bool = True) -> onnx.ModelProto:
    """Return a convolution with INT8 weights by channel, and INT8 biases where asked."""
    weight = node("DequantizeLinear", "kernel_s8,scale4,zero4", "w", name="weight", axis=0)
    if not bias:
        return model(weight, conv("image,w,bias", name="bad"))
    return model(weight, node("DequantizeLinear", "bias_s8,scale,zero", "b", name="b"), conv("image,w,b", name="bad"))


def outside() -> onnx.ModelProto:
    """Return a model with a weight in a file that does not exist."""
    made = model(conv())
    weight = made.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.append(onnx.StringStringEntryProto(key="location", value="../../absent.bin"))
    return made


def branches(operator: str) -> onnx.ModelProto:
    """Return an If on a constant with the operator in both branches."""
    made = [node(operator, "image", f"{side}", name=f"{side}-node") for side in ("then", "else")]
    results = [helper.make_tensor_value_info(side, TensorProto.FLOAT, SHAPE) for side in ("then", "else")]
    graphs = [helper.make_graph([each], each.name, [], [result]) for each, result in zip(made, results, strict=True)]
    branch = helper.make_node("If", ["yes"], ["y"], name="if", then_branch=graphs[0], else_branch=graphs[1])
    return model(branch, yes=np.array(True))


def constant_node(name: str, values: Any) -> NodeProto:
    """Return a Constant node."""
    return helper.make_node("Constant", [], [name], name=name, value=numpy_helper.from_array(np.asarray(values)))


def resize(inputs: str = "image,-,scales", out: tuple[int, ...] = (1, 4, 16, 16), **attributes: Any) -> Make:
    """Return a maker of a model that enlarges."""
    return lambda: model(node("Resize", inputs, **attributes), out=out)


def whole_mean(operator: str, inputs: str, **attributes: Any) -> onnx.ModelProto:
    """Return a model that reduces."""
    return model(node(operator, inputs, **attributes), out=(1, 4, 1, 8))


HALF = (1, 4, 4, 4)
NANO_CASES = [
    Case("opset", "model", lambda: model(conv(), opset=17), lambda: model(conv())),
    Case("opset", "model", lambda: model(conv(), opset=6), lambda: model(conv(), opset=7)),
    Case(
        "tensor_types",
        "image",
        lambda: model(cast("image", "y", TensorProto.FLOAT), given=TensorProto.UINT8),
        lambda: model(cast("image", "y", TensorProto.FLOAT), given=TensorProto.INT32),
    ),
    Case(
        "tensor_types",
        "bad",
        lambda: model(cast("image", "c", TensorProto.UINT8, "bad"), cast("c", "y", TensorProto.FLOAT)),
        lambda: model(cast("image", "c", TensorProto.INT32), cast("c", "y", TensorProto.FLOAT)),
    ),
    Case("ir_version", "model", lambda: model(conv(), ir_version=10), lambda: model(conv(), ir_version=7)),
    Case("external_data", "kernel", outside, lambda: model(conv())),
    Case("static_shapes", "image", lambda: model(conv(), shape=("batch", 4, 8, 8)), lambda: model(conv())),
    Case("static_shapes", "y", lambda: model(conv(), out=(1, 4, "h", 8)), lambda: model(conv())),
    Case(  # a Reshape whose target depends on what is in the image
        "static_shapes",
        "bad",
        lambda: model(
            node("Flatten", "image", "f", name="flat", axis=0),
            node("Slice", "f,starts,two,axes1", "two-values", name="two"),
            node("Reshape", "two-values,flat-shape", "pair", name="pair"),
            node("Cast", "pair", "target", name="cast", to=TensorProto.INT64),
            node("Reshape", "image,target", name="bad"),
            out=(16, 16),
            **{"axes1": np.array([1], np.int64), "flat-shape": np.array([2], np.int64)},
        ),
        lambda: model(node("Reshape", "image,shape"), out=(1, 4, 64)),
    ),
    Case(
        "static_shapes",
        "bad",
        lambda: model(
            node("Cast", "image", "c", name="cast", to=TensorProto.INT64),
            node("ReduceMax", "c", "m", name="max", keepdims=0),
            node("Unsqueeze", "m,starts", "u", name="u"),
            node("ConstantOfShape", "u", "z", name="bad"),
            node("ReduceSum", "z", "s", name="s", keepdims=0),
            node("Add", "image,s", name="add"),
        ),
        lambda: model(node("ConstantOfShape", "sizes", "z"), node("Add", "z,image"), sizes=np.array(SHAPE)),
    ),
    Case("batch_one", "image", lambda: model(conv(), shape=(2, 4, 8, 8), out=(2, 4, 8, 8)), lambda: model(conv())),
    Case("operators", "bad", lambda: model(node("HardSwish", "image")), lambda: model(node("HardSigmoid", "image"))),
    Case("operators", "bad", lambda: model(node("Mod", "image,least", fmod=1)), lambda: model(node("Relu", "image"))),
    Case("operators", "bad", lambda: model(node("Relu", "image", domain="com.me")), lambda: model(conv())),
    Case("operators", "then-node", lambda: branches("Mish"), lambda: branches("Relu")),
    Case(
        "operators",
        "ArgMax that makes y",
        lambda: model(node("ArgMax", "image", name="", axis=1), out=(1, 1, 8, 8), kind=TensorProto.INT64),
        lambda: model(node("ReduceMax", "image", axes=[1]), out=(1, 1, 8, 8)),
    ),
    Case(
        "reduce_axes",
        "bad",
        lambda: whole_mean("ReduceMean", "image,axes"),
        lambda: whole_mean("ReduceMean", "image", axes=[2]),
    ),
    Case("constant_weights", "bad", lambda: model(conv("image,image", name="bad")), lambda: model(conv())),
    Case(
        "precision",
        "quantise",
        lambda: model(node("QuantizeLinear", "image,scale,zero", name="quantise"), kind=TensorProto.INT8),
        lambda: model(conv()),
    ),
    constant_input("Clip", "image,#", "least", SHAPE),
    constant_input("Conv", "image,kernel,#", "bias", SHAPE, pads=[1, 1, 1, 1]),
    constant_input("ConvTranspose", "image,kernel,#", "bias", SHAPE, pads=[1, 1, 1, 1]),
    constant_input("CumSum", "image,#", "class0", SHAPE),
    constant_input("InstanceNormalization", "image,#,bias", "bias", SHAPE),
    constant_input("ReduceSum", "image,#", "axes", (1, 4, 1, 8)),
    constant_input("Slice", "image,starts,ends,#", "axes", (1, 4, 4, 8)),
    constant_input("Squeeze", "image,#", "starts", (4, 8, 8)),
    constant_input("Unsqueeze", "image,#", "starts", (1, *SHAPE)),
    Case(
        "rank",
        "bad",
        lambda: model(node("Conv", "image,kernel1", pads=[1, 1]), shape=(1, 4, 8), out=(1, 4, 8)),
        lambda: model(conv()),
    ),
    Case(
        "rank",
        "bad",
        lambda: model(
            node("InstanceNormalization", "image,bias,bias"), shape=(1, 4, 2, 2, 2, 2), out=(1, 4, 2, 2, 2, 2)
        ),
        lambda: model(node("InstanceNormalization", "image,bias,bias"), shape=(1, 4, 8), out=(1, 4, 8)),
    ),
    Case(
        "maxpool_indices",
        "bad",
        lambda: model(node("MaxPool", "image", "y,indices", kernel_shape=[2, 2], strides=[2, 2]), out=HALF),
        lambda: model(node("MaxPool", "image", kernel_shape=[2, 2], strides=[2, 2]), out=HALF),
    ),
    Case("resize", "bad", resize(mode="cubic"), resize(mode="linear")),
    Case(  # before opset 11, scales were the second input
        "resize",
        "bad",
        lambda: model(run_time("made", "scales"), node("Resize", "image,made"), out=(1, 4, 16, 16), opset=10),
        lambda: model(node("Resize", "image,scales"), out=(1, 4, 16, 16), opset=10),
    ),
    Case(
        "resize",
        "bad",
        resize(coordinate_transformation_mode="tf_half_pixel_for_nn", nearest_mode="floor"),
        resize(coordinate_transformation_mode="tf_half_pixel_for_nn", nearest_mode="round_prefer_floor"),
    ),
    Case(
        "resize",
        "bad",
        resize("image,scales,scales", coordinate_transformation_mode="tf_crop_and_resize"),
        resize(coordinate_transformation_mode="align_corners", mode="linear"),
    ),
    Case("resize", "bad", resize("image,-,scales3"), resize("image,-,-,sizes")),
    Case(
        "resize",
        "bad",
        lambda: model(run_time("made", "sizes"), node("Resize", "image,-,-,made"), out=(1, 4, 16, 16)),
        lambda: model(constant_node("made", CONSTANTS["sizes"]), node("Resize", "image,-,-,made"), out=(1, 4, 16, 16)),
    ),
    Case(
        "resize",
        "bad",
        lambda: model(run_time("made", "scales"), node("Resize", "image,-,made"), out=(1, 4, 16, 16)),
        lambda: model(constant_node("made", CONSTANTS["scales"]), node("Resize", "image,-,made"), out=(1, 4, 16, 16)),
    ),
]
TOP = (1, 2, 8, 8)
OTHER_CASES = [
    Case(
        "tensor_types",
        "bad",
        lambda: model(node("Identity", "image", "i"), cast("i", "y", TensorProto.FLOAT), given=TensorProto.UINT8),
        lambda: model(cast("image", "y", TensorProto.FLOAT), given=TensorProto.UINT8),
        "jetson-orin-nano",
    ),
    Case(
        "tensor_types",
        "bad",
        lambda: model(cast("image", "c", TensorProto.UINT8, "bad"), cast("c", "y", TensorProto.FLOAT)),
        lambda: model(cast("image", "y", TensorProto.UINT8), kind=TensorProto.UINT8),
        "jetson-orin-nano",
    ),
    Case(
        "operators",
        "bad",
        lambda: foreign(as_function=False),
        lambda: foreign(as_function=True),
        "raspberry-pi-4",
    ),
    Case(
        "resize",
        "bad",
        lambda: model(node("Resize", "image,-,scales", antialias=1, mode="linear"), out=(1, 4, 16, 16), opset=17),
        lambda: model(node("Resize", "image,-,scales", mode="linear"), out=(1, 4, 16, 16), opset=17),
        "jetson-orin-nano",
    ),
    Case(
        "constant_inputs",
        "bad",
        lambda: model(
            run_time("k", "two"),
            node("TopK", "image,k", "v,i", axis=1),
            conv("v,half", name="conv"),
            half=np.ones((4, 2, 3, 3), np.float32),
        ),
        lambda: model(node("TopK", "image,two", "v,i", axis=1), conv("v,half"), half=np.ones((4, 2, 3, 3), np.float32)),
        "jetson-tx2",
    ),
    Case(
        "order_at_the_end",
        "bad",
        lambda: model(
            node("ArgMax", "image", "a", axis=1),
            node("Cast", "a", name="cast", to=TensorProto.FLOAT),
            out=(1, 1, 8, 8),
        ),
        lambda: model(node("ReduceMax", "image", axes=[1]), out=(1, 1, 8, 8)),
        "jetson-tx2",
    ),
    Case(
        "order_at_the_end",
        "bad",
        lambda: model(node("TopK", "image,two", "y,i", axis=1), out=TOP),
        lambda: model(node("TopK", "image,two", "v,i", axis=1), conv("v,half"), half=np.ones((4, 2, 3, 3), np.float32)),
        "jetson-tx2",
    ),
    *(
        Case("quantisation", "bad", bad, lambda: pair("scale,zero", "scale,zero"), "jetson-xavier-nx")
        for bad in (
            lambda: model(
                node("QuantizeLinear", "image,scale,zero", "q", name="q"),
                run_time("z", "zero"),
                node("DequantizeLinear", "q,scale,z"),
            ),
            lambda: pair("scale,zero", "scale"),
            lambda: pair("scale,zero", "scale,one_s8"),
            lambda: pair("scale,zero", "scale0,zero"),
            lambda: pair("scale,zero", "scale4,zero4", axis=1),
            lambda: model(
                node("QuantizeLinear", "image,scale,zero", "q", name="q"),
                run_time("s", "scale"),
                node("DequantizeLinear", "q,s,zero"),
            ),
        )
    ),
    Case(
        "quantisation",
        "bad",
        lambda: model(node("QuantizeLinear", "image,scale,zero_u8", "q"), cast("q", "y", TensorProto.FLOAT)),
        lambda: model(node("QuantizeLinear", "image,scale,zero", "q"), cast("q", "y", TensorProto.FLOAT)),
        "jetson-xavier-nx",
    ),
    Case(
        "quantised_bias",
        "bad",
        lambda: quantised_conv(bias=True),
        lambda: quantised_conv(bias=False),
        "jetson-xavier-nx",
    ),
    Case(
        "divisor",
        "bad",
        lambda: model(node("Div", "image,image")),
        lambda: model(node("Div", "image,scale")),
        "coral-edge-tpu",
    ),
    Case(
        "precision",
        "kernel",
        lambda: model(
            node("Cast", "kernel", "k", name="cast", to=TensorProto.FLOAT),
            conv("image,k"),
            opset=15,
            kernel=np.ones((4, 4, 3, 3), np.float16),
        ),
        lambda: model(conv(), opset=15),
        "raspberry-pi-4",
    ),
]
CASES = [*NANO_CASES, *OTHER_CASES]
