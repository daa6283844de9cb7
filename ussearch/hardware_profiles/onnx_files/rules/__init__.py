"""The rules that a model file must keep: one small function each, registered in the order in which they are reported.

A rule may belong to one parser, such as TensorRT 8's: it holds where the profile names that parser.
"""

# NOTE: the order of registration is that of reports
# isort: off
from ussearch.hardware_profiles.onnx_files.rules import container as container
from ussearch.hardware_profiles.onnx_files.rules import shapes as shapes
from ussearch.hardware_profiles.onnx_files.rules import operators as operators
from ussearch.hardware_profiles.onnx_files.rules import constants as constants
from ussearch.hardware_profiles.onnx_files.rules import precision as precision
from ussearch.hardware_profiles.onnx_files.rules import tensorrt as tensorrt
from ussearch.hardware_profiles.onnx_files.rules import tensor_types as tensor_types
from ussearch.hardware_profiles.onnx_files.rules import quantisation as quantisation
from ussearch.hardware_profiles.onnx_files.rules import edge_tpu as edge_tpu

# isort: on
from ussearch.hardware_profiles.onnx_files.rules.rule import RULES, Finding, Rule, Violation, rule
from ussearch.hardware_profiles.onnx_files.rules.view import ModelView

__all__ = ["RULES", "Finding", "ModelView", "Rule", "Violation", "rule"]
