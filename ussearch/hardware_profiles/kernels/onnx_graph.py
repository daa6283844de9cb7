"""From an ONNX file to the kernels that a runtime would launch: ``trace``, for any model file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import onnx
from onnx import numpy_helper, shape_inference

from ussearch.errors import UserError
from ussearch.hardware_profiles.kernels.kernel import BYTES_PER_ELEMENT, Kernel, Shape
from ussearch.hardware_profiles.kernels.trace import INPUT

FREE = frozenset(
    {"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast", "Dropout", "Expand", "Shape", "Constant"}
)
ACTIVATIONS = {
    "Relu": "relu",
    "Clip": "relu6",
    "LeakyRelu": "leaky_relu",
    "PRelu": "prelu",
    "Elu": "elu",
    "HardSwish": "hardswish",
    "HardSigmoid": "hardsigmoid",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Gelu": "gelu",
    "Erf": "erf",
    "Exp": "exp",
    "Sqrt": "sqrt",
    "Pow": "pow",
    "Neg": "neg",
}
GATED = {"sigmoid": "silu", "hardsigmoid": "hardswish", "erf": "gelu"}
"""What an activation becomes where it is multiplied with its own input; GELU has a division and an addition around."""
BINARY = {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div", "Sum": "add", "Max": "maximum", "Min": "minimum"}
KERNELS = {
    "Concat": "concat",
    "MaxPool": "max_pool",
    "AveragePool": "average_pool",
    "GlobalAveragePool": "global_pool",
    "GlobalMaxPool": "global_pool",
    "ReduceMean": "reduce",
    "ReduceMax": "reduce",
    "ReduceMin": "reduce",
    "ReduceSum": "reduce",
    "Softmax": "softmax",
    "BatchNormalization": "batch_norm",
    "LayerNormalization": "layer_norm",
    "GroupNormalization": "group_norm",
    "InstanceNormalization": "group_norm",
    "Transpose": "transpose",
    "Split": "split",
    "Slice": "slice",
    "Gather": "gather",
    "Pad": "pad",
    "DepthToSpace": "depth_to_space",
    "SpaceToDepth": "space_to_depth",
    "MatMul": "matmul",
    "Gemm": "matmul",
}


def onnx_kernels(model: onnx.ModelProto) -> tuple[Kernel, ...]:
    """Return the kernels of ``model`` (static shapes, FP32), in order.

    An operator that no table names is a kernel of its own name, as in ``trace_kernels``. Raises UserError where the
    shapes cannot be inferred.
    """
    return _Reader.of(model).read(model)


@dataclass
class _Reader:
    """What is known while nodes are read in order: shapes, constants, and which kernel made each tensor."""

    shapes: dict[str, Shape]
    constants: Mapping[str, int]
    kernels: list[Kernel] = field(default_factory=list)
    makers: dict[str, int] = field(default_factory=dict)
    chains: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    """Output of element-wise operators: the tensor that they began with, and our names of them."""

    @classmethod
    def of(cls, model: onnx.ModelProto) -> _Reader:
        """Infer shapes and note constants and inputs."""
        try:
            graph = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
        except Exception as error:  # NOTE: onnx raises several unrelated classes for graphs that do not fit together
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"The shapes of the model cannot be inferred ({reason}); export it again.") from error
        shapes = {
            value.name: tuple(dimension.dim_value for dimension in value.type.tensor_type.shape.dim)
            for value in [*graph.input, *graph.value_info, *graph.output]
        }
        constants = {tensor.name: prod(tensor.dims) for tensor in graph.initializer}
        shapes |= {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t"):
                shape = numpy_helper.to_array(node.attribute[0].t).shape
                constants[node.output[0]], shapes[node.output[0]] = prod(shape), tuple(shape)
        makers = {value.name: INPUT for value in graph.input if value.name not in constants}
        return cls(shapes, constants, makers=makers)

    def read(self, model: onnx.ModelProto) -> tuple[Kernel, ...]:
        """Return the kernels of all nodes."""
        for node in model.graph.node:
            moving = [name for name in node.input if name in self.makers]
            if moving:
                maker = self._maker(node, moving)
                self.makers |= dict.fromkeys(node.output, maker)
        return tuple(self.kernels)

    def _maker(self, node: onnx.NodeProto, moving: list[str]) -> int:
        """Return the kernel that makes the node's output: an earlier one that absorbs it, or a new one."""
        maker, operator = self.makers[moving[0]], node.op_type
        if operator in FREE:
            return maker
        if operator in ACTIVATIONS and maker != INPUT:
            return self._behind(node, moving[0], ACTIVATIONS[operator])
        if operator == "Mul" and len(set(moving)) == 2 and self._gate(moving):
            return self._gated(*self._gate(moving))
        alone = operator in BINARY and len(moving) == 1 and maker != INPUT
        if alone and self.shapes.get(node.output[0]) == self.shapes.get(moving[0]):
            return self._behind(node, moving[0], BINARY[operator])
        self.kernels.append(self._kernel(node, moving))
        return len(self.kernels) - 1

    def _behind(self, node: onnx.NodeProto, source: str, name: str) -> int:
        """Put an element-wise operator behind the kernel that made ``source``; GELU's halving belongs to it."""
        maker = self.makers[source]
        start, names = self.chains.get(source, (source, ()))
        self.chains[node.output[0]] = (start, (*names, name))
        kernel = self.kernels[maker]
        if not (name == "mul" and kernel.epilogue[-1:] == ("gelu",)):
            self.kernels[maker] = replace(kernel, epilogue=(*kernel.epilogue, name))
        return maker

    def _gate(self, moving: list[str]) -> tuple[str, ...]:
        """Return the operand that is an activation of the other, where both make one: x * sigmoid(x)."""
        for gate, other in ((moving[0], moving[1]), (moving[1], moving[0])):
            start, names = self.chains.get(gate, ("", ()))
            if start == other and GATED.keys() & set(names):
                return (gate,)
        return ()

    def _gated(self, gate: str) -> int:
        """Give the activations of ``gate`` the name that they have together with the product."""
        maker, names = self.makers[gate], self.chains[gate][1]
        kernel = self.kernels[maker]
        before = kernel.epilogue[: len(kernel.epilogue) - len(names)]
        together = next(GATED[name] for name in names if name in GATED)
        self.kernels[maker] = replace(kernel, epilogue=(*before, together))
        return maker

    def _kernel(self, node: onnx.NodeProto, moving: list[str]) -> Kernel:
        inputs = tuple(self.shapes.get(name, ()) for name in moving)
        output = self.shapes.get(node.output[0], ())
        parameters = sum(self.constants[name] for name in node.input if name in self.constants)
        parameters = parameters if node.op_type not in {"Resize", "Upsample", "Pad", "Slice", "Split"} else 0
        outputs = prod(output) * (len(node.output) if node.op_type == "Split" else 1)
        kernel = Kernel(
            name=node.name or node.output[0],
            operator=_operator(node),
            input_shapes=inputs,
            output_shape=output,
            macs=0,
            bytes=(sum(map(prod, inputs)) + outputs + parameters) * BYTES_PER_ELEMENT,
            parameters=parameters,
            sources=tuple(self.makers[name] for name in moving),
        )
        arithmetic = _ARITHMETIC.get(node.op_type)
        return arithmetic(self, node, kernel) if arithmetic else kernel

    def _convolution(self, node: onnx.NodeProto, kernel: Kernel) -> Kernel:
        weight, image = self.shapes[node.input[1]], self.shapes[node.input[0]]
        transposed = node.op_type == "ConvTranspose"
        attributes = {each.name: each for each in node.attribute}
        groups = int(attributes["group"].i) if "group" in attributes else 1
        window = (weight[2], weight[3] if len(weight) > 3 else 1)
        pixels = prod(image[2:]) if transposed else prod(kernel.output_shape[2:])
        return replace(
            kernel,
            operator=self._kind(node, groups, image[1], window, transposed),
            macs=image[0] * pixels * prod(weight),
            window=window,
            stride=_largest(attributes, "strides"),
            groups=groups,
            dilation=_largest(attributes, "dilations"),
        )

    def _kind(self, node: onnx.NodeProto, groups: int, channels: int, window: tuple[int, int], transposed: bool) -> str:
        if node.input[1] not in self.constants:
            return "dynamic_conv"
        if transposed:
            return "transposed_conv"
        if groups > 1:
            return "depthwise_conv" if groups == channels else "grouped_conv"
        return "pointwise_conv" if prod(window) == 1 else "conv"

    def _pool(self, node: onnx.NodeProto, kernel: Kernel) -> Kernel:
        whole = prod(kernel.output_shape[2:]) == 1
        return replace(kernel, operator="global_pool") if whole else kernel

    def _product(self, node: onnx.NodeProto, kernel: Kernel) -> Kernel:
        contracted = self.shapes[node.input[0]][-1]
        return replace(kernel, macs=prod(kernel.output_shape) * contracted)


_ARITHMETIC: Mapping[str, Callable[[_Reader, onnx.NodeProto, Kernel], Kernel]] = {
    "Conv": _Reader._convolution,
    "ConvTranspose": _Reader._convolution,
    "MaxPool": _Reader._pool,
    "AveragePool": _Reader._pool,
    "MatMul": _Reader._product,
    "Gemm": _Reader._product,
}


def _operator(node: onnx.NodeProto) -> str:
    if node.op_type in {"Resize", "Upsample"}:
        mode = next((each.s.decode() for each in node.attribute if each.name == "mode"), "nearest")
        return {"linear": "resize_bilinear", "cubic": "resize_bicubic"}.get(mode, "resize_nearest")
    named = KERNELS.get(node.op_type) or BINARY.get(node.op_type) or ACTIVATIONS.get(node.op_type)
    return named or node.op_type


def _largest(attributes: Mapping[str, Any], name: str) -> int:
    return int(max(attributes[name].ints)) if name in attributes else 1
