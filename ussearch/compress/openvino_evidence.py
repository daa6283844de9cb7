"""What OpenVINO would make of a network on this machine, beside onnxruntime: evidence for the record.

OpenVINO reads the same ONNX files, rounding included, so that no second way of quantising has to be trusted. Its times
decide only where the device's runtime is OpenVINO; there the speed gate asks it (``speed.py``).
"""

from __future__ import annotations

import platform
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from ussearch.compress.judging import Array
from ussearch.errors import UserError
from ussearch.evaluators.onnx_network import OnnxNetwork
from ussearch.hardware_profiles import Profile
from ussearch.hardware_profiles.measuring import measure
from ussearch.hardware_profiles.measuring.openvino_session import OpenVinoSession, installed
from ussearch.hardware_profiles.measuring.side_by_side import ONNXRUNTIME, OPENVINO, side_by_side

PROCESSOR = "x86_64"
COMPARED_IMAGES = 16
"""On which the masks of both runtimes are compared."""


def beside_openvino(float_model: Path, int8_model: Path, images: Array, profile: Profile, runs: int) -> dict[str, Any]:
    """Return ``{"openvino": ...}``, JSON-ready: milliseconds of both files by both runtimes, in turns, and on which
    share of the pixels of ``images`` (uint8 [N, 1, S, S]) their INT8 masks agree.

    Empty where the device has another processor than this machine or the extra is not installed; the reason where
    OpenVINO cannot run the files.
    """
    if not (profile.processor == platform.machine() == PROCESSOR and installed()):
        return {}
    models, runtimes = [float_model, int8_model] * 2, [OPENVINO] * 2 + [ONNXRUNTIME] * 2
    try:
        times_ms = side_by_side(models, threads=profile.threads or 1, runs=runs, runtimes=runtimes)
        session = OpenVinoSession(int8_model)
    except UserError as error:
        return {"openvino": {"said": str(error)}}
    compared = images[:COMPARED_IMAGES]
    theirs = np.concatenate([session.run(image[None].astype(np.float32)) for image in compared])
    agreement = float(np.mean((theirs >= 0) == (OnnxNetwork(int8_model).logits(compared) >= 0)))
    fp32, int8, other_fp32, other_int8 = (median(each) for each in times_ms)
    said = (
        f"OpenVINO {session.version} FP32 {fp32:.2f} ms, INT8 {int8:.2f} ms; onnxruntime FP32 {other_fp32:.2f} ms, "
        f"INT8 {other_int8:.2f} ms; in turns, measured here, {measure.machine()}; INT8 masks agree on {agreement:.2%}"
    )
    return {
        "openvino": {
            "said": said,
            "fp32_ms": fp32,
            "int8_ms": int8,
            "onnxruntime_fp32_ms": other_fp32,
            "onnxruntime_int8_ms": other_int8,
            "int8_masks_agree": agreement,
        }
    }
