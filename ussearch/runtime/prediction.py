"""What a pair answers for one frame: one result for the command line, Python, the server's client and verification."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from ussearch.files import write_atomically
from ussearch.own_files import marked, refuse_foreign
from ussearch.runtime.frames import Frame
from ussearch.runtime.masks import contour

Pixels = npt.NDArray[np.uint8]
Route = Literal["edge", "cloud"]
CONTOUR_COLOUR = (255, 200, 0)


class Reason(str, Enum):
    """Why an answer is what it is, in words that logs, tables and metrics share.

    The first five are what was wanted; with the others the edge's mask had to stay.
    """

    CONFIDENT = "confident"
    ROUTING_OFF = "routing is off"
    ANSWERED = "cloud answered"
    ANSWERED_HERE = "cloud network on this machine"
    NO_CLOUD = "no cloud asked"
    DEADLINE = "deadline passed"
    CIRCUIT_OPEN = "circuit open"
    BUSY = "too many calls at once"
    BUDGET = "call budget spent"
    UNREACHABLE = "server unreachable"
    CERTIFICATE = "TLS refused"
    INTERRUPTED = "connection lost"
    OVERLOADED = "server overloaded"
    SERVER_ERROR = "server error"
    REFUSED = "request refused"
    CORRUPT = "corrupt answer"
    WRONG_SHAPE = "answer of another shape"
    WITHHELD = "burned-in text not excluded"


@dataclass(frozen=True, repr=False, eq=False)
class PredictionResult:
    """What a pair answers for one frame.

    Attributes:
        mask: uint8 {0, 1} [H, W], of the size of the file's frame or of the array; 1 is lesion.
        confidence: how sure the edge network was; below the router's threshold the cloud network is asked.
        route: where the router sent the frame, ``edge`` or ``cloud``.
        source: the network that the mask is from, ``edge`` or ``cloud``.
        reason: why.
        frame: the grey pixels that the networks saw, and where they lie in the file.
        network_input: what the networks saw, and all that would be sent: grey levels uint8 [1, 1, S, S].
        edge_ms: milliseconds of the edge's answer.
        cloud_ms: milliseconds of the wait for the cloud after it; 0 where no server was asked.
    """

    mask: Pixels
    confidence: float
    route: Route
    source: Route
    reason: Reason
    frame: Frame
    network_input: Pixels = field(repr=False)
    edge_ms: float = 0.0
    cloud_ms: float = 0.0

    @property
    def seen(self) -> Pixels:
        """The part of the mask that the networks saw, which for DICOM is the ultrasound region only."""
        return self.frame.cropped(self.mask)

    @property
    def lesion_share(self) -> float:
        """Share of the pixels that the networks saw which the mask marks, 0 to 1."""
        return float(self.seen.mean())

    @property
    def lesion_area_mm2(self) -> float | None:
        """Area that the mask marks in mm²; None where the size of pixels is unknown."""
        spacing_mm = self.frame.spacing_mm
        return None if spacing_mm is None else float(self.seen.sum()) * spacing_mm[0] * spacing_mm[1]

    @property
    def overlay(self) -> Pixels:
        """The frame as the networks saw it, with the contour of the mask drawn on it: uint8 [H, W, 3]."""
        return overlay(self.frame.pixels, self.seen)

    def save(self, mask: Path | str) -> Path:
        """Write the mask as a PNG, 255 in the lesion.

        Raises UserError where it cannot be written, or a file stands there that is not what ussearch wrote.
        """
        refuse_foreign([Path(mask)], "give the mask another name")
        write_atomically(Path(mask), png(self.mask * np.uint8(255)))
        return Path(mask)

    def __repr__(self) -> str:
        height, width = self.mask.shape
        return (
            f"PredictionResult({width}×{height}, {self.lesion_share:.1%} lesion, {self.source}: {self.reason.value}, "
            f"confidence {self.confidence:.2f})"
        )


def overlay(grey: Pixels, mask: Pixels) -> Pixels:
    """Return the image uint8 [H, W, 3] with the contour of the mask drawn on it."""
    coloured = np.repeat(grey[:, :, None], 3, axis=2)
    coloured[contour(mask)] = CONTOUR_COLOUR
    return coloured


def png(pixels: Pixels) -> bytes:
    """Return the pixels as a PNG file that says whose it is."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return marked(buffer.getvalue())
