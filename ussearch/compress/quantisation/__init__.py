"""Numbers of 8 bits instead of 32 in exported model files, and what that costs in accuracy.

Works on the ONNX files that ``hardware_profiles.onnx_files.export`` writes and on arrays; knows nothing of studies.
``choice`` finds the settings, ``qdq`` writes the file, ``ranges`` calibrates, ``qat`` trains where that is not enough,
``half`` says what FP16 would do; ``litert`` (an extra) writes the files of phones, Raspberry Pi and Coral.
"""

from ussearch.compress.quantisation.choice import (
    QuantisationAttempt,
    Quantised,
    Score,
    calibration_images,
    quantise_best,
    sensitivities,
)
from ussearch.compress.quantisation.fp16_simulation import fp16_outputs
from ussearch.compress.quantisation.graph import int8_nodes, layers, slow_activations
from ussearch.compress.quantisation.qat import QuantisationAware, converted, prepare
from ussearch.compress.quantisation.qdq import Quantiser, quantise
from ussearch.compress.quantisation.settings import METHODS, SCHEMES, Method, Scheme, Settings

__all__ = [
    "METHODS",
    "SCHEMES",
    "Method",
    "QuantisationAttempt",
    "QuantisationAware",
    "Quantised",
    "Quantiser",
    "Scheme",
    "Score",
    "Settings",
    "calibration_images",
    "converted",
    "fp16_outputs",
    "int8_nodes",
    "layers",
    "prepare",
    "quantise",
    "quantise_best",
    "sensitivities",
    "slow_activations",
]
