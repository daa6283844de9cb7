"""The labels that a mask file holds: levels, indices of a palette, colours, or what its alpha channel leaves visible.

Nothing is decided here: which label is lesion is a question for all masks of a data set together (``label_table.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ussearch.errors import UserError
from ussearch.runtime.raster_files import opened_image, pages_of

Codes = npt.NDArray[np.int32] | npt.NDArray[np.uint8]
"""Labels [H, W]; bytes where levels are all that there is, which most masks are, and counted ten times as fast."""
COLOUR = 1 << 24
"""Codes from here are colours: ``COLOUR + 0xrrggbb``. Those below are levels, and indices of palettes."""
TRANSPARENT = 1 << 25
WHITE = 255
LEAST_ALPHA = 16  # of 255; an alpha that never exceeds it shows nothing
_CODES_KEPT = 4096  # of one file; what has more is a photograph


def name_of(code: int) -> str:
    """Return how users see and write a label."""
    if code == TRANSPARENT:
        return "transparent"
    return f"#{code - COLOUR:06x}" if code >= COLOUR else str(code)


def code_of(name: str) -> int | None:
    """Return the code of a label as a user writes it; None where that is no label."""
    text = name.strip().lower()
    if text == "transparent":
        return TRANSPARENT
    if text.startswith("#") and len(text) == 7 and all(digit in "0123456789abcdef" for digit in text[1:]):
        red, green, blue = (int(text[place : place + 2], 16) for place in (1, 3, 5))
        return red if red == green == blue else COLOUR + int(text[1:], 16)
    return int(text) if text.isascii() and text.isdigit() and int(text) < COLOUR else None


def label_name(code: int, names: Mapping[str, str]) -> str:
    """Return how users see a label: by its name where the data set has one for it."""
    return names.get(name_of(code)) or name_of(code)


def label_code(said: str, names: Mapping[str, str]) -> int | None:
    """Return the code of a label as a user writes it, by its name or as it is; None where that is no label."""
    named = [label for label, name in names.items() if name == said.strip()]
    return code_of(named[0] if named else said)


def distance(one: int, other: int) -> float:
    """Return how far two labels are apart, in grey levels."""
    if TRANSPARENT in (one, other):
        return float("inf") if one != other else 0.0
    if max(one, other) < COLOUR:
        return abs(one - other)
    return max(abs(a - b) for a, b in zip(_channels(one), _channels(other), strict=True))


def _channels(code: int) -> tuple[int, int, int]:
    if code < COLOUR:
        return code, code, code
    return (code >> 16) & 255, (code >> 8) & 255, code & 255


@dataclass(frozen=True)
class LabelPlane:
    """The labels of one mask file.

    Attributes:
        codes: [H, W], without regard to alpha; of a palette the indices.
        alpha: bool [H, W], where the file's alpha shows something; None where it has no alpha, or one that is constant.
        all_transparent: whether a constant alpha hides everything.
        colours: of a palette, the code of each index's colour.
    """

    codes: Codes
    alpha: npt.NDArray[np.bool_] | None = None
    all_transparent: bool = False
    colours: dict[int, int] | None = None

    def labels(self, *, by_alpha: bool, by_colour: bool) -> Codes:
        """Return the labels [H, W], read by alpha and by the palette's colours where the data set says so."""
        codes = self.codes
        if by_colour and self.colours:
            table = np.array([self.colours.get(index, index) for index in range(max(self.colours) + 1)], np.int32)
            codes = table[codes]
        if not by_alpha or (self.alpha is None and not self.all_transparent):
            return codes
        shown = np.zeros(codes.shape, bool) if self.alpha is None else self.alpha
        return np.where(shown, codes, np.int32(TRANSPARENT))

    def cropped(self, left: int, top: int, right: int, bottom: int) -> LabelPlane:
        """Return the plane of a part of the frame."""
        alpha = None if self.alpha is None else self.alpha[top:bottom, left:right]
        return replace(self, codes=self.codes[top:bottom, left:right], alpha=alpha)


def label_plane(path: Path) -> LabelPlane:
    """Return the labels of a mask file, upright; UserError where it cannot be read, or holds several pages."""
    if (pages := pages_of(path)) > 1:
        raise UserError(
            f"Mask {path} holds {pages} frames where one for its image was expected: export the frame that belongs to "
            "the image."
        )
    with opened_image(path) as image:
        return plane_of(image)


def plane_of(image: Image.Image) -> LabelPlane:
    """Return the labels of a decoded mask."""
    if image.mode == "1":
        return LabelPlane(np.asarray(image.convert("L")))
    if image.mode == "L":
        return LabelPlane(np.asarray(image))
    if image.mode == "P":
        return _palette_plane(image)
    if image.mode == "F" or image.mode.startswith("I"):
        return LabelPlane(_whole_numbers(np.asarray(image)))
    if image.mode in {"LA", "PA", "RGBA", "La", "RGBa"}:
        colours = np.asarray(image.convert("RGBA"))
        return LabelPlane(_colour_codes(colours[..., :3]), *_alpha(colours[..., 3]))
    return LabelPlane(_colour_codes(np.asarray(image.convert("RGB"))))


def _palette_plane(image: Image.Image) -> LabelPlane:
    indices = np.asarray(image)
    used = np.flatnonzero(np.bincount(indices.ravel(), minlength=256))
    palette = np.zeros((256, 3), np.uint8)
    given = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    palette[: len(given)] = given
    colours = _colour_codes(palette[None])[0][used]
    return LabelPlane(indices, colours=dict(zip(used.tolist(), colours.tolist(), strict=True)))


def _whole_numbers(values: npt.NDArray[np.generic]) -> Codes:
    """Return deep integers as they are, and floats as whole numbers; floats from 0 to 1 are shares of white."""
    numbers = np.nan_to_num(values.astype(np.float64))
    if numbers.size and (numbers != np.floor(numbers)).any() and numbers.min() >= 0 and numbers.max() <= 1:
        numbers = numbers * WHITE
    return np.asarray(np.clip(np.floor(numbers + 0.5), 0, COLOUR - 1), np.int32)


def _colour_codes(colours: npt.NDArray[np.uint8]) -> Codes:
    """Return the codes [H, W] of colours uint8 [H, W, 3]; greys are levels."""
    red, green, blue = (colours[..., channel].astype(np.int32) for channel in range(3))
    grey = (red == green) & (green == blue)
    return np.where(grey, red, COLOUR + (red << 16) + (green << 8) + blue).astype(np.int32)


def _alpha(alpha: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.bool_] | None, bool]:
    """Return where an alpha channel shows something, None where it is constant, and whether it hides everything."""
    least, greatest = int(alpha.min(initial=WHITE)), int(alpha.max(initial=0))
    if least == greatest or greatest < LEAST_ALPHA:
        return None, greatest < LEAST_ALPHA
    return alpha > greatest // 2, False


@dataclass(frozen=True)
class LabelCounts:
    """How often a file holds each label: pixels, pixels like all their four neighbours, and pixels at the borders.

    ``codes`` are ascending. A label that never has like neighbours is an edge or the noise of a former JPEG.
    """

    codes: npt.NDArray[np.int64]
    pixels: npt.NDArray[np.int64]
    flat: npt.NDArray[np.int64]
    border: npt.NDArray[np.int64]

    @classmethod
    def of(cls, codes: Codes) -> LabelCounts:
        """Count the labels [H, W] of one file."""
        found, places = _numbered(codes)
        pixels = _histogram(places, len(found))
        kept = np.flatnonzero(pixels)
        if len(kept) > _CODES_KEPT:
            kept = np.sort(np.argsort(-pixels, kind="stable")[:_CODES_KEPT])
        inner = places[_like_neighbours(places)] if len(kept) > 2 else places[:0].ravel()
        edges = np.concatenate([places[0], places[-1], places[1:-1, 0], places[1:-1, -1]])
        flat = np.bincount(inner, minlength=len(found))
        border = np.bincount(edges, minlength=len(found))
        return cls(found[kept].astype(np.int64), pixels[kept], flat[kept], border[kept])

    @property
    def at_the_border(self) -> int:
        """The label that is most frequent at the borders."""
        return int(self.codes[self.border.argmax()]) if len(self.codes) else 0

    @property
    def few(self) -> bool:
        """Whether the file holds two labels at most, which then are no noise."""
        return len(self.codes) <= 2


def _numbered(codes: Codes) -> tuple[npt.NDArray[np.int64], Codes]:
    """Return codes in ascending order, those among them that are there included, and the place of each pixel's code."""
    if codes.dtype == np.uint8:
        return np.arange(256), codes
    least, greatest = int(codes.min(initial=0)), int(codes.max(initial=0))
    if greatest - least < 1 << 16:
        return np.arange(least, greatest + 1), codes - np.int32(least)
    found, inverse = np.unique(codes, return_inverse=True)
    return found.astype(np.int64), inverse.reshape(codes.shape).astype(np.int32)


def _histogram(places: Codes, count: int) -> npt.NDArray[np.int64]:
    if places.dtype == np.uint8:
        return np.array(Image.fromarray(places).histogram(), np.int64)
    return np.bincount(places.ravel(), minlength=count)


def _like_neighbours(places: Codes) -> npt.NDArray[np.bool_]:
    like = np.zeros(places.shape, bool)
    middle = places[1:-1, 1:-1]
    like[1:-1, 1:-1] = (
        (middle == places[:-2, 1:-1])
        & (middle == places[2:, 1:-1])
        & (middle == places[1:-1, :-2])
        & (middle == places[1:-1, 2:])
    )
    return like
