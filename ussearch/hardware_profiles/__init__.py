"""What a device can do: facts, latency and memory models, export rules, measurements.

Knows neither data nor training; of the networks it needs only how to build them (``search_spaces``).
"""

from ussearch.hardware_profiles.catalogue import load_profile, parse_profile, profile_names, user_profiles_dir
from ussearch.hardware_profiles.kernels.kernel import Kernel
from ussearch.hardware_profiles.kernels.trace import trace_kernels
from ussearch.hardware_profiles.latency.model import LatencyModel, LatencyPrediction
from ussearch.hardware_profiles.latency.roofline import Roofline
from ussearch.hardware_profiles.memory import activation_peak_mib, peak_memory_mib
from ussearch.hardware_profiles.onnx_files.check import check_onnx, load_onnx
from ussearch.hardware_profiles.onnx_files.rules import Finding
from ussearch.hardware_profiles.profile import ExportRules, Limits, Profile, Provenance
from ussearch.hardware_profiles.validation import Validation

__all__ = [
    "ExportRules",
    "Finding",
    "Kernel",
    "LatencyModel",
    "LatencyPrediction",
    "Limits",
    "Profile",
    "Provenance",
    "Roofline",
    "Validation",
    "activation_peak_mib",
    "check_onnx",
    "load_onnx",
    "load_profile",
    "parse_profile",
    "peak_memory_mib",
    "profile_names",
    "trace_kernels",
    "user_profiles_dir",
]
