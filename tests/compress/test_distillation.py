"""Each part of the loss against its formula, and the whole in a training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.distributions import Bernoulli, Categorical, kl_divergence

from tests.compress.conftest import RECIPE, Trained, trained_pair, unet
from tests.margins import below, reaches
from ussearch.compress.distillation import (
    Distillation,
    DistillationSettings,
    boundary_band,
    channel_wise_loss,
    matched_levels,
    soft_target_loss,
)
from ussearch.datasets import Normalisation
from ussearch.evaluators import train
from ussearch.evaluators.training.losses import make_loss
from ussearch.search_spaces import build

pytestmark = pytest.mark.training

GENERATOR = torch.Generator().manual_seed(0)


def logits(*shape: int) -> torch.Tensor:
    return 3 * torch.randn(*shape, generator=GENERATOR)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_soft_targets_are_the_divergence_of_bernoulli_distributions(temperature: float) -> None:
    own, other = logits(2, 1, 6, 5), logits(2, 1, 6, 5)
    expected = kl_divergence(Bernoulli(logits=other / temperature), Bernoulli(logits=own / temperature)).mean()
    torch.testing.assert_close(soft_target_loss(own, [other], temperature), expected * temperature**2)
    assert float(soft_target_loss(own, [own], temperature)) == pytest.approx(0.0, abs=1e-6)


def test_several_teachers_speak_with_the_mean_of_their_probabilities() -> None:
    own, first, second = (logits(1, 1, 4, 4) for _ in range(3))
    mean = torch.logit((torch.sigmoid(first / 2) + torch.sigmoid(second / 2)) / 2)
    expected = kl_divergence(Bernoulli(logits=mean), Bernoulli(logits=own / 2)).mean() * 4
    torch.testing.assert_close(soft_target_loss(own, [first, second], 2.0), expected)


def test_channel_wise_loss_is_the_divergence_over_positions() -> None:
    own, other, temperature = logits(2, 3, 4, 5), logits(2, 3, 4, 5), 4.0
    first, second = (Categorical(logits=each.flatten(2) / temperature) for each in (other, own))
    expected = kl_divergence(first, second).mean() * temperature**2
    torch.testing.assert_close(channel_wise_loss(own, other, temperature), expected)


@pytest.mark.parametrize("pixels", [3, 5, 7])
def test_the_band_is_dilation_without_erosion(pixels: int) -> None:
    random = np.random.default_rng(pixels)
    mask = ndimage.binary_dilation(random.random((24, 24)) > 0.98, iterations=3)
    square = np.ones((pixels, pixels), bool)
    expected = ndimage.binary_dilation(mask, square) & ~ndimage.binary_erosion(mask, square, border_value=1)
    found = boundary_band(torch.from_numpy(mask).float()[None, None], pixels)
    assert np.array_equal(found[0, 0].numpy() > 0.5, expected)


def test_without_weights_only_the_masks_count(trained: Trained) -> None:
    nothing = DistillationSettings(alpha=0, beta=0, gamma=0)
    student = build(unet(8))
    training_loss = Distillation(student, [trained.teacher], RECIPE, 32, nothing)
    images, masks = torch.randn(2, 1, 32, 32), torch.zeros(2, 1, 32, 32)
    student.eval()
    expected = make_loss(RECIPE)(student.forward_all(images), masks)
    torch.testing.assert_close(training_loss(student, images, masks, 0), expected)


def test_levels_of_equal_resolution_are_matched(trained: Trained) -> None:
    assert matched_levels(build(unet(8)), trained.teacher, 32) == [(0, 0)]
    training_loss = Distillation(build(unet(8)), [trained.teacher], RECIPE, 32)
    assert [tuple(adapter.weight.shape[:2]) for adapter in training_loss.adapters] == [(24, 8)]


def test_teachers_are_neither_trained_nor_kept(trained: Trained) -> None:
    student = build(unet(8))
    training_loss = Distillation(student, [trained.teacher], RECIPE, 32)
    before = {name: value.clone() for name, value in trained.teacher.state_dict().items()}
    train(student, trained.images, trained.split, RECIPE.model_copy(update={"epochs": 1}), training_loss=training_loss)
    assert all(torch.equal(before[name], value) for name, value in trained.teacher.state_dict().items())
    assert set(training_loss.state_dict()) == {"adapters.0.weight", "adapters.0.bias"}


def test_the_adapters_learn_beside_the_student(trained: Trained) -> None:
    student = build(unet(8))
    training_loss = Distillation(student, [trained.teacher], RECIPE, 32)
    before = training_loss.adapters[0].weight.detach().clone()
    train(student, trained.images, trained.split, RECIPE.model_copy(update={"epochs": 1}), training_loss=training_loss)
    assert not torch.equal(before, training_loss.adapters[0].weight)
    assert not any(name.startswith("adapters") for name in student.state_dict())


@reaches(distance_ratio=below(1))
def nearness(seed: int, folder: Path) -> dict[str, float]:
    """How far a taught student is from its teacher, as a share of how far one is that saw the masks only."""
    trained = trained_pair(seed)
    normalisation = Normalisation.fit(trained.images.images, trained.split.train)
    recipe = RECIPE.model_copy(update={"epochs": 25, "learning_rate": 1e-2})
    blind = replace(trained.split, validation=())  # the masks choose no epoch
    unseen = [*trained.split.validation, *trained.split.test]
    pixels = normalisation.apply(torch.from_numpy(np.array(trained.images.images[unseen])).float())

    def distance(taught: bool) -> float:
        torch.manual_seed(seed)
        student = build(unet(8))
        settings = DistillationSettings(alpha=20.0, beta=0, gamma=0)
        training_loss = Distillation(student, [trained.teacher], recipe, 32, settings) if taught else None
        train(student, trained.images, blind, recipe, seed=seed, training_loss=training_loss)
        with torch.no_grad():
            return float((torch.sigmoid(student(pixels)) - torch.sigmoid(trained.teacher(pixels))).abs().mean())

    return {"distance_ratio": distance(taught=True) / distance(taught=False)}


def test_a_student_comes_nearer_to_its_teacher(tmp_path: Path) -> None:
    nearness.check(0, tmp_path)


def test_unlabelled_images_join_every_batch(trained: Trained) -> None:
    student = build(unet(8)).eval()
    extra = np.asarray(trained.images.images[:30])
    normalisation = Normalisation.fit(trained.images.images, trained.split.train)
    images, masks = torch.randn(2, 1, 32, 32), torch.ones(2, 1, 32, 32)
    with_them = Distillation(
        student, [trained.teacher], RECIPE, 32, unlabelled=extra, normalisation=normalisation, seed=1
    )
    without = Distillation(student, [trained.teacher], RECIPE, 32)
    without.load_state_dict(with_them.state_dict())
    first, second = (float(with_them(student, images, masks, step).detach()) for step in (0, 1))
    assert first != float(without(student, images, masks, 0).detach()) and first != second
    assert first == float(with_them(student, images, masks, 0).detach())
    with pytest.raises(ValueError, match="normalisation"):
        Distillation(student, [trained.teacher], RECIPE, 32, unlabelled=extra)


def test_interrupted_distillation_ends_with_the_same_weights(trained: Trained, tmp_path: Path) -> None:
    def run(checkpoint: Path | None, until: int | None) -> dict[str, torch.Tensor]:
        torch.manual_seed(7)
        student = build(unet(8))
        training_loss = Distillation(student, [trained.teacher], RECIPE, 32)
        recipe = RECIPE.model_copy(update={"epochs": 3})
        train(
            student,
            trained.images,
            trained.split,
            recipe,
            training_loss=training_loss,
            checkpoint=checkpoint,
            until_epoch=until,
        )
        return student.state_dict()

    whole = run(None, None)
    run(tmp_path / "c", 1)
    continued = run(tmp_path / "c", None)
    assert all(torch.equal(whole[name], continued[name]) for name in whole)
