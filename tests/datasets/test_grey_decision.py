"""One grey scale for a data set, through files: whatever the depth, one scene has one brightness everywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ussearch.datasets import Dataset, ReadingOptions, fitted, open_dataset, settled
from ussearch.errors import UserError

from .conftest import disc
from .test_frames import dicom

HEIGHT, WIDTH = 40, 48


def scene(seed: int, greatest: float) -> npt.NDArray[np.float64]:
    """Speckle; scenes of higher numbers are darker, the first reaches ``greatest``."""
    random = np.random.default_rng(seed)
    values = random.random((HEIGHT, WIDTH)) * greatest / (1 + seed)
    values[random.random((HEIGHT, WIDTH)) < 0.05] = greatest / (1 + seed)
    return values


def written(root: Path, images: list[npt.NDArray[np.generic]], suffix: str) -> Path:
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for number, values in enumerate(images):
        Image.fromarray(values).save(root / "images" / f"{number}.{suffix}")
        Image.fromarray(disc(HEIGHT, WIDTH)).save(root / "masks" / f"{number}.png")
    return root


def images_of(dataset: Dataset) -> list[npt.NDArray[np.uint8]]:
    return [dataset.source.decode(sample)[0] for sample in dataset.samples]


@settings(max_examples=25, deadline=None)
@given(bits=st.sampled_from([10, 12, 14, 16]), suffix=st.sampled_from(["png", "tif"]), marker=st.booleans())
def test_deep_files_have_one_scale(
    tmp_path_factory: pytest.TempPathFactory, bits: int, suffix: str, marker: bool
) -> None:
    """The darkest image is as dark as it is beside the others, and a single marker at 65535 changes nothing."""
    full = 2**bits - 1
    images = [np.floor(scene(seed, full)).astype(np.uint16) for seed in range(4)]
    expected = [np.floor(image * (255 / full) + 0.5) for image in images]
    if marker:
        images[2][0, 0], expected[2][0, 0] = 65535, 255
    dataset = settled(open_dataset(written(tmp_path_factory.mktemp("set") / "data", images, suffix)))
    assert dataset.reading is not None and dataset.reading.grey_scale.high == full
    assert all(np.array_equal(one, other) for one, other in zip(images_of(dataset), expected, strict=True))
    counts = [dataset.source.clipped(sample) for sample in dataset.samples]
    assert counts == [0, 0, int(marker and bits < 16), 0]


@settings(max_examples=25, deadline=None)
@given(low=st.floats(-1000, 1000), span=st.floats(0.01, 1e6))
def test_floats_are_scaled_by_the_training_part(
    tmp_path_factory: pytest.TempPathFactory, low: float, span: float
) -> None:
    images = [(low + scene(seed, span)).astype(np.float32) for seed in range(4)]
    images[3] = (low + scene(0, 2 * span)).astype(np.float32)  # no part of the training
    dataset = settled(open_dataset(written(tmp_path_factory.mktemp("set") / "data", images, "tif")))
    train = {sample.id for sample in dataset.samples[:3]}
    reading = fitted(dataset, train).reading
    assert reading is not None and reading.grey_scale.basis == "percentiles"
    black, white = np.percentile(np.stack(images[:3]), [0.1, 99.9])
    assert reading.grey_scale.low == pytest.approx(black, abs=0.01 * span + 1e-4 * abs(low))
    assert reading.grey_scale.high == pytest.approx(white, abs=0.01 * span + 1e-4 * abs(low))


def test_a_float_twin_of_8_bits_has_its_levels_up_to_the_scale(tmp_path: Path) -> None:
    twin = [np.floor(scene(seed, 255)).astype(np.uint8) for seed in range(4)]
    for values in twin:
        values[:2] = 0
        values[2:4] = 255
    root = written(tmp_path / "data", [image.astype(np.float32) / 255 for image in twin], "tif")
    found = images_of(settled(open_dataset(root)))
    assert max(np.abs(one.astype(int) - other).max() for one, other in zip(found, twin, strict=True)) <= 1


def test_8_bits_pass_unchanged_beside_deeper_files(tmp_path: Path) -> None:
    shallow = np.floor(scene(0, 255)).astype(np.uint8)
    deep = [np.floor(scene(seed, 4095)).astype(np.uint16) for seed in range(3)]
    dataset = settled(open_dataset(written(tmp_path / "data", [*deep, shallow], "png")))
    assert np.array_equal(images_of(dataset)[3], shallow)
    assert np.array_equal(images_of(dataset)[0], np.floor(deep[0] * (255 / 4095) + 0.5))


def test_what_the_user_says_holds_for_8_bits_too(tmp_path: Path) -> None:
    images = [np.floor(scene(seed, 255)).astype(np.uint8) for seed in range(3)]
    root = written(tmp_path / "data", images, "png")
    found = images_of(settled(open_dataset(root), ReadingOptions(grey_scale="20,120")))
    expected = np.floor(np.clip((images[0].astype(float) - 20) * 2.55, 0, 255) + 0.5)
    assert np.array_equal(found[0], expected)


@pytest.mark.parametrize("asked", ["1", "a,b", "5,5", "9,1", "nan,3", "0,inf", "1,2,3"])
def test_scales_that_are_none(tmp_path: Path, asked: str) -> None:
    root = written(tmp_path / "data", [np.zeros((HEIGHT, WIDTH), np.uint8), disc(HEIGHT, WIDTH)], "png")
    with pytest.raises(UserError, match=f"--grey-scale {asked} is not possible"):
        settled(open_dataset(root), ReadingOptions(grey_scale=asked))


@pytest.mark.parametrize("shared", [True, False])
def test_a_window_counts_where_all_files_share_it(tmp_path: Path, shared: bool) -> None:
    """Center 1000, width 801 is 600 to 1400 (PS3.3 C.11.2.1.2); of 12 bits, 0 to 4095."""
    root = written(tmp_path / "data", [], "png")
    images = [np.floor(scene(seed, 3000)).astype(np.uint16) for seed in range(3)]
    for number, values in enumerate(images):
        window = {"WindowCenter": 1000.5, "WindowWidth": 801 if shared else 801 + number}
        dicom(root / "images" / f"{number}.dcm", values[None], BitsStored=12, HighBit=11, **window)
        Image.fromarray(disc(HEIGHT, WIDTH)).save(root / "masks" / f"{number}.png")
    dataset = settled(open_dataset(root))
    low, high = (600, 1400) if shared else (0, 4095)
    expected = np.floor(np.clip((images[1].astype(float) - low) * (255 / (high - low)), 0, 255) + 0.5)
    assert np.array_equal(images_of(dataset)[1], expected)


@pytest.mark.parametrize("mixed", ["floats beside integers", "8 bits in files of 16 bits beside 16 bits"])
def test_images_of_several_depths_are_refused_instead_of_black(tmp_path: Path, mixed: str) -> None:
    deep = [np.floor(scene(seed % 2, 65535)).astype(np.uint16) for seed in range(6)]
    for number in (1, 4):
        deep[number] = deep[number] // 257 if "8 bits" in mixed else (deep[number] / 65535).astype(np.float32)
    root = written(tmp_path / "data", deep, "tif")
    with pytest.raises(UserError, match=r"2 of 6 images lie wholly below a twelfth of the grey scale .*1\.tif"):
        settled(open_dataset(root))
    assert settled(open_dataset(root), ReadingOptions(grey_scale="0,65535")).reading is not None
