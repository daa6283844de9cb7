"""From image files to masks and overlays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ussearch.datasets import read_frames
from ussearch.datasets.image_files import ImageFiles, find_images
from ussearch.errors import UserError
from ussearch.files import write_atomically
from ussearch.own_files import is_own, marked, refuse_foreign
from ussearch.pairs.bundles.bundle import Bundle
from ussearch.pairs.dicom_seg import dicom_seg as segmentation_of
from ussearch.runtime.frames import Frame
from ussearch.runtime.prediction import png
from ussearch.runtime.predictor import Predictor
from ussearch.serving.client import CloudOptions, open_predictor

DEFAULT_OUT = Path("masks")


def infer(
    bundle: Bundle, images: Sequence[Path], out: Path, cloud: CloudOptions | None = None, *, dicom_seg: bool = False
) -> list[dict[str, Any]]:
    """Segment every frame of ``images`` (files, folders and patterns) as ``segment_files`` does what they mean."""
    return segment_files(bundle, find_images(images), out, cloud, dicom_seg=dicom_seg)


def segment_files(
    bundle: Bundle, files: ImageFiles, out: Path, cloud: CloudOptions | None = None, *, dicom_seg: bool = False
) -> list[dict[str, Any]]:
    """Segment every frame of ``files`` (raster and DICOM files) and write its mask and overlay below ``out``.

    The edge network answers first; where the router says so, the cloud network answers instead: that of the server
    in ``cloud`` if it does so in time, without one the bundle's own, on this machine. A mask has the size of the
    file's frame, 255 in the lesion; an overlay shows what the network saw, which for DICOM is the ultrasound region
    only. ``dicom_seg`` adds a DICOM Segmentation for each frame of a DICOM file. Before anything is written all images
    are read once, and every place is looked at: only what ussearch wrote is replaced.

    Raises UserError for an image that cannot be read, a file of somebody else's where one would be written, a folder
    that cannot be written, or a server's address that is none; never for what a server or the network does.
    """
    if bundle.folder.resolve() in (out.resolve(), *out.resolve().parents):
        raise UserError(f"{out} is inside the bundle, which no file may be added to: choose another folder with --out.")
    targets: dict[Path, list[Target]] = {}
    for name, path in files.images.items():
        frames = _frames(bundle, path)
        targets[path] = [Target.of(out / output_name(name, frame, len(frames)), dicom_seg) for frame in frames]
        for frame in frames if dicom_seg else ():  # raises where no segmentation can be made
            segmentation_of(path, frame.frame, np.zeros(frame.full_size, np.uint8))
    _refuse_collisions(targets)
    written = [each for several in targets.values() for target in several for each in target.files]
    refuse_foreign(written, "choose another folder with --out")
    with open_predictor(bundle, cloud) as predictor:
        return [
            _segment(predictor, frame, target)
            for path, several in targets.items()
            for frame, target in zip(_frames(bundle, path), several, strict=True)
        ]


def _frames(bundle: Bundle, path: Path) -> list[Frame]:
    """Return the frames of a file in the grey levels that the networks learnt from."""
    read = bundle.manifest.preprocessing
    return read_frames(path, read.grey_scale, read.region)


def default_out(files: ImageFiles) -> Path:
    """Return the folder of masks where nobody names one, ``masks``.

    Raises UserError where it would stand among the images, or holds what ussearch did not write: there nothing is
    written unasked.
    """
    out = DEFAULT_OUT.resolve()
    for folder in files.folders:
        if folder.resolve() in out.parents:
            raise UserError(
                f"The folder {DEFAULT_OUT} would lie among the images in {folder}: name it, or another one, with --out."
            )
    foreign = next((path for path in sorted(out.rglob("*")) if not path.is_dir() and not is_own(path)), None)
    if foreign is not None:
        raise UserError(
            f"The folder {DEFAULT_OUT} holds {foreign.relative_to(out)}, which ussearch did not write: name it, or "
            "another one, with --out."
        )
    return DEFAULT_OUT


@dataclass(frozen=True)
class Target:
    """Where the files of one frame go."""

    mask: Path
    overlay: Path
    segmentation: Path | None

    @classmethod
    def of(cls, stem: Path, dicom_seg: bool) -> Target:
        """Return the files whose names begin with ``stem``."""
        names = (stem.with_name(f"{stem.name}_{what}") for what in ("mask.png", "overlay.png", "mask.dcm"))
        mask, overlay, segmentation = names
        return cls(mask, overlay, segmentation if dicom_seg else None)

    @property
    def files(self) -> tuple[Path, ...]:
        """All that is written."""
        return (self.mask, self.overlay, *([self.segmentation] if self.segmentation else []))


def output_name(name: str, frame: Frame, frames: int) -> str:
    """Return what the files of ``frame`` begin with: its source's name, and its number among several frames."""
    return name if frames == 1 else f"{name}_{frame.frame:04d}"


def _refuse_collisions(targets: Mapping[Path, Sequence[Target]]) -> None:
    """Raise UserError where two frames would have one mask, such as one of a cine and a file with its number."""
    taken: dict[str, Path] = {}
    for path, several in targets.items():
        for target in several:
            other = taken.setdefault(str(target.mask).casefold(), path)
            if other != path:
                raise UserError(
                    f"{other} and {path} would both be written as {target.mask}: segment them in two runs with "
                    "different --out."
                )


def _segment(predictor: Predictor, frame: Frame, target: Target) -> dict[str, Any]:
    """Write the files of one frame and return what became of it, as JSON-ready data."""
    found = predictor.predict(frame)
    found.save(target.mask)
    write_atomically(target.overlay, png(found.overlay))
    if target.segmentation is not None:
        write_atomically(target.segmentation, marked(segmentation_of(frame.source, frame.frame, found.mask)))
    return {
        "image": str(frame.source),
        "frame": frame.frame,
        "route": found.source,
        "reason": found.reason.value,
        "confidence": found.confidence,
        "cloud_ms": found.cloud_ms,
        "lesion_share": found.lesion_share,
        "lesion_area_mm2": found.lesion_area_mm2,
        "clipped": frame.clipped,
        "mask": str(target.mask),
        "overlay": str(target.overlay),
        "segmentation": None if target.segmentation is None else str(target.segmentation),
    }
