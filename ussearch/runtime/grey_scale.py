"""One mapping from the values of files to grey levels, decided for a whole data set and kept with what learnt from it.

Training, ``infer``, the server's client and the board apply the same two numbers, so that one scene has the same levels
in every file. Values of 8 bits are grey levels already; deeper ones become levels between ``low`` and ``high``, and
what lies beyond is clipped and counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

Pixels = npt.NDArray[np.uint8]
Basis = Literal["depth", "percentiles", "window", "given"]
BLACK, WHITE = 0.0, 255.0


@dataclass(frozen=True)
class RawFrame:
    """One frame as its file holds it, before anything is scaled.

    Attributes:
        values: [H, W]; uint8 where the file has 8 bits (colour and palettes are luma already); else integers of any
            depth or floats. Of DICOM files, the modality LUT is applied.
        stored_bits: how deep the header says that the values are; 0 where it tells nothing, as for floats.
        span: least and greatest value that the header's bits allow; None for floats.
        window: least and greatest value of the file's own window (DICOM), in the units of ``values``; None without.
        inverted: whether small values are bright (MONOCHROME1).
        from_dicom: whether a DICOM file holds it; then a window speaks of values of 8 bits, too.
    """

    values: npt.NDArray[np.generic]
    stored_bits: int = 8
    span: tuple[float, float] | None = (BLACK, WHITE)
    window: tuple[float, float] | None = None
    inverted: bool = False
    from_dicom: bool = False

    def cropped(self, left: int, top: int, right: int, bottom: int) -> RawFrame:
        """Return a part of the frame; right and bottom are excluded."""
        return replace(self, values=self.values[top:bottom, left:right])


class GreyScale(BaseModel):
    """The values that become black and white, and how they were found.

    ``depth``: the range of so many bits; ``percentiles``: 0.1 and 99.9 % of the training part (floats);
    ``window``: the one that all DICOM files share; ``given``: by the user, and then for files of 8 bits, too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float = Field(default=BLACK, allow_inf_nan=False)
    high: float = Field(default=WHITE, allow_inf_nan=False)
    basis: Basis = "depth"

    @property
    def is_plain(self) -> bool:
        """Whether this is what files of 8 bits need: no scaling at all."""
        return (self.low, self.high, self.basis) == (BLACK, WHITE, "depth")

    def applies_to(self, raw: RawFrame) -> bool:
        """Whether the two numbers speak of a frame; else its values are grey levels already."""
        if raw.values.dtype != np.uint8:
            return True
        return self.basis == "given" or (self.basis == "window" and raw.from_dicom)

    def levels(self, raw: RawFrame) -> Pixels:
        """Return the grey levels of a frame, uint8 [H, W], rounding half up; values beyond are clipped."""
        levels = scaled(raw.values, self.low, self.high) if self.applies_to(raw) else raw.values.astype(np.uint8)
        return np.bitwise_not(levels) if raw.inverted else np.ascontiguousarray(levels)

    def clipped(self, raw: RawFrame) -> int:
        """Return how many values of a frame lie beyond the two numbers."""
        if not self.applies_to(raw):
            return 0
        numbers = raw.values.astype(np.float64)
        return int(np.count_nonzero((numbers < self.low) | (numbers > self.high)))


def scaled(values: npt.NDArray[np.generic], low: float, high: float) -> Pixels:
    """Return values [H, W] as uint8, ``low`` and below black, ``high`` and above white; what is no number is black."""
    numbers = np.nan_to_num(values.astype(np.float64), nan=low, posinf=high, neginf=low)
    levels = (numbers - low) * (WHITE / max(high - low, 1e-12))
    return np.floor(np.clip(levels, BLACK, WHITE) + 0.5).astype(np.uint8)
