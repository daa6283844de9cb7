"""Forecasts of training time."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from functools import partial
from statistics import mean

import pytest
import torch

from tests.cards import META, MetaCards
from tests.configurations import run_config
from tests.evaluators.conftest import disc_images, disc_split, tiny
from ussearch.accelerators import Device, supplied
from ussearch.datasets import ImageSet, Split
from ussearch.evaluators import Recipe, train
from ussearch.search_spaces import Architecture, FreeSpace, Network, build, load_preset
from ussearch.studies import TrainingSpeed, estimate_training_seconds, estimates, measure_speed, planner
from ussearch.studies.budget import SHARES
from ussearch.studies.estimates import fitted_prices, launches, measure_card, training_work


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
        architecture = FreeSpace.standard(64).sample(seed)
        start = time.process_time()
        train(build(architecture), images, split, Recipe(epochs=3))
        seconds = time.process_time() - start
        forecast = estimate_training_seconds(
            architecture, image_size=64, images=len(split.train), epochs=3, speed=speed
        )
        assert 1 / 3 < forecast / seconds < 3


class TimedCard(MetaCards):
    """Does what it is given only when it is waited for, and tells how long all of that took; slow at first."""

    def __init__(self, per_launch: float, per_unit: float) -> None:
        super().__init__()
        self.per_launch, self.per_unit = per_launch, per_unit
        self.seconds, self.pending = 0.0, 0.0

    def synchronize(self, device: Device) -> None:
        self.seconds, self.pending = self.seconds + self.pending, 0.0

    def clock(self) -> float:
        return self.seconds

    def step_seconds(self, architecture: Architecture, size: int, batch: int) -> float:
        return max(self.per_launch * launches(architecture), self.per_unit * batch * training_work(architecture, size))

    def steps(
        self, network: Network, images: ImageSet, split: Split, recipe: Recipe, device: torch.device
    ) -> Iterator[None]:
        for number in itertools.count():
            slow = 50 if number < 3 else 1
            self.pending += slow * self.step_seconds(network.architecture, images.image_size, recipe.batch_size)
            yield


CARDS = {
    "all launches": (1e-5, 0.0),
    "all work": (0.0, 2e-6),
    "small networks launch, large ones work": (1e-5, 1e-7),
}


@pytest.mark.parametrize("kind", CARDS)
def test_a_card_is_planned_by_what_its_steps_took(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    images, card = disc_images(count=12, size=128), TimedCard(*CARDS[kind])
    monkeypatch.setattr(estimates, "training_steps", card.steps)
    with supplied(card):
        speed = measure_card(images, disc_split(images), Recipe(batch_size=4), META, card.clock)
    for name in (*estimates.YARDSTICKS, "unext", "lv-unet", "bmis"):
        architecture = load_preset(name).architecture.for_task()
        predicted = 4 * speed.image_seconds(architecture, 128)
        assert predicted == pytest.approx(card.step_seconds(architecture, 128, 4), rel=0.01), name


def test_prices_are_those_of_the_steps_that_they_explain_best() -> None:
    """Noise of a tenth on what four networks took moves the prices by no more."""
    counts, work = [100.0, 1200.0, 300.0, 125.0], [1.0, 2.0, 30.0, 400.0]
    exact = [max(1e-5 * count, 1e-4 * units) for count, units in zip(counts, work, strict=True)]
    assert fitted_prices(exact, counts, work) == pytest.approx((1e-5, 1e-4))
    noisy = [second * factor for second, factor in zip(exact, (1.1, 0.9, 1.0, 1.05), strict=True)]
    per_launch, per_unit = fitted_prices(noisy, counts, work)
    assert 0.89e-5 < per_launch < 1.11e-5 and 0.89e-4 < per_unit < 1.11e-4


def test_whole_steps_are_timed_and_each_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "YARDSTICKS", ("unext",))
    monkeypatch.setattr(estimates, "STEPS", 2)
    images, cards = disc_images(count=12, size=32), MetaCards()
    recipe = Recipe(batch_size=4, augmentation=None)
    with supplied(cards):
        speed = measure_card(images, disc_split(images), recipe, META, itertools.count().__next__)
    assert cards.asked["synchronize"] == cards.asked["autocast"] == 4
    unext = load_preset("unext").architecture.for_task()
    assert 4 * speed.image_seconds(unext, 32) == pytest.approx(1), "the clock ticks once a step"


def test_a_budget_on_a_card_buys_what_its_steps_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Launches decide on this one: U-Net, with the most work of all, takes less than the small network of many."""
    card = TimedCard(1e-5, 1e-9)
    monkeypatch.setattr(estimates, "training_steps", card.steps)
    monkeypatch.setattr(planner, "measure_card", partial(measure_card, clock=card.clock))
    monkeypatch.setattr(planner, "measure_speed", None)
    sizes = {"image_size": 64, "phantoms": 40, "epochs": 3, "warm_start": ["unet", "bmis"]}
    asked = run_config(profile="x86-server", budget=3, workers=3, pretrained="off", **sizes)
    with supplied(card):
        made = planner.plan(asked)
    unet, small = (load_preset(name).architecture.for_task() for name in ("unet", "bmis"))
    steps = 3 * len(made.study_context.split.train) / made.config.recipe.batch_size
    assert made.trial_seconds(unet) == pytest.approx(1.1 * steps * 1e-5 * launches(unet))
    assert made.trial_seconds(unet) < made.trial_seconds(small)
    bases = [made.trial_seconds(unet), made.trial_seconds(small)]
    child = mean(bases) / 3  # one epoch of three
    assert made.expected_trials == 2 + int((SHARES["search"] * 3 - sum(bases)) / child), (
        "further workers on the one card are not counted on"
    )
