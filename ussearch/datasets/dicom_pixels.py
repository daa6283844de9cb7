"""From the stored pixels of a DICOM frame to values (modality, window, colour) and, as bundles of before, to grey."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ussearch.datasets.dataset import Pixels
from ussearch.runtime.grey_scale import RawFrame

if TYPE_CHECKING:
    from pydicom import Dataset as DicomDataset

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as in YBR_FULL
Span = tuple[float, float]


def raw_frame(pixels: npt.NDArray[np.generic], header: DicomDataset) -> RawFrame:
    """Return one decoded frame [rows, columns] or [rows, columns, 3] with the modality LUT or rescale applied."""
    luma = _luma_of(pixels, header)
    if luma is not None:
        return RawFrame(luma, from_dicom=True)
    values, span = _modality(pixels, header)
    return RawFrame(
        values,
        stored_bits=int(header.BitsStored) if pixels.dtype.kind in "iu" else 0,
        span=span,
        window=window_of(header),
        inverted=_inverted(header),
        from_dicom=True,
    )


def window_of(header: DicomDataset) -> Span | None:
    """Return the values that the file's first window makes black and white (PS3.3 C.11.2.1.2), None without one.

    A sigmoid has no such values.
    """
    centre, width = (_first(header.get(name)) for name in ("WindowCenter", "WindowWidth"))
    function = str(header.get("VOILUTFunction") or "LINEAR").strip().upper()
    if centre is None or width is None:
        return None
    if function == "LINEAR" and width >= 1:
        return centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
    if function == "LINEAR_EXACT" and width > 0:
        return centre - width / 2, centre + width / 2
    return None


def grey_of_its_own(pixels: npt.NDArray[np.generic], header: DicomDataset) -> Pixels:
    """Return one decoded frame in grey as bundles and studies of before grey scales did: each by its own extremes.

    MONOCHROME1 is inverted, colour becomes luma. Levels deeper than 8 bits go through the file's window and are scaled
    from the darkest to the brightest.
    """
    from pydicom.pixels import processing

    luma = _luma_of(pixels, header)
    if luma is not None:
        return luma
    if pixels.dtype == np.uint8 and "WindowWidth" not in header and "ModalityLUTSequence" not in header:
        grey = pixels.astype(np.uint8)
    else:
        values = processing.apply_voi_lut(processing.apply_modality_lut(pixels, header), header).astype(np.float64)
        low, high = float(values.min()), float(values.max())
        grey = np.floor((values - low) * (255.0 / max(high - low, 1e-12)) + 0.5).astype(np.uint8)
    return np.bitwise_not(grey) if _inverted(header) else grey


def _inverted(header: DicomDataset) -> bool:
    return str(header.PhotometricInterpretation) == "MONOCHROME1"


def _modality(pixels: npt.NDArray[np.generic], header: DicomDataset) -> tuple[npt.NDArray[np.generic], Span | None]:
    """Return the values of a frame and the range of them that the header allows, None for floats.

    They are the stored ones where no table and no rescale is told, or one that changes nothing.
    """
    from pydicom.pixels import processing

    if pixels.dtype.kind == "f":  # Float Pixel Data, which know no table
        return pixels, None
    bits, signed = int(header.BitsStored), bool(header.get("PixelRepresentation"))
    low, high = (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) if signed else (0.0, 2.0**bits - 1)
    if header.get("ModalityLUTSequence"):
        told = copy.deepcopy(header)
        table = told.ModalityLUTSequence[0]
        depth = int(table.LUTDescriptor[2])
        # NOTE: pydicom knows tables of 8 and 16 bits only; those between are stored as 16.
        table.LUTDescriptor = [*table.LUTDescriptor[:2], 8 if depth <= 8 else 16]
        return processing.apply_modality_lut(pixels, told), (0.0, 2.0**depth - 1)
    slope, intercept = (_first(header.get(f"Rescale{name}")) for name in ("Slope", "Intercept"))
    if slope is None or intercept is None or (slope, intercept) == (1.0, 0.0):
        return pixels, (low, high)
    ends = sorted((low * slope + intercept, high * slope + intercept))
    return pixels.astype(np.float64) * slope + intercept, (ends[0], ends[1])


def _first(value: Any) -> float | None:
    """Return the first of an attribute's values as a number, None where it has none."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = value[0] if value else None
    number = None if value in (None, "") else float(value)
    return number if number is not None and math.isfinite(number) else None


def _luma_of(pixels: npt.NDArray[np.generic], header: DicomDataset) -> Pixels | None:
    """Return the luma of a frame in colour (palettes, RGB, and YBR, of which pydicom has made RGB); None for grey."""
    from pydicom.pixels import processing

    if str(header.PhotometricInterpretation) == "PALETTE COLOR":
        colours = processing.apply_color_lut(pixels, header)
        return _luma(colours, 255 if int(colours.max(initial=0)) <= 255 else 65535)
    return _luma(pixels, 2 ** int(header.BitsStored) - 1) if pixels.ndim == 3 else None


def _luma(colours: npt.NDArray[np.generic], full_scale: int) -> Pixels:
    levels: npt.NDArray[np.float64] = colours[..., :3].astype(np.float64) @ LUMA * (255.0 / full_scale)
    return np.floor(np.clip(levels, 0, 255) + 0.5).astype(np.uint8)
