"""The board makes the same grey levels of a file as the package does, bit for bit, and refuses what it cannot read."""

from __future__ import annotations

import io
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from tests.png_files import chunk, exif, png_of, png_of_image, save, with_chunk
from ussearch.datasets import read_frames
from ussearch.errors import UserError
from ussearch.runtime.frames import Frame
from ussearch.runtime.grey_scale import Basis, GreyScale
from ussearch.serving.board import run_edge

SHAPES = st.tuples(st.integers(1, 7), st.integers(1, 9))
SCALES = st.one_of(
    st.sampled_from([GreyScale(), GreyScale(high=1023), GreyScale(high=4095), GreyScale(high=65535)]),
    st.builds(
        lambda low, width, basis: GreyScale(low=low, high=low + width, basis=basis),
        st.floats(-100, 3000),
        st.floats(0.5, 70000),
        st.sampled_from(["percentiles", "window", "given"]),
    ),
)


def board(path: Path, scale: GreyScale | None) -> tuple[Any, int] | str:
    """Return what the board makes of a file: levels and clipped values, or its refusal."""
    try:
        return run_edge.read_grey(path, None if scale is None else scale.model_dump(mode="json"))
    except run_edge.BadInput as error:
        return str(error)


def assert_alike(path: Path, scale: GreyScale | None) -> None:
    """Both give the same levels, or both refuse by name."""
    found = board(path, scale)
    try:
        (frame,) = read_frames(path, scale)
    except UserError as error:
        assert isinstance(found, str), path
        assert "learnt from 8-bit images" in found and "learnt from 8-bit images" in str(error)
        return
    assert not isinstance(found, str), found
    assert found[0].dtype == np.uint8
    assert np.array_equal(found[0], frame.pixels)
    assert found[1] == frame.clipped


@given(values=arrays(np.uint16, SHAPES), bits=st.sampled_from([8, 10, 12, 14, 16]), scale=SCALES, says=st.booleans())
def test_grey_of_any_depth(values: np.ndarray[Any, Any], bits: int, scale: GreyScale, says: bool) -> None:
    content = png_of(values[:, :, None] >> (16 - bits), 0, 16)
    with tempfile.TemporaryDirectory() as folder:
        path = save(Path(folder) / "a.png", with_chunk(content, b"sBIT", bytes([bits])) if says else content)
        assert_alike(path, scale)
        assert_alike(path, None)


@given(values=arrays(np.uint8, SHAPES), depth=st.sampled_from([1, 2, 4, 8]), scale=SCALES)
def test_grey_of_up_to_eight_bits(values: np.ndarray[Any, Any], depth: int, scale: GreyScale) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert_alike(save(Path(folder) / "a.png", png_of(values[:, :, None] >> (8 - depth), 0, depth)), scale)


@given(
    values=arrays(np.uint8, SHAPES),
    depth=st.sampled_from([1, 2, 4, 8]),
    entries=st.randoms(),
    see_through=st.booleans(),
)
def test_palettes(values: np.ndarray[Any, Any], depth: int, entries: Any, see_through: bool) -> None:
    content = png_of(values[:, :, None] >> (8 - depth), 3, depth)
    if see_through:
        content = with_chunk(content, b"tRNS", bytes(entries.randrange(256) for _ in range(1 << depth)))
    content = with_chunk(content, b"PLTE", bytes(entries.randrange(256) for _ in range(3 << depth)))
    with tempfile.TemporaryDirectory() as folder:
        assert_alike(save(Path(folder) / "a.png", content), GreyScale())


@given(seed=st.integers(0, 99), colour=st.sampled_from([2, 4, 6]), depth=st.sampled_from([8, 16]), scale=SCALES)
def test_colour_and_transparency(seed: int, colour: int, depth: int, scale: GreyScale) -> None:
    channels = {2: 3, 4: 2, 6: 4}[colour]
    samples = np.random.default_rng(seed).integers(0, 1 << depth, (5, 6, channels))
    with tempfile.TemporaryDirectory() as folder:
        assert_alike(save(Path(folder) / "a.png", png_of(samples, colour, depth)), scale)


@given(
    orientation=st.integers(0, 9),
    order=st.sampled_from("<>"),
    kind=st.sampled_from([3, 4]),
    last=st.booleans(),
    place=st.sampled_from(["eXIf", "raw profile", "packed raw profile", "xmp", "packed xmp"]),
    deep=st.booleans(),
)
def test_pictures_are_turned_upright(
    orientation: int, order: str, kind: int, last: bool, place: str, deep: bool
) -> None:
    picture = np.arange(35).reshape(5, 7, 1) * (500 if deep else 7)
    data = exif(orientation, order, kind)
    profile = f"\nexif\n{len(data):8}\n{data.hex()}\n".encode()
    xmp = f'<x tiff:Orientation="{orientation}"/>'.encode()
    kinds = {
        "eXIf": (b"eXIf", data),
        "raw profile": (b"tEXt", b"Raw profile type exif\x00" + profile),
        "packed raw profile": (b"zTXt", b"Raw profile type exif\x00\x00" + zlib.compress(profile)),
        "xmp": (b"iTXt", b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + xmp),
        "packed xmp": (b"iTXt", b"XML:com.adobe.xmp\x00\x01\x00en\x00\x00" + zlib.compress(xmp)),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = save(Path(folder) / "a.png", with_chunk(png_of(picture, 0, 16 if deep else 8), *kinds[place], last))
        assert_alike(path, GreyScale(high=17000))
        assert (board(path, None)[0].shape == (7, 5)) == (orientation in {5, 6, 7, 8})  # type: ignore[union-attr]


@given(
    values=arrays(np.uint16, SHAPES),
    top=st.integers(1, 65535),
    plain=st.booleans(),
    scale=SCALES,
    comment=st.booleans(),
)
def test_pgm_of_any_depth(values: np.ndarray[Any, Any], top: int, plain: bool, scale: GreyScale, comment: bool) -> None:
    values = np.minimum(values, top)
    height, width = values.shape
    head = f"{'P2' if plain else 'P5'}\n{'# made by hand' if comment else ''}\n{width} {height}\n{top}\n"
    note = "# half\n" if comment else ""
    text = note + "\n".join(" ".join(map(str, row)) for row in values) + "\n"
    content = text.encode() if plain else values.astype(">u2" if top > 255 else np.uint8).tobytes()
    with tempfile.TemporaryDirectory() as folder:
        path = save(Path(folder) / "a.pgm", head.encode() + content)
        assert_alike(path, scale)
        assert_alike(path, None)


@given(
    kind=st.sampled_from(["u1", "u2", "i2", "i4", "f2", "f4", "f8"]),
    scale=SCALES,
    data=st.data(),
)
def test_raw_frames(kind: str, scale: GreyScale, data: st.DataObject) -> None:
    values = data.draw(arrays(np.dtype(kind), SHAPES))
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "a.npy", values)
        found = board(Path(folder) / "a.npy", scale)
    try:
        frame = Frame.of(values, grey_scale=scale)
    except UserError:
        assert isinstance(found, str) or scale.is_plain  # a plain scale takes only unsigned arrays of the package's
        return
    assert not isinstance(found, str), found
    assert np.array_equal(found[0], frame.pixels) and found[1] == frame.clipped


@pytest.mark.parametrize("basis", ["depth", "percentiles", "window"])
def test_what_is_clipped_is_counted(tmp_path: Path, basis: Basis) -> None:
    values = np.array([[0, 99, 100, 4000, 4001, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    scale = GreyScale(low=100, high=4000, basis=basis)
    assert board(tmp_path / "a.png", scale)[1] == 4 == read_frames(tmp_path / "a.png", scale)[0].clipped


def animated() -> bytes:
    buffer = io.BytesIO()
    frames = [Image.new("L", (4, 4), level) for level in (10, 90)]
    frames[0].save(buffer, format="PNG", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def of_format(name: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB" if name in {"PPM", "JPEG2000"} else "L", (9, 9)).save(buffer, format=name)
    return buffer.getvalue()


def interlaced() -> bytes:
    content = png_of_image(Image.new("L", (1, 1)))
    header = content[16:28] + b"\x01"
    return content[:8] + chunk(b"IHDR", header) + content[33:]


REFUSED = {
    "animated PNG": animated,
    "TIFF": lambda: of_format("TIFF"),
    "JPEG": lambda: of_format("JPEG"),
    "GIF": lambda: of_format("GIF"),
    "BMP": lambda: of_format("BMP"),
    "PPM": lambda: of_format("PPM"),
    "DICOM": lambda: bytes(128) + b"DICM" + bytes(40),
    "interlaced PNG": interlaced,
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_formats_are_refused_by_name(name: str, tmp_path: Path) -> None:
    path = save(tmp_path / "image", REFUSED[name]())
    sentence = board(path, GreyScale())
    assert isinstance(sentence, str) and str(path) in sentence and name in sentence and sentence.endswith(".")


@pytest.mark.filterwarnings("ignore")
@given(
    seed=st.integers(0, 99),
    deep=st.booleans(),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_damaged_files_are_refused_or_read_alike(seed: int, deep: bool, changes: list[tuple[int, int]]) -> None:
    """Bytes of any chunk change, and its checksum with them; what both read, they read alike."""
    samples = np.random.default_rng(seed).integers(0, 1 << (16 if deep else 8), (5, 6, 1))
    content = png_of(samples, 0 if deep else 3, 16 if deep else 8)
    chunks = [(b"eXIf", bytearray(exif(seed % 8 + 1))), (b"PLTE", bytearray(range(256)) * 3)][: 1 if deep else 2]
    for _, body in chunks:
        for place, value in changes:
            body[place % len(body)] = value
    for kind, body in chunks:
        content = with_chunk(content, kind, bytes(body))
    scale = GreyScale(high=4095)
    with tempfile.TemporaryDirectory() as folder:
        path = save(Path(folder) / "a.png", content)
        found = board(path, scale)
        try:
            (frame,) = read_frames(path, scale)
        except UserError:
            return
    assert isinstance(found, str) or np.array_equal(found[0], frame.pixels)
