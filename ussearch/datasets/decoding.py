"""From an image file to grey pixels and from mask files to one binary mask."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from ussearch.datasets.dataset import Pixels, SizeMismatchError
from ussearch.errors import UserError

RASTER_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".pgm"})
LOSSY_SUFFIXES = frozenset({".jpg", ".jpeg"})
PIXEL_LIMIT = 64_000_000  # of one frame; refused before memory is taken for it


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
def _opened(path: Path) -> Iterator[Image.Image]:
    """Yield the fully decoded image at ``path``; every way a file can be broken becomes one UserError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                refuse_bombs(path, *image.size)
                image.load()
                yield image
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: expected an image; restore it or correct the path.") from error
    except (OSError, SyntaxError, ValueError, EOFError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        reason = "truncated or damaged" if path.is_file() else "not a file"
        raise UserError(
            f"{path} cannot be read as an image ({reason}): replace it with an intact copy or remove it."
        ) from error


def to_grey(pixels: npt.NDArray[np.generic]) -> Pixels:
    """Scale one-channel pixels of any depth to uint8 by the smallest usual full scale that holds them.

    8-bit pixels pass unchanged; deeper ones are taken as 10, 12 or 16 bits by their greatest value.
    """
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    values = np.nan_to_num(pixels.astype(np.float64))
    values -= min(float(values.min(initial=0.0)), 0.0)
    top = float(values.max(initial=0.0))
    full_scale = next((scale for scale in (255.0, 1023.0, 4095.0, 65535.0) if top <= scale), top)
    return np.floor(values * (255.0 / full_scale) + 0.5).astype(np.uint8)


def _grey(image: Image.Image) -> Pixels:
    if image.mode in {"I;16", "I;16B", "I;16L", "I", "F"}:
        return to_grey(np.asarray(image))
    return np.array(image if image.mode == "L" else image.convert("RGB").convert("L"))


def grey_of(pixels: npt.NDArray[np.generic]) -> Pixels:
    """Return an image in memory as ``read_raster`` would return its file: grey uint8 [H, W].

    ``pixels`` are uint8 or uint16 [H, W], or uint8 [H, W, 3] in RGB. Raises UserError for any other array.
    """
    depths = {(np.dtype(np.uint8), 2), (np.dtype(np.uint16), 2), (np.dtype(np.uint8), 3)}
    usable = (pixels.dtype, pixels.ndim) in depths and pixels.size > 0 and (pixels.ndim == 2 or pixels.shape[2] == 3)
    if not usable:
        raise UserError(
            f"An array {pixels.dtype} of shape {pixels.shape} is no image: expected grey levels, uint8 or uint16 "
            "[H, W], or RGB uint8 [H, W, 3]; scale and convert it first."
        )
    return to_grey(pixels) if pixels.ndim == 2 else _grey(Image.fromarray(pixels))


def read_raster(path: Path) -> Pixels:
    """Return the first frame of a PNG, JPEG, TIFF or BMP as grey uint8 [H, W] (luma of ITU-R 601 for colour)."""
    with _opened(path) as image:
        return _grey(image)


def read_mask(path: Path) -> Pixels:
    """Return a mask file as uint8 {0, 1} [H, W].

    Lossless files may use any two levels (0/1, 0/255, palette): pixels above half of the greatest level
    are lesion. In lossy files artefacts surround the edge, so the lesion is what exceeds 127.
    """
    with _opened(path) as image:
        levels = _grey(image)
    half = 127 if path.suffix.lower() in LOSSY_SUFFIXES else int(levels.max(initial=0)) // 2
    return (levels > half).astype(np.uint8)


def united_mask(image: Path, shape: tuple[int, int], masks: tuple[Path, ...]) -> Pixels:
    """Return the union of mask files as uint8 {0, 1} of ``shape``; UserError where a mask has another size."""
    union = np.zeros(shape, np.uint8)
    for path in masks:
        mask = read_mask(path)
        if mask.shape != shape:
            raise SizeMismatchError(
                f"Mask {path} is {mask.shape[1]} x {mask.shape[0]} pixels but its image {image.name} is "
                f"{shape[1]} x {shape[0]}: export the mask at the size of the image."
            )
        union |= mask
    return union
