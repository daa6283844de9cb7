"""From image files to masks and overlays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ussearch.datasets import Frame, read_frames
from ussearch.errors import UserError
from ussearch.files import write_atomically
from ussearch.pairs.answering import Answering, CloudOptions, answering
from ussearch.pairs.bundles.bundle import Bundle
from ussearch.pairs.dicom_seg import dicom_seg as segmentation_of
from ussearch.pairs.running import Route
from ussearch.runtime.geometry import contour

CONTOUR_COLOUR = (255, 200, 0)
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Inference:
    """What became of one frame: the network that answered and why, how long the cloud took, its files, and the share
    of pixels that it marked.
    """

    image: str
    frame: int
    route: Route
    reason: str
    confidence: float
    cloud_ms: float
    lesion_share: float
    mask: str
    overlay: str
    segmentation: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data."""
        return asdict(self)


def infer(
    bundle: Bundle, images: Sequence[Path], out: Path, cloud: CloudOptions | None = None, *, dicom_seg: bool = False
) -> list[Inference]:
    """Segment every frame of ``images`` (PNG, JPEG, TIFF, BMP, DICOM) and write its mask and overlay to
    ``out``.

    The edge network answers first; where the router says so, the cloud network answers instead: that of the server
    in ``cloud`` if it does so in time, without one the bundle's own, on this machine. A mask has the size of the
    file's frame, 255 in the lesion; an overlay shows what the network saw, which for DICOM is the ultrasound region
    only. ``dicom_seg`` adds a DICOM Segmentation for each frame of a DICOM file. All images are read before anything is
    written.

    Raises UserError for an image that cannot be read, two of the same name, a folder that cannot be written, or a
    server's address that is none; never for what a server or the network does.
    """
    if bundle.folder.resolve() in (out.resolve(), *out.resolve().parents):
        raise UserError(f"{out} is inside the bundle, which no file may be added to: choose another folder with --out.")
    cines = [read_frames(path) for path in images]
    frames = [frame for cine in cines for frame in cine]
    names = [output_name(frame, len(cine)) for cine in cines for frame in cine]
    doubled = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if doubled is not None:
        raise UserError(
            f"Two images would both be written as {doubled!r}: segment them in two runs with different --out."
        )
    if dicom_seg:
        _refuse_segmentations(frames)
    with answering(bundle, cloud) as pair:
        return [_segment(pair, frame, out / name, dicom_seg) for frame, name in zip(frames, names, strict=True)]


def output_name(frame: Frame, frames: int) -> str:
    """Return the name that the files of ``frame`` begin with: its source's, and its number among several frames."""
    return frame.source.stem if frames == 1 else f"{frame.source.stem}_{frame.frame:04d}"


def full_mask(mask: Pixels, frame: Frame) -> Pixels:
    """Put the mask of a cropped frame back into the frame's full size."""
    left, top, right, bottom = frame.box
    full = np.zeros(frame.full_size, np.uint8)
    full[top:bottom, left:right] = mask
    return full


def overlay(grey: Pixels, mask: Pixels) -> Pixels:
    """Return the image uint8 [H, W, 3] with the contour of the mask drawn on it."""
    coloured = np.repeat(grey[:, :, None], 3, axis=2)
    coloured[contour(mask)] = CONTOUR_COLOUR
    return coloured


def _refuse_segmentations(frames: Sequence[Frame]) -> None:
    """Raise UserError, before anything is written, for a source that no segmentation can be made for."""
    for frame in frames:
        segmentation_of(frame.source, frame.frame, np.zeros(frame.full_size, np.uint8))


def _segment(pair: Answering, frame: Frame, stem: Path, dicom_seg: bool) -> Inference:
    answer = pair.answer(frame)
    mask = answer.mask
    mask_path, overlay_path = (stem.with_name(f"{stem.name}_{what}.png") for what in ("mask", "overlay"))
    full = full_mask(mask, frame)
    write_atomically(mask_path, png(full * np.uint8(255)))
    write_atomically(overlay_path, png(overlay(frame.pixels, mask)))
    segmentation = stem.with_name(f"{stem.name}_mask.dcm") if dicom_seg else None
    if segmentation is not None:
        write_atomically(segmentation, segmentation_of(frame.source, frame.frame, full))
    return Inference(
        image=str(frame.source),
        frame=frame.frame,
        route=answer.route,
        reason=answer.reason,
        confidence=answer.confidence,
        cloud_ms=answer.cloud_ms,
        lesion_share=float(mask.mean()),
        mask=str(mask_path),
        overlay=str(overlay_path),
        segmentation=None if segmentation is None else str(segmentation),
    )


def png(pixels: Pixels) -> bytes:
    """Return the pixels as a PNG file."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()
