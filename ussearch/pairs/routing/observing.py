"""What a network's file shows of images, and what both networks score on them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from ussearch.datasets import ImageSet
from ussearch.evaluators import THRESHOLD
from ussearch.evaluators.onnx_network import OnnxNetwork, sigmoid
from ussearch.evaluators.overlap import dice_and_iou
from ussearch.hardware_profiles import load_onnx
from ussearch.pairs.routing.confidence import flip_agreement, mean_entropy, soft_dice_confidence
from ussearch.pairs.routing.graph import FEATURES, with_features
from ussearch.pairs.routing.samples import Samples

Floats = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]


def dice_of(probabilities: npt.NDArray[np.float32], images: ImageSet, chosen: Sequence[int]) -> Floats:
    """Return the Dice [N] of probabilities [N, 1, S, S] of the images ``chosen``; 1 where both masks are empty."""
    masks = np.asarray(images.masks[list(chosen)]) > 0
    return dice_and_iou(probabilities >= THRESHOLD, masks)[0]


def observe(
    edge_file: Path, cloud_dice: Floats, images: ImageSet, chosen: Sequence[int], *, network: int = 0
) -> Samples:
    """Run the edge network's file on the images ``chosen``, whose Dice by the cloud network is ``cloud_dice`` [N]."""
    model, names = with_features(load_onnx(edge_file))
    pixels: Pixels = np.asarray(images.images[list(chosen)])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        runner = OnnxNetwork(path)
        logits, features = runner.run(pixels, runner.outputs[0], FEATURES)
        mirrored = runner.probabilities(np.ascontiguousarray(pixels[..., ::-1]))
    probabilities = sigmoid(logits)
    return Samples(
        ids=tuple(images.ids[index] for index in chosen),
        groups=np.asarray(images.groups[list(chosen)], np.int64),
        networks=np.full(len(chosen), network, np.int64),
        edge_dice=dice_of(probabilities, images, chosen),
        cloud_dice=cloud_dice,
        sdc=soft_dice_confidence(probabilities),
        mean_entropy=mean_entropy(probabilities),
        flip=flip_agreement(probabilities, mirrored),
        features=features.reshape(len(chosen), len(names)).astype(np.float64),
        names=names,
    )
