"""Values of DICOM frames, their windows and regions, against pydicom's own arithmetic and the formulas of PS3.3."""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, features
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.pixels import processing
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless

from tests.datasets.test_frames import dicom, noise, region
from ussearch.datasets import read_frames
from ussearch.datasets.dicom import open_dicom, read_raw_dicom
from ussearch.datasets.dicom_pixels import window_of
from ussearch.errors import UserError
from ussearch.runtime.grey_scale import GreyScale, RawFrame

Values = np.ndarray[Any, Any]


@given(
    stored=arrays(np.uint16, (3, 4)),
    bits=st.integers(1, 16),
    signed=st.booleans(),
    slope=st.sampled_from([None, 1, 0.5, 2, -1.5]),
    intercept=st.sampled_from([0, -1024, 3.25]),
    inverted=st.booleans(),
)
def test_values_are_rescaled_and_their_range_is_known(
    stored: Values, bits: int, signed: bool, slope: float | None, intercept: float, inverted: bool
) -> None:
    stored = stored >> (16 - bits)
    attributes: dict[str, Any] = {"BitsStored": bits, "HighBit": bits - 1, "PixelRepresentation": int(signed)}
    if signed:
        stored = stored.astype(np.int16) - np.int16(1 << (bits - 1)) if bits < 16 else stored.view(np.int16)
    if slope is not None:
        attributes |= {"RescaleSlope": slope, "RescaleIntercept": intercept}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.dcm"
        interpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
        dicom(path, stored[None], interpretation, **attributes)
        raw = read_raw_dicom(path)
    assert np.array_equal(raw.values, stored.astype(float) * (slope or 1) + (intercept if slope else 0))
    assert (raw.stored_bits, raw.inverted, raw.from_dicom, raw.window) == (bits, inverted, True, None)
    ends = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    assert raw.span == tuple(sorted(end * (slope or 1) + (intercept if slope else 0) for end in ends))
    levels = GreyScale(low=raw.span[0], high=raw.span[1] + 1e-9, basis="depth").levels(raw)
    rising = np.argsort(raw.values, axis=None, kind="stable")
    steps = np.diff(levels.ravel()[rising].astype(int))
    assert (steps <= 0).all() if inverted else (steps >= 0).all()


def test_eight_bits_stay_eight_bits(tmp_path: Path) -> None:
    pixels = noise(1, 8, 8)
    for number, attributes in enumerate([{}, {"RescaleSlope": 1, "RescaleIntercept": 0}]):
        raw = read_raw_dicom(dicom(tmp_path / f"{number}.dcm", pixels, **attributes))
        assert raw.values.dtype == np.uint8 and np.array_equal(raw.values, pixels[0])
        assert np.array_equal(GreyScale(high=4095).levels(raw), pixels[0])


def test_a_modality_table_is_looked_up(tmp_path: Path) -> None:
    table = pydicom.Dataset()
    entries = np.arange(1023, 1023 - 512, -2).astype("<u2").tobytes()
    table.LUTDescriptor, table.LUTData, table.ModalityLUTType = [256, 0, 10], entries, "US"
    pixels = noise(2, 8, 8)
    frames = open_dicom(dicom(tmp_path / "a.dcm", pixels, ModalityLUTSequence=[table])).raw_frames()
    for raw, stored in zip(frames, pixels, strict=True):
        assert np.array_equal(raw.values, 1023 - 2 * stored.astype(int))
        assert raw.span == (0, 1023)


def test_float_pixels_have_no_depth(tmp_path: Path) -> None:
    path = dicom(tmp_path / "f.dcm", np.zeros((1, 4, 5), np.uint16))
    header, values = pydicom.dcmread(path), np.linspace(-2, 7, 20, dtype=np.float32).reshape(4, 5)
    del header.PixelData, header.BitsStored, header.HighBit, header.PixelRepresentation
    header.BitsAllocated, header.FloatPixelData = 32, values.tobytes()
    header.save_as(path)
    raw = read_raw_dicom(path)
    assert np.array_equal(raw.values, values) and (raw.stored_bits, raw.span) == (0, None)
    with pytest.raises(UserError, match=r"f\.dcm holds floats from -2 to 7 but the networks learnt from 8-bit images"):
        read_frames(path, GreyScale())


@given(
    centre=st.integers(-2000, 70000),
    width=st.integers(1, 70000),
    exact=st.booleans(),
    several=st.booleans(),
)
def test_a_window_is_that_of_the_standard(centre: int, width: int, exact: bool, several: bool) -> None:
    header = pydicom.Dataset()
    header.PhotometricInterpretation, header.BitsStored, header.PixelRepresentation = "MONOCHROME2", 16, 0
    header.WindowCenter = [centre, 3] if several else centre
    header.WindowWidth = [width, 4] if several else width
    if exact:
        header.VOILUTFunction = "LINEAR_EXACT"
    window = window_of(header)
    assert window is not None
    values = np.linspace(0, 65535, 301).astype(np.uint16).reshape(7, 43)
    expected = processing.apply_windowing(values, header) / 65535 * 255
    levels = GreyScale(low=window[0], high=window[1], basis="window")
    found = levels.levels(RawFrame(values, 16, (0, 65535), window, from_dicom=True))
    at_the_rim = np.isin(values, np.floor(window)) | np.isin(values, np.ceil(window))
    assert (np.abs(found - expected) <= 0.5 + 1e-6)[~at_the_rim].all()


@pytest.mark.parametrize(
    ("function", "width", "expected"),
    [
        ("LINEAR", 101.0, (49.5, 149.5)),
        ("", 101.0, (49.5, 149.5)),
        ("LINEAR_EXACT", 101.0, (49.5, 150.5)),
        ("SIGMOID", 101.0, None),
        ("LINEAR", 0.5, None),
        ("LINEAR", None, None),
    ],
)
def test_what_is_no_window(function: str, width: float | None, expected: tuple[float, float] | None) -> None:
    header = pydicom.Dataset()
    header.WindowCenter, header.WindowWidth, header.VOILUTFunction = 100.0, width, function
    assert window_of(header) == expected


def test_windows_speak_of_eight_bits_too_and_are_counted(tmp_path: Path) -> None:
    pixels = np.arange(200, dtype=np.uint8).reshape(1, 10, 20)
    path = dicom(tmp_path / "w.dcm", pixels, WindowCenter=100, WindowWidth=101)
    raw = read_raw_dicom(path)
    assert raw.window == (49.5, 149.5)
    (frame,) = read_frames(path, GreyScale(low=49.5, high=149.5, basis="window"))
    assert (frame.pixels[pixels[0] < 50] == 0).all() and (frame.pixels[pixels[0] > 149] == 255).all()
    assert frame.clipped == 50 + 50


@pytest.mark.parametrize("interpretation", ["RGB", "YBR_FULL"])
def test_colour_is_luma_whatever_the_scale(interpretation: str, tmp_path: Path) -> None:
    path = dicom(tmp_path / "c.dcm", noise(2, 8, 8, 3), interpretation, WindowCenter=40, WindowWidth=80)
    before = read_frames(path)
    for frame, old in zip(read_frames(path, GreyScale(high=4095)), before, strict=True):
        assert np.array_equal(frame.pixels, old.pixels)
    raw = read_raw_dicom(path, 1)
    assert (raw.values.dtype, raw.span, raw.window) == (np.uint8, (0, 255), None)


BOXES = [(2, 3, 5, 6), (0, 0, 19, 19), (30, 10, 89, 60), (10, 4, 33, 200)]
"""A few pixels; 20 x 20; 60 x 51; 24 x 66 where the frame ends."""


def with_regions(path: Path, *boxes: tuple[int, int, int, int]) -> Path:
    return dicom(path, noise(1, 70, 90), SequenceOfUltrasoundRegions=[region(box) for box in boxes])


def test_regions_in_their_order_without_those_of_a_few_pixels(tmp_path: Path) -> None:
    image = open_dicom(with_regions(tmp_path / "r.dcm", *BOXES))
    assert image.regions == ((0, 0, 20, 20), (30, 10, 90, 61), (10, 4, 34, 70))
    assert image.box == image.box_by("largest") == (30, 10, 90, 61) == image.box_by("2")
    assert image.box_by("whole") == (0, 0, 90, 70) and image.box_by("3") == (10, 4, 34, 70)
    for rule, box in (("whole", (0, 0, 90, 70)), ("1", (0, 0, 20, 20))):
        (frame,) = read_frames(tmp_path / "r.dcm", GreyScale(), rule)
        assert frame.box == box and frame.pixels.shape == (box[3] - box[1], box[2] - box[0])


@pytest.mark.parametrize("rule", ["0", "4", "-1", "first", "", "1.5"])
def test_a_region_that_is_none_is_refused_by_the_file(rule: str, tmp_path: Path) -> None:
    path = with_regions(tmp_path / "r.dcm", *BOXES)
    with pytest.raises(UserError, match=rf"r\.dcm has no ultrasound region {rule}: it tells of 3; choose largest"):
        read_frames(path, GreyScale(), rule)


@pytest.mark.parametrize("rule", ["largest", "whole", "1", "7"])
def test_without_regions_the_whole_frame_is_meant(rule: str, tmp_path: Path) -> None:
    image = open_dicom(with_regions(tmp_path / "r.dcm", BOXES[0]))
    assert image.regions == () and image.box_by(rule) == (0, 0, 90, 70)


@given(
    shape=st.tuples(st.integers(1, 80), st.integers(1, 80)), corner=st.tuples(st.integers(0, 40), st.integers(0, 40))
)
def test_a_region_has_a_hundredth_of_the_frame_and_sixteen_pixels_a_side(
    shape: tuple[int, int], corner: tuple[int, int]
) -> None:
    (height, width), (top, left) = shape, corner
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r.dcm"
        box = (left, top, left + width - 1, top + height - 1)
        dicom(path, noise(1, 300, 200), SequenceOfUltrasoundRegions=[region(box)])
        regions = open_dicom(path).regions
    assert (len(regions) == 1) == (min(height, width) >= 16 and height * width >= 600)


def compressed(path: Path, pixels: Values, syntax: str, encoded: bytes) -> Path:
    """Write a frame [H, W] of 8 bits in a compressed transfer syntax."""
    dicom(path, pixels[None])
    header = pydicom.dcmread(path)
    header.file_meta.TransferSyntaxUID = syntax
    header.PixelData = encapsulate([encoded])
    header["PixelData"].is_undefined_length = True
    header.save_as(path, enforce_file_format=True)
    return path


def test_jpeg_2000_is_decoded(tmp_path: Path) -> None:
    assert features.check("jpg_2000")  # as in every wheel of Pillow
    pixels, buffer = noise(20, 30), io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG2000", no_jp2=True)
    path = compressed(tmp_path / "j.dcm", pixels, JPEG2000Lossless, buffer.getvalue())
    assert np.array_equal(read_raw_dicom(path).values, pixels)


def test_jpeg_ls_is_decoded(tmp_path: Path) -> None:
    jpeg_ls = pytest.importorskip("jpeg_ls", reason="needs pyjpegls, which comes with the extra seg")
    pixels = noise(20, 30)
    path = compressed(tmp_path / "j.dcm", pixels, JPEGLSLossless, bytes(jpeg_ls.encode_array(pixels)))
    assert np.array_equal(read_raw_dicom(path).values, pixels)


def test_lossless_jpeg_is_decoded_with_the_extra() -> None:
    pytest.importorskip("gdcm", reason="needs the extra dicom")
    path, twin = (Path(str(get_testdata_file(f"SC_rgb_{name}.dcm"))) for name in ("jpeg_gdcm", "dcmtk_+eb+cr"))
    assert np.abs(read_raw_dicom(path).values - read_raw_dicom(twin).values.astype(int)).mean() < 3


@pytest.mark.parametrize(
    ("name", "syntax"),
    [("SC_rgb_jpeg_gdcm", "JPEG Lossless"), ("MR_small_jpeg_ls_lossless", "JPEG-LS Lossless Image Compression")],
)
def test_a_missing_decoder_is_named_with_what_installs_it(name: str, syntax: str, tmp_path: Path) -> None:
    path = Path(pydicom.__file__).parent / "data" / "test_files" / f"{name}.dcm"
    program = (
        "import sys\n"
        "for each in ('gdcm', 'jpeg_ls', 'pylibjpeg'): sys.modules[each] = None\n"
        "from ussearch.datasets import read_frames\n"
        "from ussearch.errors import UserError\n"
        "try: read_frames(sys.argv[1])\n"
        "except UserError as error: print(error)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    sentence = result.stdout.strip()
    assert sentence.startswith(f"{path} is compressed as {syntax}") and "\n" not in sentence
    assert sentence.endswith('which needs a decoder: pip install "ussearch[dicom]".')


def test_a_video_is_refused_by_its_name(tmp_path: Path) -> None:
    path = compressed(tmp_path / "v.dcm", noise(8, 8), "1.2.840.10008.1.2.4.102", b"\x00" * 8)
    with pytest.raises(UserError, match=r"v\.dcm is compressed as MPEG-4 .*: give an uncompressed copy"):
        read_frames(path)
