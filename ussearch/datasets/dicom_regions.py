"""The ultrasound regions that a DICOM header tells: where tissue is, and how large its pixels are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ussearch.runtime.frames import Box

if TYPE_CHECKING:
    from pydicom import Dataset as DicomDataset

LEAST_SIDE = 16  # pixels of a region
LEAST_SHARE = 0.01  # of the frame that a region covers
_TISSUE = 1  # Region Data Type (0018,6014)
_TWO_DIMENSIONAL = 1  # Region Spatial Format (0018,6012)
_CENTIMETRES = 3  # Physical Units X/Y Direction (0018,6024 and 6026)
Spacing = tuple[float, float]
"""Height and width of a pixel in mm."""


def tissue_regions(header: DicomDataset, rows: int, columns: int) -> dict[Box, Spacing | None]:
    """Return the two-dimensional tissue regions of SequenceOfUltrasoundRegions (0018,6011), clipped, in its order.

    With each the size of its pixels; None where the file does not tell.

    Those of a few pixels are marks of the machine, not regions.
    """
    boxes: dict[Box, Spacing | None] = {}
    for region in header.get("SequenceOfUltrasoundRegions") or ():
        is_tissue = region.get("RegionDataType") == _TISSUE and region.get("RegionSpatialFormat") == _TWO_DIMENSIONAL
        corners = [region.get(f"RegionLocation{name}") for name in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
        if is_tissue and None not in corners:
            left, top, right, bottom = (int(corner) for corner in corners)
            box = (max(left, 0), max(top, 0), min(right + 1, columns), min(bottom + 1, rows))
            boxes.setdefault(box, _region_spacing(region))
    return {box: spacing for box, spacing in boxes.items() if _is_region(box, rows * columns)}


def _region_spacing(region: DicomDataset) -> Spacing | None:
    """Return the size of a region's pixels by its physical deltas, which are in cm where the units say so."""
    units = (region.get("PhysicalUnitsYDirection"), region.get("PhysicalUnitsXDirection"))
    deltas = (region.get("PhysicalDeltaY"), region.get("PhysicalDeltaX"))
    return _in_mm(deltas, 10.0) if units == (_CENTIMETRES, _CENTIMETRES) else None


def pixel_spacing(header: DicomDataset) -> Spacing | None:
    """Return the size of the frame's pixels by Pixel Spacing (0028,0030), rows first."""
    return _in_mm(header.get("PixelSpacing"), 1.0)


def _in_mm(values: Any, factor: float) -> Spacing | None:
    """Return two lengths in mm; None where they are no two numbers other than zero. Deltas upwards are negative."""
    try:
        height, width = (abs(float(value)) * factor for value in values)
    except (TypeError, ValueError):
        return None
    return (height, width) if all(0 < side < math.inf for side in (height, width)) else None


def _is_region(box: Box, pixels: int) -> bool:
    width, height = box[2] - box[0], box[3] - box[1]
    return min(width, height) >= LEAST_SIDE and width * height >= LEAST_SHARE * pixels
