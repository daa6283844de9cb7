"""DICOM and raster frames for inference, against the pixels that were written and pydicom's own files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from ussearch.datasets import frames as module
from ussearch.datasets import open_dataset, prepare, read_frames, read_image
from ussearch.errors import UserError

LUMA = np.array([0.299, 0.587, 0.114])


def dicom(path: Path, pixels: np.ndarray, interpretation: str = "MONOCHROME2", **attributes: object) -> Path:
    """Write frames [F, H, W] or [F, H, W, 3] of 8 or 16 bits."""
    dataset = pydicom.Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1"
    dataset.SOPInstanceUID = generate_uid()
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = pixels.shape[:3]
    dataset.SamplesPerPixel = 3 if pixels.ndim == 4 else 1
    if pixels.ndim == 4:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = interpretation
    dataset.BitsAllocated = dataset.BitsStored = pixels.dtype.itemsize * 8
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = 0
    dataset.PixelData = pixels.tobytes()
    for name, value in attributes.items():
        setattr(dataset, name, value)
    dataset.save_as(path, enforce_file_format=True)
    return path


def region(box: tuple[int, int, int, int], data_type: int = 1, spatial_format: int = 1) -> pydicom.Dataset:
    item = pydicom.Dataset()
    item.RegionSpatialFormat, item.RegionDataType = spatial_format, data_type
    item.RegionLocationMinX0, item.RegionLocationMinY0, item.RegionLocationMaxX1, item.RegionLocationMaxY1 = box
    return item


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def test_frames_of_a_cine_in_order(tmp_path: Path) -> None:
    pixels = noise(4, 10, 12)
    frames = read_frames(dicom(tmp_path / "cine.dcm", pixels))
    assert [frame.frame for frame in frames] == [0, 1, 2, 3]
    assert all(np.array_equal(frame.pixels, expected) for frame, expected in zip(frames, pixels, strict=True))
    assert frames[0].box == (0, 0, 12, 10) and frames[0].full_size == (10, 12)


def test_monochrome1_is_inverted(tmp_path: Path) -> None:
    pixels = noise(1, 8, 8)
    assert np.array_equal(read_image(dicom(tmp_path / "m.dcm", pixels, "MONOCHROME1")), 255 - pixels[0])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_rgb_becomes_luma_at_any_depth(tmp_path: Path, dtype: type) -> None:
    pixels = noise(1, 8, 8, 3, dtype=dtype)
    expected = pixels[0] @ LUMA * (255 / np.iinfo(dtype).max)
    assert np.abs(read_image(dicom(tmp_path / "c.dcm", pixels, "RGB")) - expected).max() <= 0.5 + 1e-9


def test_ybr_keeps_its_luma(tmp_path: Path) -> None:
    pixels = np.stack([noise(1, 8, 8), *[np.full((1, 8, 8), 128, np.uint8)] * 2], axis=-1)
    assert np.abs(read_image(dicom(tmp_path / "y.dcm", pixels, "YBR_FULL")).astype(int) - pixels[0, ..., 0]).max() <= 1


def test_deep_grey_is_spread_over_all_levels_and_windows_are_obeyed(tmp_path: Path) -> None:
    pixels = np.linspace(300, 2000, 64, dtype=np.uint16).reshape(1, 8, 8)
    image = read_image(dicom(tmp_path / "d.dcm", pixels))
    assert image.min() == 0 and image.max() == 255 and (np.diff(image.ravel().astype(int)) >= 0).all()
    windowed = read_image(dicom(tmp_path / "w.dcm", pixels, WindowCenter=1000, WindowWidth=100))
    assert (windowed[pixels[0] < 940] == 0).all() and (windowed[pixels[0] > 1060] == 255).all()


def test_largest_tissue_region_is_cut_out(tmp_path: Path) -> None:
    pixels = noise(2, 30, 40)
    regions = [region((0, 0, 39, 29), data_type=2), region((2, 3, 5, 6)), region((10, 4, 33, 60))]
    frames = read_frames(dicom(tmp_path / "r.dcm", pixels, SequenceOfUltrasoundRegions=regions))
    assert frames[1].box == (10, 4, 34, 30) and frames[1].full_size == (30, 40)
    assert np.array_equal(frames[1].pixels, pixels[1, 4:30, 10:34])


def test_degenerate_regions_leave_the_whole_frame(tmp_path: Path) -> None:
    regions = [region((20, 5, 10, 8)), region((100, 100, 120, 120)), pydicom.Dataset()]
    frames = read_frames(dicom(tmp_path / "r.dcm", noise(1, 30, 40), SequenceOfUltrasoundRegions=regions))
    assert frames[0].box == (0, 0, 40, 30)


@pytest.mark.parametrize(
    ("name", "count", "shape"),
    [
        ("examples_palette.dcm", 1, (290, 680)),
        ("examples_ybr_color.dcm", 30, (209, 236)),
        ("examples_rgb_color.dcm", 1, (240, 320)),
        ("examples_jpeg2k.dcm", 1, (480, 640)),
    ],
)
def test_real_ultrasound_files(name: str, count: int, shape: tuple[int, int]) -> None:
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"this pydicom comes without {name}")
    frames = read_frames(str(path))
    assert len(frames) == count
    assert all(frame.pixels.shape == shape and frame.pixels.dtype == np.uint8 for frame in frames)
    assert all(frame.pixels.std() > 10 for frame in frames)


def test_every_file_of_pydicom_gives_frames_or_one_sentence() -> None:
    given = 0
    for path in sorted((Path(pydicom.__file__).parent / "data" / "test_files").glob("*.dcm")):
        try:
            given += len(read_frames(path))
        except UserError as error:
            assert path.name in str(error) and "\n" not in str(error)
    assert given > 40


def test_suffix_is_not_needed(tmp_path: Path) -> None:
    path = dicom(tmp_path / "IM0001", noise(1, 8, 8))
    assert len(read_frames(path)) == 1


def test_raster_files_are_one_frame(tmp_path: Path) -> None:
    pixels = noise(9, 7)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    (frame,) = read_frames(tmp_path / "a.png")
    assert np.array_equal(frame.pixels, pixels) and frame.box == (0, 0, 7, 9)


def test_what_cannot_be_read_is_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.dcm").write_text("no")
    with pytest.raises(UserError, match=r"text\.dcm is not a DICOM file"):
        read_frames(tmp_path / "text.dcm")
    with pytest.raises(UserError, match=r"absent\.dcm does not exist"):
        read_frames(tmp_path / "absent.dcm")
    path = dicom(tmp_path / "cut.dcm", noise(2, 30, 30))
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(UserError, match=r"cut\.dcm cannot be decoded"):
        read_frames(path)
    monkeypatch.setattr(module, "PIXELS_LIMIT", 100)
    with pytest.raises(UserError, match=r"long\.dcm holds 3 frames of 10 x 10, more than fit"):
        read_frames(dicom(tmp_path / "long.dcm", noise(3, 10, 10)))


@pytest.mark.parametrize("name", ["examples_rgb_color.dcm", "SC_rgb_rle_2frame.dcm", "MR_small.dcm"])
def test_damaged_bytes_give_frames_or_one_sentence(tmp_path: Path, name: str) -> None:
    source = get_testdata_file(name, download=False)
    if source is None:
        pytest.skip(f"this pydicom comes without {name}")
    random = np.random.default_rng(1)
    for _ in range(60):
        content = bytearray(Path(str(source)).read_bytes())
        for place in random.integers(0, min(len(content), 2000), random.integers(1, 12)):
            content[place] = random.integers(0, 256)
        (tmp_path / "damaged.dcm").write_bytes(content)
        try:
            assert read_frames(tmp_path / "damaged.dcm")
        except UserError as error:
            assert "damaged.dcm" in str(error)


def test_single_dicom_images_can_be_trained_on(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    pixels = noise(1, 32, 32)
    dicom(tmp_path / "images/a.dcm", pixels)
    lesion = np.zeros((32, 32), np.uint8)
    lesion[9:20, 8:24] = 255
    Image.fromarray(lesion).save(tmp_path / "masks/a.png")
    assert np.array_equal(prepare(open_dataset(tmp_path), 32).images[0, 0], pixels[0])
