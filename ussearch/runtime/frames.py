"""Grey frames: what any image, from a file or from memory, becomes before a network sees it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from ussearch.errors import UserError

Pixels = npt.NDArray[np.uint8]
RASTER_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".pgm"})
PIXEL_LIMIT = 64_000_000  # of one frame; refused before memory is taken for it
NO_FILE = "array"
"""Source of a frame that came from no file."""


@dataclass(frozen=True)
class Frame:
    """One grey frame, uint8 [H, W], already cropped.

    ``box`` (left, top, right, bottom; right and bottom excluded) says where it lies in the full frame of
    ``full_size`` (height, width), so that a mask can be put back. ``text_excluded`` is false where a DICOM file does
    not say that no text is burned into its pixels (a name, a date of birth).
    """

    pixels: Pixels
    source: Path
    frame: int
    box: tuple[int, int, int, int]
    full_size: tuple[int, int]
    text_excluded: bool = True

    @classmethod
    def of(cls, pixels: npt.NDArray[np.generic], source: Path = Path(NO_FILE)) -> Frame:
        """Return an image in memory, or the whole of a file's, as a frame; UserError as ``grey_of``."""
        grey = grey_of(pixels)
        height, width = grey.shape
        return cls(grey, source, 0, (0, 0, width, height), (height, width))

    def whole(self, mask: Pixels) -> Pixels:
        """Put the mask of the cropped frame back into the frame's full size."""
        left, top, right, bottom = self.box
        full = np.zeros(self.full_size, np.uint8)
        full[top:bottom, left:right] = mask
        return full

    def cropped(self, mask: Pixels) -> Pixels:
        """Return the part of a mask of the full size that the networks saw."""
        left, top, right, bottom = self.box
        return mask[top:bottom, left:right]


AnyImage = Frame | npt.NDArray[np.generic]
"""A frame, or an array as ``grey_of`` takes it."""


def as_frame(image: AnyImage) -> Frame:
    """Return an image as a frame; UserError as ``grey_of``."""
    return image if isinstance(image, Frame) else Frame.of(image)


def is_raster(path: Path) -> bool:
    """Tell whether ``path`` is a visible file with the suffix of a raster image."""
    return path.suffix.lower() in RASTER_SUFFIXES and not path.name.startswith(".") and path.is_file()


def refuse_bombs(path: Path, width: int, height: int) -> None:
    """Raise UserError where a frame of ``width`` x ``height`` has more than ``PIXEL_LIMIT`` pixels."""
    if width * height > PIXEL_LIMIT:
        raise UserError(
            f"{path} holds {width} x {height} pixels, more than the {PIXEL_LIMIT:,} that are decoded: "
            "reduce the image or remove it."
        )


UPRIGHT = 1
ORIENTATION = 0x0112
"""Tag of EXIF."""


def upright(image: Image.Image) -> Image.Image:
    """Return a decoded image as viewers show it; the very same where nothing is noted of how it was held."""
    # NOTE: Pillow turns TIFF files itself while it loads them, and says so in the tags alone.
    tags = image.tag_v2 if isinstance(image, TiffImageFile) else image.getexif()
    return image if tags.get(ORIENTATION, UPRIGHT) == UPRIGHT else ImageOps.exif_transpose(image)


@contextlib.contextmanager
def opened_image(path: Path) -> Iterator[Image.Image]:
    """Yield the fully decoded image at ``path``, upright; every way a file can be broken becomes one UserError.

    Cameras store a picture as the sensor saw it and note how it was held (EXIF); viewers and annotation tools turn it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            # NOTE: a file, not its name: Pillow 13 maps uncompressed TIFF files of a name into memory with the sides of
            # the turned picture, which scrambles them.
            with path.open("rb") as file, Image.open(file) as image:
                refuse_bombs(path, *image.size)
                image.load()
                yield upright(image)
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


def grey_levels(image: Image.Image) -> Pixels:
    """Return a decoded image as grey uint8 [H, W] (luma of ITU-R 601 for colour)."""
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
    return to_grey(pixels) if pixels.ndim == 2 else grey_levels(Image.fromarray(pixels))


def read_raster(path: Path) -> Pixels:
    """Return the first frame of a PNG, JPEG, TIFF or BMP as grey uint8 [H, W] (luma of ITU-R 601 for colour)."""
    with opened_image(path) as image:
        return grey_levels(image)
