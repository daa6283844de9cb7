"""Who answers a frame on this machine: the edge network alone, or both networks with the router between them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ussearch.runtime.decision import Router, soft_dice_confidence
from ussearch.runtime.frames import AnyImage, as_frame
from ussearch.runtime.geometry import mask_in, network_input
from ussearch.runtime.grey_scale import GreyScale
from ussearch.runtime.onnx_network import OnnxNetwork, sigmoid
from ussearch.runtime.postprocessing import PairPostprocessing, Postprocessing
from ussearch.runtime.prediction import PredictionResult, Reason

Pixels = npt.NDArray[np.uint8]

EDGE_MODEL = "edge/model.onnx"
CLOUD_MODEL = "cloud/model.onnx"


class Predictor(Protocol):
    """Whatever answers frames."""

    def predict(self, image: AnyImage) -> PredictionResult:
        """Return the answer for one frame; raises UserError for an array that is no image."""


@dataclass(frozen=True)
class EdgePredictor:
    """The edge network, with the router that says which frames should go to the cloud.

    ``grey_scale`` is applied to arrays, as reading a file applies it to frames; ``postprocessing`` is the edge's, None
    in bundles of before there was any.
    """

    edge: OnnxNetwork
    router: Router
    image_size: int
    grey_scale: GreyScale | None = field(default=None, kw_only=True)
    postprocessing: Postprocessing | None = field(default=None, kw_only=True)

    def predict(self, image: AnyImage) -> PredictionResult:
        """Return the edge's mask; ``route`` says where the router would have the frame go."""
        begun_s, frame = time.perf_counter(), as_frame(image, self.grey_scale)
        pixels = network_input(frame.pixels, self.image_size)
        probabilities, scores = self.edge_answers(pixels)
        away = bool(self.router.offloads(scores)[0])
        stays = Reason.ROUTING_OFF if self.router.off else Reason.CONFIDENT
        return PredictionResult(
            mask=frame.whole(edge_mask_in(probabilities[0, 0], frame.pixels.shape, self.postprocessing)),
            confidence=float(scores[0]),
            route="cloud" if away else "edge",
            source="edge",
            reason=Reason.NO_CLOUD if away else stays,
            frame=frame,
            network_input=pixels,
            edge_ms=1000 * (time.perf_counter() - begun_s),
        )

    def edge_answers(self, images: Pixels) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
        """Return the edge's probabilities [N, 1, S, S] and confidence [N] for images uint8 [N, 1, S, S].

        Files without a router in them are judged by the Soft Dice Confidence.
        """
        logits, confidence = self.edge.answers(images)
        probabilities = sigmoid(logits)
        scores = soft_dice_confidence(probabilities) if confidence is None else confidence.astype(np.float64)
        return probabilities, scores


@dataclass(frozen=True)
class PairPredictor(EdgePredictor):
    """Both networks, loaded, with the router between them; ``cloud_postprocessing`` is the cloud's."""

    cloud: OnnxNetwork
    cloud_postprocessing: Postprocessing | None = field(default=None, kw_only=True)

    @classmethod
    def load(
        cls,
        folder: Path,
        router: Router,
        image_size: int,
        grey_scale: GreyScale | None = None,
        postprocessing: PairPostprocessing | None = None,
    ) -> PairPredictor:
        """Load the model files below ``folder``; raises UserError where onnxruntime cannot."""
        edge, cloud = OnnxNetwork(folder / EDGE_MODEL), OnnxNetwork(folder / CLOUD_MODEL)
        return cls(
            edge,
            router,
            image_size,
            cloud,
            grey_scale=grey_scale,
            postprocessing=PairPostprocessing.of(postprocessing, "edge"),
            cloud_postprocessing=PairPostprocessing.of(postprocessing, "cloud"),
        )

    def predict(self, image: AnyImage) -> PredictionResult:
        """Return the edge's mask, or the cloud network's where the router says so."""
        found = super().predict(image)
        if found.route == "edge":
            return found
        probabilities = self.cloud.probabilities(found.network_input)
        mask = cloud_mask_in(probabilities[0, 0], found.frame.pixels.shape, self.cloud_postprocessing)
        return replace(found, mask=found.frame.whole(mask), source="cloud", reason=Reason.ANSWERED_HERE)

    def alone(self) -> EdgePredictor:
        """Return the edge network without the cloud's: what the router would send away stays."""
        return EdgePredictor(
            self.edge,
            self.router,
            self.image_size,
            grey_scale=self.grey_scale,
            postprocessing=self.postprocessing,
        )


def edge_mask_in(probabilities: npt.NDArray[np.float32], shape: tuple[int, int], how: Postprocessing | None) -> Pixels:
    """Return the edge's mask uint8 {0, 1} [H, W] of probabilities [S, S] in the geometry of the image.

    What is no lesion on the network's grid is none here; outlines run between its pixels.
    """
    return mask_in(probabilities, shape) if how is None else mask_in(how.cleared(probabilities), shape, how.threshold)


def cloud_mask_in(probabilities: npt.NDArray[np.float32], shape: tuple[int, int], how: Postprocessing | None) -> Pixels:
    """Return the cloud's mask uint8 {0, 1} [H, W] of probabilities [S, S] in the geometry of the image.

    Servers answer with the mask on the network's grid, in bits; the same network on this machine makes the same of it.
    """
    return mask_in(probabilities if how is None else how.mask(probabilities).astype(np.float32), shape)
