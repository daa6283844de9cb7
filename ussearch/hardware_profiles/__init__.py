"""What a device can do: facts, latency and memory model, export rules. Knows neither data nor training."""

from ussearch.hardware_profiles.catalogue import load_profile, parse_profile, profile_names
from ussearch.hardware_profiles.kernels import Kernel
from ussearch.hardware_profiles.latency_model import LatencyModel, LatencyPrediction
from ussearch.hardware_profiles.memory import activation_peak_mib, peak_memory_mib
from ussearch.hardware_profiles.onnx_check import check_onnx, load_onnx
from ussearch.hardware_profiles.onnx_rules import Finding
from ussearch.hardware_profiles.profile import ExportRules, Limits, Profile, Provenance
from ussearch.hardware_profiles.trace import trace_kernels

__all__ = [
    "ExportRules",
    "Finding",
    "Kernel",
    "LatencyModel",
    "LatencyPrediction",
    "Limits",
    "Profile",
    "Provenance",
    "activation_peak_mib",
    "check_onnx",
    "load_onnx",
    "load_profile",
    "parse_profile",
    "peak_memory_mib",
    "profile_names",
    "trace_kernels",
]
