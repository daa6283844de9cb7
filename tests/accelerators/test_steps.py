"""Whole trainings on cards that are not there: tensors that meet from two devices, or come back by the way, raise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.cards import META, MetaCards
from tests.evaluators.conftest import disc_images, disc_split, tiny
from ussearch.accelerators import supplied
from ussearch.compress.distillation import Distillation
from ussearch.compress.quantisation import SCHEMES, prepare
from ussearch.compress.quantisation.settings import Scheme
from ussearch.datasets import Normalisation
from ussearch.datasets.augmentation import AugmentationSettings
from ussearch.evaluators import Recipe, TrainingResult, TrainingTask
from ussearch.evaluators.training import engine
from ussearch.evaluators.training.ema import EMA
from ussearch.evaluators.training.losses import Supervised
from ussearch.search_spaces import Architecture, FreeSpace, Network, build, load_preset, preset_names
from ussearch.search_spaces.blocks.conv import Conv

SIDE = 128
IMAGES = disc_images(count=12, size=SIDE)
SPLIT = disc_split(IMAGES)
# NOTE: speckle draws its noise where the images are, and the meta device has no random numbers.
RECIPE = Recipe(epochs=1, batch_size=8, augmentation=AugmentationSettings(speckle=0))


def all_slow_but(*quick: str) -> list[Any]:
    """Return the presets as parameters, most of them marked slow."""
    return [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in preset_names()]


def preset(name: str) -> Architecture:
    return load_preset(name).architecture.for_task()


def trained(task: TrainingTask, network: Network | None = None, cards: MetaCards | None = None) -> TrainingResult:
    """Train one epoch of one step on a card, and judge the average."""
    with supplied(cards or MetaCards()):
        return task.run(IMAGES, SPLIT, RECIPE, META, network=network or build(task.architecture, device=META))


def distilled(architecture: Architecture) -> TrainingResult:
    """Train a step of distillation, with unlabelled images."""
    teacher = build(preset("cea-net-standin"), device=META)
    unlabelled, normalisation = IMAGES.images[:4], Normalisation(100.0, 50.0)

    def objective(student: Network) -> Distillation:
        return Distillation(student, [teacher], RECIPE, SIDE, unlabelled=unlabelled, normalisation=normalisation)

    return trained(TrainingTask(architecture, 0, make_loss=objective))


def rounded(architecture: Architecture, scheme: Scheme) -> TrainingResult:
    """Train a step with the rounding of INT8."""
    network = build(architecture)
    network.set_schedule(1.0)
    with supplied(MetaCards()):
        prepared = prepare(network, scheme, torch.zeros(2, 1, SIDE, SIDE, device=META))
    return trained(TrainingTask(architecture, 0), prepared)


@pytest.mark.parametrize(
    "name", all_slow_but(*{*preset_names()} - {"laednet-l", "laednet-m", "efficientnet-lite2-unet"})
)
def test_presets_train_and_predict(name: str) -> None:
    cards = MetaCards()
    result = trained(TrainingTask(preset(name), 0), cards=cards)
    assert result.complete and len(result.history) == 1
    assert {parameter.device for parameter in result.network.parameters()} == {META}
    assert cards.asked["autocast"] == 1  # one step; validation is in float32
    assert cards.asked["to_host"] == 2  # the epoch's loss with the weights' extremes, and the masks of validation


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 14))])
def test_random_architectures_train_and_predict(seed: int) -> None:
    assert trained(TrainingTask(FreeSpace.standard(SIDE).sample(seed), 0)).complete


@pytest.mark.parametrize("name", all_slow_but("cmunext-s"))
def test_students_learn(name: str) -> None:
    assert distilled(preset(name)).complete


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", all_slow_but("unext"))
def test_rounding_is_trained_through(name: str, scheme: Scheme) -> None:
    assert rounded(preset(name), scheme).complete


def on_the_way_back(tensor: Tensor) -> None:
    """Bring a tensor to the CPU by the way."""
    tensor.detach().cpu()


def as_a_number(tensor: Tensor) -> None:
    """Wait for the card to hear one number."""
    tensor.detach().sum().item()


def spoil_block(monkeypatch: pytest.MonkeyPatch, fault: Callable[[Tensor], None]) -> None:
    sound = Conv.forward

    def forward(self: Conv, x: Tensor) -> Tensor:
        fault(x)
        return sound(self, x)

    monkeypatch.setattr(Conv, "forward", forward)


def spoil_objective(monkeypatch: pytest.MonkeyPatch, fault: Callable[[Tensor], None]) -> None:
    sound = Supervised.forward

    def forward(self: Supervised, network: Network, images: Tensor, masks: Tensor, step: int) -> Tensor:
        loss = sound(self, network, images, masks, step)
        fault(loss)
        return loss

    monkeypatch.setattr(Supervised, "forward", forward)


def spoil_loop(monkeypatch: pytest.MonkeyPatch, fault: Callable[[Tensor], None]) -> None:
    sound = engine._Training._step

    def step(self: engine._Training, images: Tensor, masks: Tensor) -> Tensor:
        loss = sound(self, images, masks)
        fault(loss)
        return loss

    monkeypatch.setattr(engine._Training, "_step", step)


def spoil_average(monkeypatch: pytest.MonkeyPatch, fault: Callable[[Tensor], None]) -> None:
    sound = EMA.update

    def update(self: EMA[Network], source: Network) -> None:
        fault(next(source.parameters()))
        sound(self, source)

    monkeypatch.setattr(EMA, "update", update)


@pytest.mark.parametrize("fault", [on_the_way_back, as_a_number])
@pytest.mark.parametrize("spoil", [spoil_block, spoil_objective, spoil_loop, spoil_average])
def test_a_way_back_that_is_not_the_one_is_caught(
    spoil: Callable[..., None], fault: Callable[[Tensor], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trained(TrainingTask(tiny(), 0)).complete
    spoil(monkeypatch, fault)
    with pytest.raises(RuntimeError, match=r"[Mm]eta tensor"):
        trained(TrainingTask(tiny(), 0))


def test_tensors_of_two_devices_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Normalisation, "apply", lambda self, values: values - torch.zeros(values.shape))
    with pytest.raises(RuntimeError, match="device"):
        trained(TrainingTask(tiny(), 0))
