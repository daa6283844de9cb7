"""Rules of the Edge TPU, for the ONNX file that a converter to LiteRT takes.

Source: coral.ai/docs/edgetpu/models-intro, supported operations.
"""

from __future__ import annotations

from collections.abc import Iterator

from ussearch.hardware_profiles.onnx_files.rules.rule import Violation, rule
from ussearch.hardware_profiles.onnx_files.rules.view import ModelView, input_name, node_name
from ussearch.hardware_profiles.profile import Profile


@rule("divisor", "edge-tpu")
def divisor(view: ModelView, profile: Profile) -> Iterator[Violation]:
    """A division is by a constant, which converters turn into a multiplication: the Edge TPU cannot divide."""
    for node in view.nodes:
        if node.op_type == "Div" and not view.is_constant(input_name(node, 1)):
            yield Violation(node_name(node), "it divides by what is computed at run time", "multiply instead")
