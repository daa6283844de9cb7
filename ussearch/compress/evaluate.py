"""What a candidate measures: the file that leaves the house, run by its runtime on validation images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict

from ussearch import schema
from ussearch.compress.candidate import ONNX, CompressionCandidate, running
from ussearch.compress.context import Context
from ussearch.evaluators import trace
from ussearch.evaluators.prediction import as_shipped, export_network
from ussearch.files import write_atomically
from ussearch.hardware_profiles.onnx_files.export import export_module
from ussearch.hardware_profiles.profile import Precision
from ussearch.runtime.masks import dice_of
from ussearch.runtime.onnx_network import sigmoid
from ussearch.search_spaces import NormalisedNetwork

Array = npt.NDArray[np.uint8]


class Measures(BaseModel):
    """Figures of one candidate; ``dice`` has one entry a validation image, where two empty masks count 1."""

    model_config = ConfigDict(frozen=True)

    precision: Precision
    dice: tuple[float, ...]
    file_bytes: int
    macs: int
    """Of the deploy form, for one image."""
    parameters: int
    """Of the deploy form."""

    @property
    def mean_dice(self) -> float:
        """Over all validation images."""
        return float(np.mean(self.dice))


def evaluate(candidate: CompressionCandidate, context: Context) -> Measures:
    """Return the figures of a candidate; they are kept in the context's folder and taken from there again."""
    path = context.place("measures", candidate.digest).with_suffix(".json")
    if path.is_file():
        return Measures.model_validate(schema.MEASURES.read(path))
    model = model_file(candidate, context)
    traced = trace(candidate.architecture, context.images.image_size)
    found = Measures(
        precision=candidate.precision,
        dice=dice_per_image(candidate, context),
        file_bytes=model.stat().st_size,
        macs=sum(kernel.macs for kernel in traced.kernels),
        parameters=traced.parameters,
    )
    write_atomically(path, schema.MEASURES.to_json(found.model_dump(mode="json")))
    return found


def model_file(candidate: CompressionCandidate, context: Context) -> Path:
    """Return the model file of a candidate; one that is an export of the weights is written once.

    Raises UserError where the device's rules cannot be kept.
    """
    if candidate.file is not None:
        return candidate.file
    # NOTE: a network in FP16 ships as an FP32 file, from which the device builds its own.
    path = context.place("model", candidate.digest).with_suffix(ONNX)
    if not path.is_file():
        network, size, channels = candidate.network(), context.images.image_size, candidate.architecture.image_channels
        if candidate.fused:
            export_network(network, context.normalisation, size, context.profile, path, image_channels=channels)
        else:
            module = NormalisedNetwork(network, context.normalisation.mean, context.normalisation.std)
            export_module(module, size, context.profile, path, image_channels=channels)
    return path


def dice_per_image(candidate: CompressionCandidate, context: Context) -> tuple[float, ...]:
    """Return the Dice of every validation image, by the candidate's own arithmetic."""
    images, masks = validation(context)
    if candidate.precision == "fp16":
        from ussearch.compress.quantisation import fp16_outputs

        module = as_shipped(candidate.network(), context.normalisation)
        batches = [torch.from_numpy(image[None]).float() for image in images]
        logits = [fp16_outputs(module, batch).numpy() for batch in batches]
        probabilities = sigmoid(np.concatenate(logits))
    else:
        probabilities = running(model_file(candidate, context)).probabilities(images)
    return tuple(dice_of(probabilities, masks).tolist())


def validation(context: Context) -> tuple[Array, Array]:
    """Return the validation images and masks, uint8 [N, 1, S, S]."""
    chosen = list(context.split.validation)
    return np.asarray(context.images.images[chosen]), np.asarray(context.images.masks[chosen])
