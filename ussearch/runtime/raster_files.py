"""Raster files (PNG, JPEG, TIFF, BMP, GIF, PGM): their frames, upright, with the values that the file holds."""

from __future__ import annotations

import contextlib
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from ussearch.errors import UserError
from ussearch.runtime.grey_scale import Pixels, RawFrame

RASTER_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".pgm"})
PIXEL_LIMIT = 64_000_000  # of one frame; refused before memory is taken for it
UPRIGHT = 1
ORIENTATION = 0x0112  # tag of EXIF and of TIFF
SUBFILE_TYPE, BITS, PHOTOMETRIC, SAMPLE_FORMAT = 254, 258, 262, 339  # tags of TIFF
REDUCED, TRANSPARENCY_MASK, WHITE_IS_ZERO, UNSIGNED, SIGNED = 1, 4, 0, 1, 2  # values of them
DEPTH = "ussearch depth"
"""Where an opened image keeps its ``Depth`` in ``Image.info``, which survives turning."""


class Depth(NamedTuple):
    """What a file's header says of values deeper than 8 bits; ``bits`` is 0 for floats."""

    bits: int
    signed: bool = False
    inverted: bool = False

    @property
    def span(self) -> tuple[float, float] | None:
        """Least and greatest value that the bits allow; None for floats."""
        if self.bits == 0:
            return None
        return (-(2.0 ** (self.bits - 1)), 2.0 ** (self.bits - 1) - 1) if self.signed else (0.0, 2.0**self.bits - 1)


def is_raster(path: Path) -> bool:
    """Tell whether ``path`` is a visible file with the suffix of a raster image."""
    return path.suffix.lower() in RASTER_SUFFIXES and not path.name.startswith(".") and path.is_file()


def raster_files(folder: Path) -> list[Path]:
    """Return the raster images directly inside ``folder``, sorted by name; empty where there is no such folder."""
    return sorted(path for path in folder.iterdir() if is_raster(path)) if folder.is_dir() else []


def refuse_bombs(path: Path, width: int, height: int) -> None:
    """Raise UserError where a frame of ``width`` x ``height`` has more than ``PIXEL_LIMIT`` pixels."""
    if width * height > PIXEL_LIMIT:
        raise UserError(
            f"{path} holds {width} x {height} pixels, more than the {PIXEL_LIMIT:,} that are decoded: "
            "reduce the image or remove it."
        )


@contextlib.contextmanager
def opened_image(path: Path, frame: int = 0) -> Iterator[Image.Image]:
    """Yield frame number ``frame`` at ``path`` fully decoded and upright; what is broken becomes one UserError.

    Cameras store a picture as the sensor saw it and note how it was held (EXIF); viewers and annotation tools turn it.
    """
    with _opened(path) as image:
        pages = _pages(image)
        if frame >= len(pages):
            raise UserError(f"{path} has no frame {frame}: it holds {len(pages)}, counted from 0.")
        yield _page(image, pages[frame], path)


def raw_raster(path: Path, frame: int = 0) -> RawFrame:
    """Return frame number ``frame`` of a raster file with the values that it holds; UserError as ``opened_image``."""
    with opened_image(path, frame) as image:
        return raw_of(image)


def raw_pages(path: Path) -> Iterator[RawFrame]:
    """Yield all frames of a raster file, decoded one at a time; UserError as ``opened_image``."""
    with _opened(path) as image:
        for number in _pages(image):
            yield raw_of(_page(image, number, path))


def pages_of(path: Path) -> int:
    """Return how many frames a raster file holds: pages of a TIFF, frames of a GIF or an animated PNG.

    Thumbnails and transparency masks of TIFF files, and the second pictures of a camera's JPEG, are none.
    """
    with _opened(path) as image:
        return len(_pages(image))


def raw_of(image: Image.Image) -> RawFrame:
    """Return a decoded image as its file holds it; colour and palettes become luma (ITU-R 601), alpha is ignored."""
    values = deep_values(image)
    if values is None:
        return RawFrame(np.array(image if image.mode == "L" else image.convert("RGB").convert("L")))
    depth = image.info.get(DEPTH) or _depth_by_mode(image)
    if depth.bits == 32 and not depth.signed:
        values = values.view(np.uint32)
    if depth.span is not None and float(values.max(initial=0)) > depth.span[1]:
        # NOTE: by the PNG specification, values with an sBIT chunk are scaled up to all 16 bits; many writers leave
        # them as they are, and only the values tell.
        depth = depth._replace(bits=16)
    return RawFrame(values, depth.bits, depth.span, inverted=depth.inverted)


def deep_values(image: Image.Image) -> npt.NDArray[np.generic] | None:
    """Return the values of an image of more than 8 bits, uint16, int32 or float32 [H, W]; None for any other."""
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if image.mode == "I":
        return np.array(image, np.int32)
    return np.array(image, np.float32) if image.mode == "F" else None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Yield the file's image, nothing decoded; every way a file can be broken becomes one UserError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", "Palette images with Transparency")  # alpha is not used
            # NOTE: a file, not its name: Pillow 13 maps uncompressed TIFF files of a name into memory with the sides of
            # the turned picture, which scrambles them.
            with path.open("rb") as file, Image.open(file) as image:
                yield image
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: expected an image; restore it or correct the path.") from error
    except (OSError, SyntaxError, ValueError, EOFError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        reason = "truncated or damaged" if path.is_file() else "not a file"
        raise UserError(
            f"{path} cannot be read as an image ({reason}): replace it with an intact copy or remove it."
        ) from error


@contextlib.contextmanager
def _damage() -> Iterator[None]:
    """Turn what else Pillow raises on damaged pages into OSError."""
    try:
        yield
    except (TypeError, KeyError, IndexError, struct.error) as error:
        raise OSError(f"damaged: {error}") from error


@_damage()
def _pages(image: Image.Image) -> list[int]:
    """Return the numbers of the pages that are frames."""
    if image.format == "MPO":  # a camera's JPEG: previews, depth and gain maps follow the picture
        return [0]
    numbers = list(range(getattr(image, "n_frames", 1)))
    if len(numbers) == 1 or not isinstance(image, TiffImageFile):
        return numbers
    kinds = []
    for number in numbers:
        image.seek(number)
        kinds.append(int(image.tag_v2.get(SUBFILE_TYPE, 0)))
    return [number for number in numbers if not kinds[number] & (REDUCED | TRANSPARENCY_MASK)] or numbers[:1]


@_damage()
def _page(image: Image.Image, number: int, path: Path) -> Image.Image:
    if number != image.tell():
        image.seek(number)
    refuse_bombs(path, *image.size)
    image.load()
    if image.mode.startswith("I") or image.mode == "F":
        image.info[DEPTH] = _depth(image, path)
    return upright(image)


def upright(image: Image.Image) -> Image.Image:
    """Return a decoded image as viewers show it; the very same where nothing is noted of how it was held."""
    if isinstance(image, TiffImageFile):  # Pillow turns these itself while it loads them
        return image
    return image if image.getexif().get(ORIENTATION, UPRIGHT) == UPRIGHT else ImageOps.exif_transpose(image)


def _depth(image: Image.Image, path: Path) -> Depth:
    """Return what the header of the file that ``image`` is opened from says of its values."""
    if isinstance(image, TiffImageFile):
        tags = image.tag_v2
        sample_format = tags.get(SAMPLE_FORMAT, (UNSIGNED,))[0]
        bits = 0 if image.mode == "F" else tags.get(BITS, (16,))[0]
        return Depth(bits, sample_format == SIGNED, tags.get(PHOTOMETRIC) == WHITE_IS_ZERO)
    if image.format == "PNG":
        return Depth(_significant_bits(path) or 16)
    if image.format == "PPM":  # NOTE: Pillow scales whatever a PGM holds to 16 bits
        return Depth(16) if image.mode != "F" else Depth(0)
    return _depth_by_mode(image)


def _depth_by_mode(image: Image.Image) -> Depth:
    return Depth({"I": 32, "F": 0}.get(image.mode, 16), signed=image.mode == "I")


def _significant_bits(path: Path) -> int:
    """Return the depth in the sBIT chunk of a grey PNG file, 0 without one."""
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"sBIT":
                return file.read(1)[0]
            if kind in {b"IDAT", b"IEND"}:
                break
            file.seek(length + 4, 1)
    return 0


def to_grey(pixels: npt.NDArray[np.generic]) -> Pixels:
    """Scale pixels as bundles and studies of before grey scales did: each image by its own brightest pixel.

    8-bit pixels pass unchanged; deeper ones are taken as 10, 12 or 16 bits by their greatest value. One scene has other
    levels in every image then; ``GreyScale`` holds for a whole data set.
    """
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    values = np.nan_to_num(pixels.astype(np.float64))
    values -= min(float(values.min(initial=0.0)), 0.0)
    top = float(values.max(initial=0.0))
    full_scale = next((scale for scale in (255.0, 1023.0, 4095.0, 65535.0) if top <= scale), top)
    return np.floor(values * (255.0 / full_scale) + 0.5).astype(np.uint8)
