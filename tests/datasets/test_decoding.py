"""Grey levels, masks of any depth, outlines, and files that cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from ussearch.datasets import open_dataset, read_image, settled
from ussearch.datasets.files import convex_hull, filled, without_holes
from ussearch.datasets.reading import MaskReading
from ussearch.datasets.reading.masks import united_mask
from ussearch.errors import UserError
from ussearch.runtime import raster_files


def test_colour_becomes_luma(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    Image.fromarray(colours).save(tmp_path / "colour.png")
    expected = colours @ np.array([0.299, 0.587, 0.114])
    assert np.abs(read_image(tmp_path / "colour.png") - expected).max() <= 1.0


HELD = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.T,
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: upright[::-1, ::-1].T,
    8: lambda upright: np.rot90(upright, -1),
}
"""How the rows that a sensor stored are made of the upright picture, by EXIF's orientation (its table of the eight)."""


SAVED = {"png": {}, "jpg": {"quality": 95}, "tif": {}, "lzw.tif": {"compression": "tiff_lzw"}}


@pytest.mark.parametrize("suffix", SAVED)
@pytest.mark.parametrize("orientation", HELD)
def test_pictures_are_read_as_they_were_held(tmp_path: Path, orientation: int, suffix: str) -> None:
    picture = np.zeros((48, 80), np.uint8)
    picture[8:24, 16:64], picture[24:40, 16:24] = 120, 240  # alike in no two of the eight positions
    note = Image.Exif()
    note[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(HELD[orientation](picture)))
    stored.save(tmp_path / f"a.{suffix}", exif=note, **SAVED[suffix])
    read = read_image(tmp_path / f"a.{suffix}")
    assert read.shape == picture.shape
    assert np.abs(read.astype(int) - picture).max() <= (12 if suffix == "jpg" else 0)


def test_a_mask_drawn_on_the_upright_picture_lies_on_its_lesion(tmp_path: Path) -> None:
    lesion = np.zeros((48, 80), bool)
    lesion[30:40, 60:76] = True
    note = Image.Exif()
    note[0x0112] = 6
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    stored = np.rot90(lesion * np.uint8(200), 1)
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "images" / "a.jpg", exif=note, quality=95)
    Image.fromarray(lesion).save(tmp_path / "masks" / "a.png")
    dataset = settled(open_dataset(tmp_path))
    image, mask = dataset.source.decode(dataset.samples[0])
    assert np.array_equal(image > 100, mask > 0)
    assert np.array_equal(mask > 0, lesion)


@pytest.mark.parametrize(("top", "scale"), [(255, 255), (1000, 1023), (4000, 4095), (60000, 65535)])
def test_sixteen_bit_levels_are_scaled_by_the_depth_that_holds_them(tmp_path: Path, top: int, scale: int) -> None:
    levels = np.linspace(0, top, 30, dtype=np.uint16).reshape(5, 6)
    Image.fromarray(levels).save(tmp_path / "deep.tif")
    assert np.abs(read_image(tmp_path / "deep.tif") - levels * (255 / scale)).max() <= 0.5 + 1e-9


def test_truncated_damaged_and_missing_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "scan.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60), dtype=np.uint8)).save(path)
    content = path.read_bytes()
    for broken in (content[: len(content) // 2], content[:20], b"", b"no image at all"):
        path.write_bytes(broken)
        with pytest.raises(UserError, match=r"scan\.png cannot be read as an image \(truncated or damaged\): replace"):
            read_image(path)
    path.unlink()
    with pytest.raises(UserError, match=r"scan\.png does not exist"):
        read_image(path)


def test_bombs_are_refused_before_they_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("1", (400, 300)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(raster_files, "PIXEL_LIMIT", 100_000)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(UserError, match=r"bomb\.png holds 400 x 300 pixels"):
        read_image(tmp_path / "bomb.png")


def test_mask_of_another_size_names_both_sizes(tmp_path: Path) -> None:
    Image.new("L", (30, 20)).save(tmp_path / "m.png")
    with pytest.raises(UserError, match=r"^Mask .*m\.png is 30 x 20 pixels but its image i\.png is 40 x 20: export"):
        united_mask(tmp_path / "i.png", (20, 40), (tmp_path / "m.png",), MaskReading())


def ellipse(width: int, outline: bool, box: tuple[int, int, int, int] = (30, 20, 210, 150)) -> np.ndarray:
    canvas = Image.new("L", (240, 180))
    drawing = ImageDraw.Draw(canvas)
    drawing.ellipse(box, fill=0 if outline else 1, outline=1, width=width)
    return np.array(canvas)


@pytest.mark.parametrize("width", [1, 2, 5])
def test_outline_is_filled_to_the_drawn_ellipse(width: int) -> None:
    assert np.array_equal(filled(ellipse(width, True)), ellipse(width, False))


@pytest.mark.parametrize("width", [1, 3])
def test_outline_with_gaps_is_filled_nearly(width: int) -> None:
    gaps = ellipse(width, True)
    gaps[:, 100:108] = 0
    gaps[80:84] = 0
    truth = ellipse(width, False)
    assert (filled(gaps) & truth).sum() / (filled(gaps) | truth).sum() > 0.98


def test_outline_cut_by_the_border_is_filled() -> None:
    cut = ellipse(2, True, (-40, 20, 150, 150))
    truth = ellipse(2, False, (-40, 20, 150, 150))
    assert (filled(cut) & truth).sum() / (filled(cut) | truth).sum() > 0.98


def test_filled_annotations_and_empty_ones_stay() -> None:
    assert np.array_equal(filled(ellipse(1, False)), ellipse(1, False))
    empty = np.zeros((20, 20), np.uint8)
    assert np.array_equal(filled(empty), empty)
    line = empty.copy()
    line[3, 4:9] = 1
    assert np.array_equal(filled(line), line)


def test_holes_are_what_scipy_takes_for_holes() -> None:
    for seed in range(20):
        mask = (np.random.default_rng(seed).random((25, 31)) < 0.55).astype(np.uint8)
        assert np.array_equal(without_holes(mask), ndimage.binary_fill_holes(mask))


def test_convex_hull_of_a_triangle() -> None:
    corners = np.zeros((21, 21), np.uint8)
    corners[0, 0] = corners[20, 0] = corners[20, 20] = 1
    rows, columns = np.mgrid[:21, :21]
    assert np.array_equal(convex_hull(corners), (columns <= rows).astype(np.uint8))
