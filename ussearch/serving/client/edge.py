"""The edge's own answer: all that is needed before anything may be asked of the network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from ussearch.pairs.routing.confidence import soft_dice_confidence
from ussearch.pairs.routing.decision import Router
from ussearch.pairs.running import EDGE_MODEL
from ussearch.runtime.geometry import mask_in, network_input
from ussearch.runtime.onnx_network import OnnxNetwork, sigmoid

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class EdgeAnswer:
    """The mask uint8 {0, 1} [H, W], the router's confidence, where the image should go, and what would be sent:
    the network's input uint8 [1, 1, S, S]. ``routing_off`` where every image stays, however little sure the edge is.
    """

    mask: Pixels
    confidence: float
    route: Literal["edge", "cloud"]
    pixels: Pixels
    routing_off: bool = False


class Edge(Protocol):
    """Whatever segments on the device."""

    def answer(self, grey: Pixels) -> EdgeAnswer:
        """Return the answer for a grey image uint8 [H, W]."""


class EdgeNetwork:
    """The edge network of a bundle, run by onnxruntime."""

    def __init__(self, folder: Path, router: Router, image_size: int) -> None:
        self._network = OnnxNetwork(folder / EDGE_MODEL)
        self._router, self._size = router, image_size

    def answer(self, grey: Pixels) -> EdgeAnswer:
        """Return the answer for a grey image uint8 [H, W]."""
        pixels = network_input(grey, self._size)
        logits, confidence = self._network.answers(pixels)
        probabilities = sigmoid(logits)
        scores = soft_dice_confidence(probabilities) if confidence is None else confidence.astype(np.float64)
        route: Literal["edge", "cloud"] = "cloud" if self._router.offloads(scores)[0] else "edge"
        mask = mask_in(probabilities[0, 0], grey.shape)
        return EdgeAnswer(mask, float(scores[0]), route, pixels, self._router.off)
