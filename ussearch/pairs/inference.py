"""From image files to masks and overlays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ussearch.datasets import read_frames
from ussearch.errors import UserError
from ussearch.files import write_atomically
from ussearch.pairs.bundles.bundle import Bundle
from ussearch.pairs.dicom_seg import dicom_seg as segmentation_of
from ussearch.runtime.frames import Frame
from ussearch.runtime.prediction import png
from ussearch.runtime.predictor import Predictor
from ussearch.serving.client import CloudOptions, open_predictor


def infer(
    bundle: Bundle, images: Sequence[Path], out: Path, cloud: CloudOptions | None = None, *, dicom_seg: bool = False
) -> list[dict[str, Any]]:
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
    with open_predictor(bundle, cloud) as predictor:
        return [_segment(predictor, frame, out / name, dicom_seg) for frame, name in zip(frames, names, strict=True)]


def output_name(frame: Frame, frames: int) -> str:
    """Return the name that the files of ``frame`` begin with: its source's, and its number among several frames."""
    return frame.source.stem if frames == 1 else f"{frame.source.stem}_{frame.frame:04d}"


def _refuse_segmentations(frames: Sequence[Frame]) -> None:
    """Raise UserError, before anything is written, for a source that no segmentation can be made for."""
    for frame in frames:
        segmentation_of(frame.source, frame.frame, np.zeros(frame.full_size, np.uint8))


def _segment(predictor: Predictor, frame: Frame, stem: Path, dicom_seg: bool) -> dict[str, Any]:
    """Write the files of one frame and return what became of it, as JSON-ready data."""
    found = predictor.predict(frame)
    mask_path, overlay_path = (stem.with_name(f"{stem.name}_{what}.png") for what in ("mask", "overlay"))
    found.save(mask_path)
    write_atomically(overlay_path, png(found.overlay))
    segmentation = stem.with_name(f"{stem.name}_mask.dcm") if dicom_seg else None
    if segmentation is not None:
        write_atomically(segmentation, segmentation_of(frame.source, frame.frame, found.mask))
    return {
        "image": str(frame.source),
        "frame": frame.frame,
        "route": found.source,
        "reason": found.reason.value,
        "confidence": found.confidence,
        "cloud_ms": found.cloud_ms,
        "lesion_share": found.lesion_share,
        "mask": str(mask_path),
        "overlay": str(overlay_path),
        "segmentation": None if segmentation is None else str(segmentation),
    }
