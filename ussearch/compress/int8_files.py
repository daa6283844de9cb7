"""The INT8 file of a candidate, in the format that its device reads, with evidence from OpenVINO."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from torch import nn

from ussearch.compress.candidate import TFLITE, CompressionCandidate, running
from ussearch.compress.context import Context
from ussearch.compress.evaluate import Array, model_file, validation
from ussearch.compress.quantisation import Scheme, Settings, calibration_images, litert, quantise_best
from ussearch.errors import UserError
from ussearch.evaluators.prediction import as_shipped, export_network
from ussearch.hardware_profiles import Profile
from ussearch.hardware_profiles.measuring import measure
from ussearch.hardware_profiles.measuring.paired_benchmark import (
    ONNXRUNTIME,
    OPENVINO,
    OpenVinoSession,
    installed,
    paired_benchmark,
)
from ussearch.runtime.masks import dice_of
from ussearch.runtime.onnx_network import OnnxNetwork

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
        times_ms = paired_benchmark(models, threads=profile.threads or 1, runs=runs, runtimes=runtimes)
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


CALIBRATION_IMAGES = 200
Writer = Callable[[CompressionCandidate, Context, nn.Module | None, Path], CompressionCandidate]
"""From a candidate, its context, a network with tuned weights (None: the candidate's own) and a folder to the candidate
with an INT8 file in it; raises UserError."""


def as_qdq(
    candidate: CompressionCandidate, context: Context, tuned: nn.Module | None, folder: Path
) -> CompressionCandidate:
    """Return the candidate with an ONNX file of the settings that keep most validation Dice."""
    images, masks = validation(context)
    source = model_file(candidate, context)
    wanted = mean_dice(source, images, masks)
    if tuned is not None:
        source, channels = folder / "tuned.onnx", candidate.architecture.image_channels
        size, profile = context.images.image_size, context.profile
        export_network(tuned, context.normalisation, size, profile, source, image_channels=channels)
    found = quantise_best(
        source,
        calibration(context),
        scheme_for(context.profile),
        lambda path: mean_dice(path, images, masks),
        wanted,
        folder,
    )
    chosen = {**asdict(found.settings), "float_nodes": sorted(found.settings.float_nodes)}
    tried = [{"note": each.note, "dice": each.score} for each in found.attempts]
    evidence = beside_openvino(source, found.path, images, context.profile, context.speed.runs)
    return replace(candidate, precision="int8", file=found.path, settings={**chosen, "attempts": tried, **evidence})


def as_litert(
    candidate: CompressionCandidate, context: Context, tuned: nn.Module | None, folder: Path
) -> CompressionCandidate:
    """Return the candidate with a LiteRT file in which everything is INT8, as the Edge TPU needs it.

    Ranges are the extremes of the calibration images: LiteRT's quantiser knows no other method.
    """
    network = candidate.network() if tuned is None else tuned
    path = folder / f"quantised{TFLITE}"
    litert.quantise_litert(as_shipped(network, context.normalisation), calibration(context), path)
    settings = {"format": "LiteRT", "method": "minmax", "weight_bits": 8}
    return replace(candidate, precision="int8", file=path, settings=settings)


WRITERS: Mapping[str, Writer] = {"onnx": as_qdq, "tflite": as_litert}
"""By the format that a profile names."""


def mean_dice(model: Path, images: Array, masks: Array) -> float:
    """Return the mean Dice of a model file."""
    return float(dice_of(running(model).probabilities(images), masks).mean())


def calibration(context: Context) -> Array:
    """Return stratified training images: calibrating on those that judge would flatter."""
    train_part = list(context.split.train)
    picked = calibration_images(np.asarray(context.images.masks[train_part]), CALIBRATION_IMAGES, context.seed)
    return np.asarray(context.images.images[[train_part[index] for index in picked]])


def scheme_for(profile: Profile) -> Scheme:
    """Return how INT8 is written for the device: TensorRT reads symmetric numbers only."""
    return "s8s8" if profile.export.parser == "tensorrt-8" or profile.runtime.startswith("TensorRT") else "u8s8"


def largest_weight(profile: Profile) -> int:
    """Return the integer that the largest weight of a channel becomes in the device's file."""
    if profile.export.format == "tflite":
        return litert.LARGEST_WEIGHT
    return Settings(scheme_for(profile), "minmax").largest_weight
