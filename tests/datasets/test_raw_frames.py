"""Raster files keep the values that they hold, with what their headers allow, page by page and upright."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from tests.datasets.test_decoding import HELD
from tests.png_files import exif, png_of, save, with_chunk
from tests.tiff_files import Page, tiff_of
from ussearch.datasets import frames as module
from ussearch.datasets import read_frames, read_image
from ussearch.errors import UserError
from ussearch.runtime.frames import pages_of, raw_of, raw_raster
from ussearch.runtime.grey_scale import GreyScale

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 4).map(lambda half: 2 * half))
Values = np.ndarray[Any, Any]


@given(values=arrays(np.uint16, SHAPES), bits=st.integers(9, 16), says=st.booleans())
def test_the_depth_of_a_png_is_what_it_says_where_its_values_keep_to_it(values: Values, bits: int, says: bool) -> None:
    content = png_of(values[:, :, None], 0, 16)
    with tempfile.TemporaryDirectory() as folder:
        path = save(Path(folder) / "a.png", with_chunk(content, b"sBIT", bytes([bits])) if says else content)
        raw = raw_raster(path)
    assert np.array_equal(raw.values, values)
    depth = bits if says and values.max() < 1 << bits else 16
    assert raw.stored_bits == depth and raw.span == (0, 2**depth - 1)
    assert (raw.window, raw.inverted, raw.from_dicom) == (None, False, False)


TIFFS: dict[str, tuple[Page, tuple[float, float] | None]] = {
    "12 bits": (Page(np.arange(24, dtype=np.uint16).reshape(4, 6) * 170, bits=12), (0, 4095)),
    "16 bits": (Page(np.arange(24, dtype=np.uint16).reshape(4, 6) * 2700), (0, 65535)),
    "16 bits with sign": (Page(np.arange(-12, 12, dtype=np.int16).reshape(4, 6) * 2700), (-32768, 32767)),
    "32 bits": (Page(np.arange(24, dtype=np.uint32).reshape(4, 6) * 170_000_000), (0, 2**32 - 1)),
    "32 bits with sign": (Page(np.arange(-12, 12, dtype=np.int32).reshape(4, 6) * 2700), (-(2**31), 2**31 - 1)),
    "floats": (Page(np.linspace(-1, 2, 24, dtype=np.float32).reshape(4, 6)), None),
    "8 bits": (Page(np.arange(24, dtype=np.uint8).reshape(4, 6)), (0, 255)),
}


UNKNOWN_TO_PILLOW = {("12 bits", ">"), ("32 bits", ">")}


@pytest.mark.parametrize(
    ("kind", "order"), [(kind, order) for kind in TIFFS for order in "<>" if (kind, order) not in UNKNOWN_TO_PILLOW]
)
def test_a_tiff_keeps_its_values(kind: str, order: str, tmp_path: Path) -> None:
    page, span = TIFFS[kind]
    raw = raw_raster(save(tmp_path / "a.tif", tiff_of(page, order=order)))
    assert np.array_equal(raw.values, page.stored)
    assert raw.span == span and (raw.stored_bits == 0) == (span is None)
    assert not raw.inverted


@pytest.mark.parametrize("kind", ["8 bits", "16 bits", "floats"])
def test_a_tiff_whose_white_is_zero_is_inverted(kind: str, tmp_path: Path) -> None:
    stored = TIFFS[kind][0].stored
    scale = GreyScale(low=0, high=2, basis="percentiles") if kind == "floats" else GreyScale(high=65535)
    levels = [
        read_frames(save(tmp_path / f"{photometric}.tif", tiff_of(Page(stored, photometric=photometric))), scale)
        for photometric in (0, 1)
    ]
    assert np.array_equal(levels[0][0].pixels, 255 - levels[1][0].pixels)


def test_what_is_no_deep_image_is_luma_as_before(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (6, 5, 4), dtype=np.uint8)
    for number, image in enumerate(
        [
            Image.fromarray(colours[:, :, :3]),
            Image.fromarray(colours),
            Image.fromarray(colours[:, :, :3]).quantize(9),
            Image.fromarray(colours[:, :, 0]).convert("1"),
            Image.fromarray(colours[:, :, :2], "LA"),
        ]
    ):
        image.save(tmp_path / f"{number}.png")
        raw = raw_raster(tmp_path / f"{number}.png")
        assert np.array_equal(raw.values, np.asarray(image.convert("RGB").convert("L")))
        assert np.array_equal(raw.values, read_image(tmp_path / f"{number}.png"))
        assert (raw.values.dtype, raw.stored_bits, raw.span) == (np.uint8, 8, (0, 255))
    in_memory = raw_of(Image.fromarray(np.array([[3, 900]], np.uint16)))
    assert (in_memory.stored_bits, in_memory.values.tolist()) == (16, [[3, 900]])


@given(
    shapes=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=6),
    subfiles=st.lists(st.sampled_from([0, 0, 1, 2, 4, 5]), min_size=6, max_size=6),
    orientations=st.lists(st.integers(1, 8), min_size=6, max_size=6),
    kind=st.sampled_from(["u1", "u2", "f4"]),
)
def test_every_page_of_a_tiff_is_a_frame_but_thumbnails_and_masks(
    shapes: list[tuple[int, int]], subfiles: list[int], orientations: list[int], kind: str
) -> None:
    random = np.random.default_rng(len(shapes))
    upright = [random.integers(0, 200, shape).astype(kind) for shape in shapes]
    pages = [
        Page(np.ascontiguousarray(HELD[turn](values)), orientation=turn, subfile=subfile)
        for values, turn, subfile in zip(upright, orientations, subfiles, strict=False)
    ]
    expected = [values for values, page in zip(upright, pages, strict=True) if page.subfile in {0, 2}] or upright[:1]
    with tempfile.TemporaryDirectory() as folder:
        path = save(Path(folder) / "a.tif", tiff_of(*pages))
        frames = read_frames(path, GreyScale(high=255, basis="percentiles"))
        assert pages_of(path) == len(frames) == len(expected)
        assert [frame.frame for frame in frames] == list(range(len(expected)))
        for number, values in enumerate(expected):
            assert np.array_equal(frames[number].pixels, values)
            assert np.array_equal(raw_raster(path, number).values, values)
        with pytest.raises(UserError, match=rf"a\.tif has no frame {len(expected)}: it holds {len(expected)}"):
            raw_raster(path, len(expected))


@pytest.mark.parametrize("suffix", ["gif", "png"])
def test_moving_pictures_give_all_their_frames(suffix: str, tmp_path: Path) -> None:
    levels = [10, 90, 170]
    frames = [Image.new("L", (8, 6), level) for level in levels]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
    assert pages_of(tmp_path / f"a.{suffix}") == 3
    assert [int(frame.pixels[0, 0]) for frame in read_frames(tmp_path / f"a.{suffix}", GreyScale())] == levels
    assert [int(frame.pixels[0, 0]) for frame in read_frames(tmp_path / f"a.{suffix}")] == levels


@pytest.mark.parametrize("orientation", HELD)
def test_frames_of_a_moving_png_are_upright(orientation: int, tmp_path: Path) -> None:
    pictures = [np.arange(12, dtype=np.uint8).reshape(3, 4) * step for step in (3, 5)]
    stored = [Image.fromarray(np.ascontiguousarray(HELD[orientation](picture))) for picture in pictures]
    stored[0].save(tmp_path / "a.png", save_all=True, append_images=stored[1:])
    save(tmp_path / "b.png", with_chunk((tmp_path / "a.png").read_bytes(), b"eXIf", exif(orientation)))
    frames = read_frames(tmp_path / "b.png", GreyScale())
    assert all(np.array_equal(frame.pixels, picture) for frame, picture in zip(frames, pictures, strict=True))


def test_a_camera_s_second_pictures_are_no_frames(tmp_path: Path) -> None:
    first, second = Image.new("L", (40, 30), 50), Image.new("L", (20, 15), 200)
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[second])
    with Image.open(tmp_path / "a.jpg") as image:
        assert getattr(image, "n_frames", 1) == 2
    (frame,) = read_frames(tmp_path / "a.jpg", GreyScale())
    assert frame.pixels.shape == (30, 40)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("cut", [1500, 3000, 3800])
def test_a_damaged_page_is_told_by_the_file(cut: int, tmp_path: Path) -> None:
    content = tiff_of(*[Page(np.full((30, 40), level, np.uint16)) for level in (1, 2, 3)])
    save(tmp_path / "a.tif", content[:-cut])
    with pytest.raises(UserError, match=r"a\.tif cannot be read as an image \(truncated or damaged\)"):
        read_frames(tmp_path / "a.tif", GreyScale())


def test_more_frames_than_fit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.tif", tiff_of(*[Page(np.zeros((10, 12), np.uint8))] * 3))
    for limit in ("FRAME_LIMIT", "PIXELS_LIMIT"):
        with monkeypatch.context() as patch:
            patch.setattr(module, limit, 2)
            with pytest.raises(UserError, match=r"a\.tif holds 3 frames of 12 x 10, more than fit"):
                read_frames(tmp_path / "a.tif")


DEEP: dict[str, Values] = {
    "16-bit values from 3 to 900": np.array([[3, 900]], np.uint16),
    "32-bit values from -3 to 9": np.array([[-3, 9]], np.int32),
    "floats from 0 to 1": np.array([[0, 1]], np.float32),
}


@pytest.mark.parametrize("what", DEEP)
def test_what_is_deeper_than_the_networks_know_is_refused(what: str, tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", tiff_of(Page(DEEP[what])))
    with pytest.raises(UserError, match=rf"a\.tif holds {what} but the networks learnt from 8-bit images: convert"):
        read_frames(path, GreyScale())
    (frame,) = read_frames(path, GreyScale(low=0, high=2, basis="given"))
    assert frame.clipped == np.count_nonzero((DEEP[what] < 0) | (DEEP[what] > 2))


def test_eight_bits_in_a_deeper_file_pass(tmp_path: Path) -> None:
    values = np.arange(250, 256, dtype=np.uint16).reshape(2, 3)
    (frame,) = read_frames(save(tmp_path / "a.tif", tiff_of(Page(values))), GreyScale())
    assert np.array_equal(frame.pixels, values) and frame.clipped == 0
