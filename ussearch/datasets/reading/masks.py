"""From mask files to one binary mask, by the table that was decided for the whole data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ussearch.datasets.annotations import Drawing
from ussearch.datasets.dataset import Pixels, SizeMismatchError
from ussearch.datasets.reading.mask_labels import Codes, LabelPlane, code_of, distance, label_plane
from ussearch.datasets.reading.model import MaskReading

UNSEEN = {0: False, 255: True}
"""The table where no mask was looked at before."""


def lesion_mask(plane: LabelPlane, reading: MaskReading) -> Pixels:
    """Return the lesion uint8 {0, 1} [H, W] of a mask; labels that are not in the table are read as the nearest one."""
    codes = plane.labels(by_alpha=reading.alpha, by_colour=reading.palette_colours)
    return _looked_up(codes, _table(reading))


def _looked_up(codes: Codes, table: Mapping[int, bool]) -> Pixels:
    if codes.dtype == np.uint8:
        return np.array([_nearest_meaning(code, table) for code in range(256)], np.uint8)[codes]
    present, places = np.unique(codes, return_inverse=True)
    meaning_of = np.array([_nearest_meaning(code, table) for code in present.tolist()], np.uint8)
    return meaning_of[places].reshape(codes.shape)


def lesion_codes(codes: Sequence[int], reading: MaskReading) -> npt.NDArray[np.bool_]:
    """Return which of ``codes`` are lesion, bool of their number."""
    table = _table(reading)
    return np.array([_nearest_meaning(code, table) for code in codes], bool)


def _table(reading: MaskReading) -> Mapping[int, bool]:
    """Return for each label of a reading whether it is lesion."""
    codes = {code_of(row.label): row.meaning == "lesion" for row in reading.labels}
    return {code: lesion for code, lesion in codes.items() if code is not None} or UNSEEN


def _nearest_meaning(code: int, table: Mapping[int, bool]) -> bool:
    """Return whether a label is lesion: by its own row of the table, or by the nearest one."""
    return table[code] if code in table else table[min(sorted(table), key=lambda other: distance(code, other))]


def united_mask(image: Path, shape: tuple[int, int], masks: Sequence[Path | Drawing], reading: MaskReading) -> Pixels:
    """Return the union of masks as uint8 {0, 1} of ``shape``; UserError where a mask has another size."""
    union = np.zeros(shape, np.uint8)
    for each in masks:
        if isinstance(each, Drawing):
            require_size(image, shape, each, each.size or shape)
            mask = each.mask(drawn_lesion(reading), shape)
        else:
            mask = lesion_mask(label_plane(each), reading)
            require_size(image, shape, each, (mask.shape[0], mask.shape[1]))
        union |= mask
    return union


def drawn_lesion(reading: MaskReading) -> set[int]:
    """Return the codes of the drawn labels that are lesion; all of them where no annotation was looked at before."""
    named = {code for code, lesion in _table(reading).items() if lesion}
    return named if reading.drawn else set(range(1, 256))


def require_size(image: Path, shape: tuple[int, int], mask: Path | Drawing, size: tuple[int, int]) -> None:
    """Raise UserError where a mask of ``size`` belongs to an image of another ``shape``, both height and width."""
    if size != shape:
        raise SizeMismatchError(
            f"Mask {mask} is {size[1]} x {size[0]} pixels but its image {image.name} is "
            f"{shape[1]} x {shape[0]}: export the mask at the size of the image."
        )
