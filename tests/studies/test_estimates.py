"""Forecasts of training time."""

from __future__ import annotations

import time

import pytest

from tests.evaluators.conftest import disc_images, disc_split, tiny
from ussearch.evaluators import Recipe, train
from ussearch.search_spaces import SearchSpace, build, load_preset
from ussearch.studies import TrainingSpeed, estimate_training_seconds, measure_speed
from ussearch.studies.estimates import training_work


def test_estimates_scale_with_images_and_epochs() -> None:
    speed = TrainingSpeed(seconds_per_unit=1e-3, batch_size=8, device="cpu")
    common = {"image_size": 32, "speed": speed}
    once = estimate_training_seconds(tiny(), images=10, epochs=1, **common)  # type: ignore[arg-type]
    assert estimate_training_seconds(tiny(), images=20, epochs=3, **common) == pytest.approx(6 * once)  # type: ignore[arg-type]


def test_larger_networks_and_images_are_more_work() -> None:
    small, large = (load_preset(name).architecture.for_task() for name in ("lv-unet", "unet"))
    assert training_work(large, 128) > 5 * training_work(small, 128)
    assert training_work(small, 256) > 3 * training_work(small, 128)


@pytest.mark.slow
def test_a_forecast_is_good_to_a_factor_of_three() -> None:
    """In seconds of the processor, of which as many pass on a busy machine."""
    images = disc_images(count=48, size=64)
    split = disc_split(images)
    speed = measure_speed(64, clock=time.process_time)
    for seed in range(3):
        architecture = SearchSpace.standard(64).sample(seed)
        start = time.process_time()
        train(build(architecture), images, split, Recipe(epochs=3))
        seconds = time.process_time() - start
        forecast = estimate_training_seconds(
            architecture, image_size=64, images=len(split.train), epochs=3, speed=speed
        )
        assert 1 / 3 < forecast / seconds < 3
