"""Phantoms: speckle statistics against the theory of Rayleigh envelopes, truth of masks, determinism, speed."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import ndimage, stats

from ussearch.datasets import PhantomParameters, check, phantom_dataset, phantoms_from, prepare
from ussearch.datasets.phantoms import GENERATOR_VERSION, make_phantom
from ussearch.datasets.phantoms.generator import plan_phantom
from ussearch.datasets.phantoms.imaging import View, blurred, scatterers
from ussearch.datasets.phantoms.random_fields import Shape, coverage
from ussearch.datasets.phantoms.tissue import Tissue

PARAMETERS = PhantomParameters(count=40, seed=5, image_size=96)


@pytest.fixture(scope="module")
def echo() -> np.ndarray:
    size = 512
    return blurred(scatterers(np.random.default_rng(0), size), 0.9, np.full(size, 1.7))


def test_envelope_is_rayleigh_distributed(echo: np.ndarray) -> None:
    envelope = np.abs(echo)
    assert envelope.mean() / envelope.std() == pytest.approx(math.sqrt(math.pi / (4 - math.pi)), rel=0.02)
    assert math.sqrt(math.pi / (4 - math.pi)) == pytest.approx(1.913, abs=5e-4)
    assert (np.abs(echo) ** 2).mean() == pytest.approx(1.0, rel=0.03)
    apart = envelope[::16, ::16].ravel()  # beyond the reach of the point-spread function: independent
    assert stats.kstest(apart, stats.rayleigh(scale=math.sqrt(0.5)).cdf).pvalue > 0.01


def test_log_compressed_speckle_has_the_known_spread(echo: np.ndarray) -> None:
    # the standard deviation of 20 log10 of a Rayleigh variable is 10 / ln 10 * pi / sqrt(6) = 5.57 dB
    assert (20 * np.log10(np.abs(echo))).std() == pytest.approx(10 / math.log(10) * math.pi / math.sqrt(6), rel=0.03)


def test_speckle_is_band_limited_and_coarser_across_than_along_the_beam(echo: np.ndarray) -> None:
    spectrum = np.abs(np.fft.fft2(echo)) ** 2
    beyond = np.abs(np.fft.fftfreq(echo.shape[0])) > 0.376
    assert spectrum[beyond].max() < 1e-12 * spectrum.max() and spectrum[:, beyond].max() < 1e-12 * spectrum.max()

    def correlation(axis: int) -> float:
        return float(abs((echo * np.roll(echo, 1, axis).conj()).mean()))

    # autocorrelation at lag 1 of white noise through a Gaussian of deviation s: exp(-1 / (4 s^2))
    assert correlation(0) == pytest.approx(math.exp(-1 / (4 * 0.9**2)), abs=0.05)
    assert correlation(1) == pytest.approx(math.exp(-1 / (4 * 1.7**2)), abs=0.05)


def test_beams_widen_with_depth_without_changing_power() -> None:
    size = 400
    widths = np.repeat([1.0, 4.0], size // 2)
    echo = blurred(scatterers(np.random.default_rng(1), size), 0.8, widths)
    upper, lower = echo[: size // 2], echo[size // 2 :]
    for half, width in ((upper, 1.0), (lower, 4.0)):
        assert (np.abs(half) ** 2).mean() == pytest.approx(1.0, rel=0.06)
        lag = float(abs((half * np.roll(half, 2, 1).conj()).mean()))
        assert lag == pytest.approx(math.exp(-4 / (4 * width**2)), abs=0.06)


def test_deterministic_and_a_larger_set_begins_with_the_smaller() -> None:
    first, second = make_phantom(PARAMETERS, 3), make_phantom(PARAMETERS.model_copy(update={"count": 90}), 3)
    assert np.array_equal(first.image, second.image) and np.array_equal(first.mask, second.mask)
    assert not np.array_equal(first.image, make_phantom(PARAMETERS, 4).image)
    assert not np.array_equal(first.image, make_phantom(PARAMETERS.model_copy(update={"seed": 6}), 3).image)


@pytest.mark.parametrize("index", range(12))
def test_mask_marks_exactly_the_lesions(index: int) -> None:
    phantom = make_phantom(PARAMETERS, index)
    assert phantom.image.dtype == phantom.mask.dtype == np.uint8
    assert phantom.image.shape == phantom.mask.shape == (96, 96)
    regions, count = ndimage.label(phantom.mask)
    assert count == len(phantom.lesions)
    for lesion in phantom.lesions:
        row, column = int(lesion.shape.depth * 96), int(lesion.shape.lateral * 96)
        region = regions == regions[row, column]
        assert regions[row, column] > 0 and region.sum() >= 20
        filled = ndimage.binary_fill_holes(region)
        assert np.array_equal(filled, region)


def test_contrast_is_what_the_plan_says() -> None:
    """Averaged over many lesions, each kind is as much darker or brighter than its surroundings as drawn."""
    parameters = PhantomParameters(count=150, seed=2, image_size=96, sector_probability=0.0)
    contrast: dict[str, list[float]] = {}
    for index in range(parameters.count):
        _, lesions = plan_phantom(parameters, index)
        if len(lesions) == 1:
            phantom = make_phantom(parameters, index)
            inside = phantom.mask > 0
            ring = ndimage.binary_dilation(inside, iterations=6) & ~ndimage.binary_dilation(inside, iterations=2)
            difference = float(phantom.image[inside].mean()) - float(phantom.image[ring].mean())
            contrast.setdefault(lesions[0].contrast, []).append(difference)
    means = {kind: float(np.mean(values)) for kind, values in contrast.items()}
    assert means["hypoechoic"] < -30 < means["isoechoic"] < 0
    assert means["hyperechoic"] > 15


def test_share_of_empty_images_and_number_of_lesions() -> None:
    counts = [len(plan_phantom(PhantomParameters(), index)[1]) for index in range(1500)]
    shares = np.bincount(counts, minlength=4) / len(counts)
    assert shares == pytest.approx([0.15, 0.60, 0.18, 0.07], abs=0.035)
    labels = [sample.label for sample in phantom_dataset(200).samples]
    assert [label == "empty" for label in labels] == [count == 0 for count in counts[:200]]


def test_shadow_and_enhancement_follow_the_path() -> None:
    tissue = Tissue(np.zeros((100, 50)), np.zeros((100, 50)))
    share = np.zeros((100, 50))
    share[40:60, 10:20] = 1.0
    tissue.absorb(share, 8.0, 0.2)
    behind = np.cumsum(tissue.loss_db, axis=0)[-1]
    assert behind[15] == pytest.approx(8.0) and behind[40] == 0


def test_shapes_have_their_distance_and_soft_edges() -> None:
    circle = Shape(0.5, 0.5, 0.2, 0.2)
    across = np.array([0.5, 0.6, 0.7, 0.9])
    assert circle.inwards(across, np.full(4, 0.5)) == pytest.approx([0.2, 0.1, 0.0, -0.2])
    assert coverage(np.array([-1.0, 0.0, 0.01, 1.0]), 0.04) == pytest.approx([0.0, 0.5, 0.75, 1.0])


def test_sector_hides_corners_and_lesions_stay_inside() -> None:
    parameters = PhantomParameters(count=60, seed=1, image_size=64, sector_probability=1.0)
    for index in range(20):
        view, lesions = plan_phantom(parameters, index)
        seen = view.seen(64)
        assert seen[0, 0] == seen[0, -1] == 0 and seen[32, 32] == 1
        phantom = make_phantom(parameters, index)
        assert not phantom.image[seen == 0].any()
        assert ndimage.label(phantom.mask)[1] == len(lesions)
    assert View().seen(8).all()


def test_parameters_are_part_of_the_fingerprint() -> None:
    def fingerprint(**changes: object) -> str:
        return prepare(phantoms_from(PhantomParameters(count=2, image_size=32, **changes)), 32).fingerprint  # type: ignore[arg-type]

    assert fingerprint() == fingerprint()
    assert len({fingerprint(), fingerprint(seed=1), fingerprint(noise_db=(-40.0, -30.0))}) == 3
    assert PhantomParameters().version == GENERATOR_VERSION


@pytest.mark.parametrize("wrong", [{"count": 0}, {"image_size": 8}, {"version": 2}, {"colour": "red"}])
def test_wrong_parameters_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PhantomParameters.model_validate(wrong)


def test_three_hundred_phantoms_take_less_than_ten_seconds() -> None:
    start = time.process_time()
    for index in range(60):
        make_phantom(PhantomParameters(), index)
    assert (time.process_time() - start) * 5 < 10


def test_threshold_alone_does_not_find_the_lesions() -> None:
    images = prepare(phantom_dataset(80), 128)
    scores = []
    for image, mask in zip(images.images[:, 0], images.masks[:, 0].astype(bool), strict=True):
        if mask.any():
            dark = image <= otsu(image)
            scores.append(2 * (dark & mask).sum() / (dark.sum() + mask.sum()))
    assert 0.1 < np.mean(scores) < 0.35


def otsu(image: np.ndarray) -> int:
    """Return the level that separates two classes best, by trying all (Otsu 1979)."""
    spread = [
        image[image <= level].size * image[image > level].size * (low - high) ** 2
        for level in range(int(image.min()), int(image.max()))
        for low, high in [(image[image <= level].mean(), image[image > level].mean())]
    ]
    return int(image.min()) + int(np.argmax(spread))


def test_phantoms_are_no_near_duplicates() -> None:
    report = check(phantom_dataset(120))
    assert report.sound and report.near_duplicate_pairs == 0 and report.split_groups == 120
