"""The recipe as data, its schedules, its losses, and the average of weights."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ussearch.datasets import AugmentationSettings
from ussearch.errors import UserError
from ussearch.evaluators import Recipe
from ussearch.evaluators.training.ema import EMA
from ussearch.evaluators.training.losses import make_loss, output_weights
from ussearch.evaluators.training.recipe import identity_of, learning_rate_at, recipe_of_record, slope_at


def test_yaml_round_trip() -> None:
    recipe = Recipe(epochs=3, loss="bce_dice", augmentation=None, deep_supervision_weights=(0.5,))
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe
    assert Recipe.from_yaml("epochs: 4").epochs == 4


@pytest.mark.parametrize(("text", "word"), [("epochs: 0", "epochs"), ("lr: 1", "lr"), ("{", "YAML")])
def test_a_wrong_recipe_is_named(text: str, word: str) -> None:
    with pytest.raises(UserError, match=word):
        Recipe.from_yaml(text, "mine.yaml")


@given(st.integers(1, 400), st.floats(0, 0.5))
def test_learning_rate_rises_then_falls(steps: int, warmup: float) -> None:
    recipe = Recipe(warmup_fraction=warmup)
    rates = [learning_rate_at(step, steps, recipe) for step in range(steps)]
    peak = rates.index(max(rates))
    assert peak <= round(warmup * steps)
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert all(0 < rate <= recipe.learning_rate for rate in rates)


@given(st.integers(1, 400), st.floats(0, 1), st.sampled_from(["cosine", "linear"]))
def test_deep_training_ends_at_exactly_one_and_holds(steps: int, fraction: float, schedule: str) -> None:
    recipe = Recipe(schedule=schedule, schedule_fraction=fraction)  # type: ignore[arg-type]
    slopes = [slope_at(step, steps, recipe) for step in range(steps + 1)]
    assert slopes == sorted(slopes) and slopes[-1] == 1.0
    assert all(0 <= slope <= 1 for slope in slopes)
    held = [slope for step, slope in enumerate(slopes) if step >= fraction * steps]
    assert set(held) == {1.0}


def test_cosine_and_linear_are_vanillanets() -> None:
    assert slope_at(25, 100, Recipe(schedule="linear", schedule_fraction=0.5)) == 0.5
    assert slope_at(25, 100, Recipe(schedule="cosine", schedule_fraction=0.5)) == pytest.approx(0.5)
    assert slope_at(10, 100, Recipe(schedule="cosine", schedule_fraction=1.0)) == pytest.approx(0.0244717, rel=1e-4)


def test_auxiliary_weights() -> None:
    assert output_weights(1, (0.4, 0.2)) == [1.0]
    assert output_weights(4, (0.4, 0.2)) == [1.0, 0.4, 0.2, 0.2]
    assert output_weights(3, ()) == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("loss", ["dice_focal", "bce_dice"])
def test_losses_reward_the_truth_and_are_finite(loss: str) -> None:
    function = make_loss(Recipe(loss=loss))  # type: ignore[arg-type]
    masks = torch.zeros(2, 1, 8, 8)
    masks[0, 0, 2:6, 2:6] = 1
    right, wrong = 20 * (2 * masks - 1), -20 * (2 * masks - 1)
    assert float(function([right], masks)) < 0.01 < float(function([wrong], masks))
    mixed = 0.4 / 1.4 * float(function([wrong], masks))
    assert float(function([right, wrong], masks)) == pytest.approx(mixed, rel=1e-3)
    assert torch.isfinite(function([torch.full_like(masks, 60.0)], torch.zeros_like(masks)))


@pytest.mark.parametrize("over", ["image", "batch"])
def test_bce_dice_is_its_formula(over: str) -> None:
    logits, masks = torch.randn(2, 1, 4, 4), (torch.rand(2, 1, 4, 4) > 0.5).float()
    p = torch.sigmoid(logits)
    axes = (1, 2, 3) if over == "image" else (0, 1, 2, 3)
    dice = (1 - (2 * (p * masks).sum(axes) + 3) / (p.sum(axes) + masks.sum(axes) + 3)).mean()
    entropy = -(masks * p.log() + (1 - masks) * (1 - p).log()).mean()
    recipe = Recipe(loss="bce_dice", pixel_weight=2.0, dice_over=over, dice_smoothing=3.0)  # type: ignore[arg-type]
    assert float(make_loss(recipe)([logits], masks)) == pytest.approx(float(dice + 2 * entropy), rel=1e-4)


def test_empty_images_teach_to_predict_nothing() -> None:
    logits = torch.full((1, 1, 8, 8), -3.0, requires_grad=True)
    function = make_loss(Recipe(pixel_weight=0.0))
    function([logits], torch.zeros(1, 1, 8, 8)).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None and float(logits.grad.min()) > 1e-3


class Scheduled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(2)
        self.slope: torch.Tensor
        self.register_buffer("slope", torch.zeros(()))


def test_average_follows_quickly_and_copies_schedules() -> None:
    source = Scheduled()
    average = EMA(source, 0.99)
    start, value = 1.0, 5.0
    with torch.no_grad():
        source.norm.weight.fill_(value)
        source.norm.running_mean.fill_(value)  # type: ignore[union-attr]
        source.slope.fill_(0.25)
    for _ in range(20):
        average.update(source)
    expected = start
    for update in range(20):
        decay = min(0.99, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * value
    assert float(average.network.norm.weight[0]) == pytest.approx(expected, rel=1e-5)
    assert expected > 0.99 * value  # twenty steps suffice to forget the random start
    assert float(average.network.norm.running_mean[0]) > 0.95 * value  # type: ignore[index]
    assert float(average.network.slope) == 0.25
    assert int(average.network.norm.num_batches_tracked) == 0  # type: ignore[arg-type]


def test_what_tells_trainings_apart_leaves_out_later_settings_that_change_nothing() -> None:
    plain = Recipe(epochs=3, encoder_learning_rate_factor=0.3, augmentation=AugmentationSettings(elastic=0.0))
    identity = identity_of(plain)
    assert not {"encoder_learning_rate_factor"} & identity.keys()
    assert not {"elastic", "shadow", "cutout", "cutout_side"} & identity["augmentation"].keys()
    assert recipe_of_record(identity) == plain
    other = plain.model_copy(update={"encoder_learning_rate_factor": 0.1})
    assert identity_of(other)["encoder_learning_rate_factor"] == 0.1
    assert recipe_of_record(identity_of(other)) == other
    without = Recipe(augmentation=None)
    assert recipe_of_record(identity_of(without)) == without
