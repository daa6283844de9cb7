"""Rules about which operators a device's parser imports."""

from __future__ import annotations

from collections.abc import Iterator

from ussearch.hardware_profiles.onnx_files.rules.rule import Violation, rule
from ussearch.hardware_profiles.onnx_files.rules.view import ModelView, node_name, printable
from ussearch.hardware_profiles.profile import Profile

TENSORRT_FIRST_VERSION = {
    **{"HardSwish": "8.4", "GridSample": "8.5", "Mod": "8.5", "OneHot": "8.5"},
    **{"LayerNormalization": "8.6", "GroupNormalization": "8.6", "Mish": "a version after 8.6"},
}
"""The first version of TensorRT that imports an operator which 8.2 does not.

Source: importer registrations of onnx/onnx-tensorrt, branches 8.2-GA to 8.6-GA.
"""
BROUGHT_ALONG = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
"""Domains whose operators onnxruntime has without a library of the user's."""


@rule("operators")
def operators(view: ModelView, profile: Profile) -> Iterator[Violation]:
    """Every operator is one that the device's parser imports."""
    rules = profile.export
    own = {(function.domain, function.name) for function in view.model.functions}
    for node in view.nodes:
        name = printable(f"{node.domain}.{node.op_type}".lstrip("."))
        if node.op_type in rules.forbidden_operators:
            message = f"operator {name} is not allowed on {profile.name}"
            yield Violation(node_name(node), message, rules.forbidden_operators[node.op_type])
        elif rules.allowed_operators is None:
            if node.domain not in BROUGHT_ALONG and (node.domain, node.op_type) not in own:
                message = f"operator {name} is of no operator set that onnxruntime brings along"
                yield Violation(
                    node_name(node), message, "express it by operators of ONNX, or make it a function of the file"
                )
        elif node.op_type not in rules.allowed_operators or node.domain not in {"", "ai.onnx"}:
            message = f"operator {name} is not among those that {profile.name} imports"
            yield Violation(node_name(node), message, _mend(name, profile))


def _mend(name: str, profile: Profile) -> str:
    """Return how to do without the operator, with the version that would import it where one does."""
    hint = "express it by operators of the profile's list"
    if profile.export.parser == "tensorrt-8" and name in TENSORRT_FIRST_VERSION:
        return f"{hint} (TensorRT imports {name} from {TENSORRT_FIRST_VERSION[name]} on)"
    return hint
