"""One image's answer, in the image's own geometry."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ussearch.datasets import Frame
from ussearch.files import write_atomically
from ussearch.pairs.answering import Answering
from ussearch.pairs.inference import full_mask, overlay, png
from ussearch.pairs.running import Route

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, repr=False, eq=False)
class Prediction:
    """What a bundle answered for one frame.

    Attributes:
        mask: uint8 {0, 1} [H, W], of the size of the file's frame or of the array; 1 is lesion.
        confidence: how sure the edge network was; below the router's threshold the cloud network is asked.
        source: the network that the mask is from, ``edge`` or ``cloud``.
        reason: why, in words: ``confident``, ``cloud answered``, ``deadline passed`` and so on.
        cloud_ms: milliseconds that the server took; 0 where none was asked.
        frame: the grey pixels that the networks saw, and where they lie in the file.
    """

    mask: Pixels
    confidence: float
    source: Route
    reason: str
    cloud_ms: float
    frame: Frame = field(repr=False)
    seen: Pixels = field(repr=False)
    """The mask of the cropped frame, which for DICOM is the ultrasound region only."""

    @property
    def lesion_share(self) -> float:
        """Share of the pixels that the networks saw which the mask marks, 0 to 1."""
        return float(self.seen.mean())

    @property
    def overlay(self) -> Pixels:
        """The frame as the networks saw it, with the contour of the mask drawn on it: uint8 [H, W, 3]."""
        return overlay(self.frame.pixels, self.seen)

    def save(self, mask: Path | str) -> Path:
        """Write the mask as a PNG, 255 in the lesion; raises UserError where it cannot be written."""
        write_atomically(Path(mask), png(self.mask * np.uint8(255)))
        return Path(mask)

    def __repr__(self) -> str:
        height, width = self.mask.shape
        return (
            f"Prediction({width}×{height}, {self.lesion_share:.1%} lesion, {self.source}: {self.reason}, "
            f"confidence {self.confidence:.2f})"
        )


def predict(pair: Answering, frame: Frame) -> Prediction:
    """Return what ``pair`` answers for one frame."""
    found = pair.answer(frame)
    return Prediction(
        mask=full_mask(found.mask, frame),
        confidence=found.confidence,
        source=found.route,
        reason=found.reason,
        cloud_ms=found.cloud_ms,
        frame=frame,
        seen=found.mask,
    )
