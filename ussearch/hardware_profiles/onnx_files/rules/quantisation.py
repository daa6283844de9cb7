"""TensorRT 8's rules of INT8 files (QuantizeLinear and DequantizeLinear pairs), where the GPU has INT8.

Source: onnx/onnx-tensorrt, branch 8.2-GA, QuantDequantLinearHelper; NVIDIA TensorRT developer guide on explicit
quantisation.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx

from ussearch.hardware_profiles.onnx_files.rules.rule import Violation, rule
from ussearch.hardware_profiles.onnx_files.rules.view import ModelView, input_name, node_name
from ussearch.hardware_profiles.profile import Profile

PAIR = frozenset({"QuantizeLinear", "DequantizeLinear"})
WITH_BIAS = frozenset({"Conv", "ConvTranspose", "Gemm"})


@rule("quantisation", "tensorrt-8")
def quantisation(view: ModelView, profile: Profile) -> Iterator[Violation]:
    """Quantisation is symmetric INT8 with constant positive scales, by channel for weights only."""
    if "int8" not in profile.export.precisions:
        return
    for node in view.nodes:
        if node.op_type in PAIR:
            for message, hint in _pair_faults(node, view):
                yield Violation(node_name(node), message, hint)


@rule("quantised_bias", "tensorrt-8")
def quantised_bias(view: ModelView, profile: Profile) -> Iterator[Violation]:
    """Biases stay FP32."""
    if "int8" not in profile.export.precisions:
        return
    for node in view.nodes:
        maker = view.producers.get(input_name(node, 2))
        if node.op_type in WITH_BIAS and maker is not None and maker.op_type == "DequantizeLinear":
            yield Violation(node_name(node), "its bias is quantised", "quantise with QuantizeBias=False")


def _pair_faults(node: onnx.NodeProto, view: ModelView) -> Iterator[tuple[str, str]]:
    """Yield what is wrong about one node of a pair, and the hint."""
    symmetric = "quantise symmetrically to INT8 (ActivationSymmetric and WeightSymmetric)"
    zero_name = input_name(node, 2)
    if not zero_name:
        yield "it has no zero point, which means UINT8", f"give all three inputs: {symmetric}"
        return
    zero = view.values(zero_name)
    if zero is None:
        yield "its zero point is no readable constant", symmetric
    elif zero.dtype != np.int8:
        yield f"its zero point is {zero.dtype}, expected int8", symmetric
    elif zero.any():
        yield "its zero point is not 0", symmetric
    scale = view.values(input_name(node, 1))
    if scale is None:
        yield "its scale is no readable constant", "use static quantisation"
    elif not (scale > 0).all():
        yield "a scale is not positive", "calibrate again: a channel without range needs a small positive scale"
    elif scale.size > 1 and not view.is_quantised_constant(input_name(node, 0)):
        yield f"an activation has {scale.size} scales, one a channel", "quantise only weights per channel"
