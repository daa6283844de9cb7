"""Annotations that are not masks, told from a look at a few files, so that a refusal can name them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ussearch.datasets.readers.found_files import FoundFile, ends_of
from ussearch.runtime.frames import RASTER_SUFFIXES

_SAMPLE = 5  # files of each type that are looked at


@dataclass(frozen=True)
class OtherFormat:
    """A way of annotating: what it is called, and how masks are made of it."""

    name: str
    remedy: str
    suffixes: tuple[str, ...]
    fits: Callable[[FoundFile, str], bool] = lambda file, text: True


def _has(*keys: str) -> Callable[[FoundFile, str], bool]:
    return lambda file, text: all(key in text for key in keys)


def _is_supervisely(file: FoundFile, text: str) -> bool:
    named = Path(file.path.stem).suffix.lower() in RASTER_SUFFIXES  # such as 01.png.json
    return (named and file.role == "masks") or ('"classTitle"' in text and '"objects"' in text)


FORMATS = (
    OtherFormat(
        "Supervisely annotations",
        "export masks from Supervisely (the app 'Export as masks')",
        (".json",),
        _is_supervisely,
    ),
    OtherFormat(
        "VGG Image Annotator regions",
        "draw the regions as masks, one PNG for each image",
        (".json", ".csv"),
        lambda file, text: "_via_" in text or "shape_attributes" in text,
    ),
    OtherFormat(
        "PASCAL VOC boxes", "boxes are no masks: draw the lesions' outlines", (".xml",), _has("<annotation", "<bndbox")
    ),
    OtherFormat("GeoJSON outlines", "export masks from the tool (QuPath does by a script)", (".geojson",)),
    OtherFormat("ImageJ regions", "save them in ImageJ as masks ('Create Mask'), one PNG for each image", (".roi",)),
    OtherFormat(
        "volumes", "export their slices as PNG, images and masks alike", (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd")
    ),
    OtherFormat("arrays", "save them as PNG, images and masks alike", (".npy", ".npz", ".mat", ".h5", ".hdf5")),
    OtherFormat("videos", "export the annotated frames as PNG", (".avi", ".mp4", ".mov", ".mkv", ".wmv")),
    OtherFormat("pictures of a type that is not read", "convert them to PNG", (".webp", ".heic", ".jp2", ".ppm")),
)


def other_format(files: Sequence[FoundFile]) -> str | None:
    """Return what annotations ``files`` hold and how they become masks, as parts of a sentence; None without any."""
    for each in FORMATS:
        own = [file for file in files if file.path.name.lower().endswith(each.suffixes)]
        if any(each.fits(file, ends_of(file.path)) for file in own[:_SAMPLE]):
            return _told(each.name, own, each.remedy)
    segmentations = [file for file in files if file.role == "masks" and file.is_image and not file.is_raster]
    if segmentations:
        return _told("DICOM files as masks", segmentations, "save them as PNG, one for each image")
    images = sum(file.is_raster for file in files)
    texts = [file for file in files if file.path.suffix.lower() in (".json", ".xml")]
    if images and 2 * len(texts) >= images:
        return _told("annotations of an unknown kind", texts, "export masks from the tool that wrote them")
    return None


def _told(name: str, files: Sequence[FoundFile], remedy: str) -> str:
    kind = files[0].path.suffix.lower() or "such"
    counted = f"{len(files)} {kind} file" + ("s" if len(files) > 1 else "")
    return f"it holds {name} ({counted}, such as {files[0].place}), and masks as images were expected; {remedy}"
