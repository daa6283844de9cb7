"""A pair at work on this machine: edge answer first, then the decision."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from ussearch.pairs.routing.confidence import soft_dice_confidence
from ussearch.pairs.routing.decision import Router
from ussearch.runtime.geometry import mask_in, network_input
from ussearch.runtime.onnx_network import OnnxNetwork, sigmoid

Pixels = npt.NDArray[np.uint8]
Route = Literal["edge", "cloud"]

EDGE_MODEL = "edge/model.onnx"
CLOUD_MODEL = "cloud/model.onnx"


@dataclass(frozen=True)
class Answer:
    """The edge's mask uint8 {0, 1} in the image's geometry, its confidence, and where the image should go."""

    mask: Pixels
    confidence: float
    route: Route


@dataclass(frozen=True)
class RunningPair:
    """Both networks, loaded, with the router between them."""

    edge: OnnxNetwork
    cloud: OnnxNetwork
    router: Router
    image_size: int

    @classmethod
    def load(cls, folder: Path, router: Router, image_size: int) -> RunningPair:
        """Load the model files below ``folder``; raises UserError where onnxruntime cannot."""
        return cls(OnnxNetwork(folder / EDGE_MODEL), OnnxNetwork(folder / CLOUD_MODEL), router, image_size)

    def answer(self, grey: Pixels) -> Answer:
        """Return the edge's answer for a grey image uint8 [H, W]."""
        probabilities, scores = self.edge_answers(network_input(grey, self.image_size))
        route: Route = "cloud" if self.router.offloads(scores)[0] else "edge"
        return Answer(mask_in(probabilities[0, 0], grey.shape), float(scores[0]), route)

    def edge_answers(self, images: Pixels) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
        """Return the edge's probabilities [N, 1, S, S] and confidence [N] for images uint8 [N, 1, S, S].

        Files without a router in them are judged by the Soft Dice Confidence.
        """
        logits, confidence = self.edge.answers(images)
        probabilities = sigmoid(logits)
        scores = soft_dice_confidence(probabilities) if confidence is None else confidence.astype(np.float64)
        return probabilities, scores

    def cloud_mask(self, grey: Pixels) -> Pixels:
        """Return the cloud network's mask uint8 {0, 1} for a grey image uint8 [H, W], computed here."""
        probabilities = self.cloud.probabilities(network_input(grey, self.image_size))
        return mask_in(probabilities[0, 0], grey.shape)
