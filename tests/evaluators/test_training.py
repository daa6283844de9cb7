"""Training: it learns, repeats, fails with a reason and leaves a network that can be deployed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.evaluators.conftest import disc_images, disc_split, tiny
from tests.margins import above, below, reaches
from ussearch.datasets import ImageSet, Split
from ussearch.evaluators import EpochRecord, Recipe, TrainingFailed, TrainingResult, predict, score, train
from ussearch.evaluators.training.recipe import learning_rate_at
from ussearch.search_spaces import Network, build, deploy, load_preset, preset_names

pytestmark = pytest.mark.training

QUICK = Recipe(epochs=8, batch_size=4, augmentation=None)


def trained(
    images: ImageSet, split: Split, recipe: Recipe = QUICK, kind: str = "conv", seed: int = 0
) -> tuple[Network, TrainingResult]:
    torch.manual_seed(seed)
    network = build(tiny(kind))
    return network, train(network, images, split, recipe, seed=seed)


@reaches(lesion_dice=above(0.8), loss_ratio=below(1))
def learning(seed: int, folder: Path) -> dict[str, float]:
    images = disc_images()
    split = disc_split(images)
    network, result = trained(images, split, Recipe(epochs=25, batch_size=4, augmentation=None), seed=seed)
    chosen = list(split.validation)
    summary = score(predict(network, images.images[chosen], result.normalisation), images.masks[chosen]).summary
    best = max(result.history, key=lambda record: record.objective)
    assert result.best_epoch == best.epoch
    assert summary["objective"] == pytest.approx(best.objective)
    assert summary["lesion_dice"] is not None
    losses = [record.loss for record in result.history]
    return {"lesion_dice": summary["lesion_dice"], "loss_ratio": losses[-1] / losses[0]}


def test_it_learns_discs(tmp_path: Path) -> None:
    learning.check(0, tmp_path)


def test_the_last_weights_are_those_without_selection(discs: ImageSet, discs_split: Split) -> None:
    _, chosen = trained(discs, discs_split, Recipe(epochs=4, batch_size=4))
    blind, _ = trained(discs, replace(discs_split, validation=()), Recipe(epochs=4, batch_size=4))
    assert all(torch.equal(value, chosen.last_weights[name]) for name, value in blind.state_dict().items())


def test_same_seed_same_weights(discs: ImageSet, discs_split: Split) -> None:
    recipe = Recipe(epochs=2, batch_size=4)
    first, other = trained(discs, discs_split, recipe)[0], trained(discs, discs_split, recipe)[0]
    for name, value in first.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
    different = trained(discs, discs_split, recipe, seed=1)[0]
    assert any(not torch.equal(value, different.state_dict()[name]) for name, value in first.state_dict().items())


def test_it_starts_from_given_weights(discs: ImageSet, discs_split: Split) -> None:
    torch.manual_seed(3)
    start = {name: value.clone() for name, value in build(tiny()).state_dict().items()}
    networks = [build(tiny()) for _ in range(2)]
    for network in networks:
        train(network, discs, discs_split, QUICK.model_copy(update={"epochs": 1}), initial=start)
    expected = build(tiny())
    expected.load_state_dict(start)
    train(expected, discs, discs_split, QUICK.model_copy(update={"epochs": 1}))
    for network in networks:
        for name, value in expected.state_dict().items():
            assert torch.equal(network.state_dict()[name], value), name


@pytest.mark.parametrize("steps", [1, 3, 4, 6])
def test_a_course_in_steps_ends_exactly_there(
    discs: ImageSet, discs_split: Split, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def noted(step: int, total: int, recipe: Recipe) -> float:
        seen.append(step)
        assert total == steps
        return learning_rate_at(step, total, recipe)

    monkeypatch.setattr("ussearch.evaluators.training.engine.learning_rate_at", noted)
    recipe = Recipe(epochs=50, steps=steps, batch_size=4, schedule_fraction=1.0)
    batches_an_epoch = -(-len(discs_split.train) // 4)
    _, result = trained(discs, discs_split, recipe, kind="fusible")
    assert sorted(set(seen)) == list(range(steps))
    assert len(result.history) == -(-steps // batches_an_epoch)
    assert result.history[-1].schedule == 1.0 and result.best_epoch == len(result.history)


def test_steps_of_whole_epochs_train_as_those_epochs_do(discs: ImageSet, discs_split: Split) -> None:
    batches_an_epoch = -(-len(discs_split.train) // 4)
    by_epochs, _ = trained(discs, discs_split, Recipe(epochs=2, batch_size=4))
    by_steps, _ = trained(discs, discs_split, Recipe(epochs=9, steps=2 * batches_an_epoch, batch_size=4))
    for name, value in by_epochs.state_dict().items():
        assert torch.equal(value, by_steps.state_dict()[name]), name


def test_weights_come_back_contiguous(discs: ImageSet, discs_split: Split) -> None:
    network, _ = trained(discs, discs_split, Recipe(epochs=1))
    assert all(value.is_contiguous() for value in network.state_dict().values())


def test_the_callers_random_state_is_left_alone(discs: ImageSet, discs_split: Split) -> None:
    network = build(tiny())
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(network, discs, discs_split, Recipe(epochs=1))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("epochs", [1, 5])
def test_deep_training_ends_fusable(discs: ImageSet, discs_split: Split, epochs: int) -> None:
    network, result = trained(discs, discs_split, Recipe(epochs=epochs, batch_size=4), kind="fusible")
    schedules = [record.schedule for record in result.history]
    assert schedules == sorted(schedules) and schedules[-1] == 1.0
    assert result.history[result.best_epoch - 1].schedule == 1.0
    pixels = discs.images[:4]
    before = predict(network, pixels, result.normalisation)
    after = predict(deploy(network), pixels, result.normalisation)
    assert np.abs(before - after).max() < 1e-5


def test_epochs_before_the_schedule_has_ended_are_never_chosen(
    discs: ImageSet, discs_split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ussearch.evaluators.metrics.segmentation import Detection
    from ussearch.evaluators.training import engine

    falling = iter([0.9, 0.8, 0.7, 0.6])
    monkeypatch.setattr(engine, "detect", lambda *_: Detection(next(falling), None, None))
    recipe = Recipe(epochs=4, batch_size=4, schedule_fraction=0.7)
    _, result = trained(discs, discs_split, recipe, kind="fusible")
    assert [record.schedule == 1.0 for record in result.history] == [False, False, True, True]
    assert result.best_epoch == 3


def test_patience_stops_early(discs: ImageSet, discs_split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    from ussearch.evaluators.metrics.segmentation import Detection
    from ussearch.evaluators.training import engine

    monkeypatch.setattr(engine, "detect", lambda *_: Detection(0.5, None, None))
    _, result = trained(discs, discs_split, Recipe(epochs=9, batch_size=4, patience=2))
    assert [record.epoch for record in result.history] == [1, 2, 3] and result.best_epoch == 1


def test_epochs_are_reported_as_they_end(discs: ImageSet, discs_split: Split) -> None:
    seen: list[EpochRecord] = []
    result = train(build(tiny()), discs, discs_split, Recipe(epochs=2), on_epoch=seen.append)
    assert tuple(seen) == result.history


def test_deep_supervision_trains_every_output(discs: ImageSet, discs_split: Split) -> None:
    network = build(tiny(deep_supervision=(0,)))
    before = {name: value.clone() for name, value in network.auxiliary_heads.state_dict().items()}
    train(network, discs, discs_split, Recipe(epochs=1))
    assert before and all(
        not torch.equal(value, before[name]) for name, value in network.auxiliary_heads.state_dict().items()
    )


def test_without_validation_images_the_last_epoch_counts(discs: ImageSet, discs_split: Split) -> None:
    _, result = trained(discs, replace(discs_split, validation=()), Recipe(epochs=3))
    assert result.best_epoch == 3


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_trains(name: str) -> None:
    architecture = load_preset(name).architecture.for_task()
    network = build(architecture)
    images = disc_images(8, size=max(32, architecture.size_divisor))
    split = replace(disc_split(images), train=(0, 1), validation=())
    before = {key: value.clone() for key, value in network.state_dict().items()}
    train(network, images, split, Recipe(epochs=1, batch_size=2, augmentation=None), seed=0)
    parameters = dict(network.named_parameters())
    assert any(not torch.equal(parameters[key], before[key]) for key in parameters)


def test_nan_is_a_failure_with_its_reason(discs: ImageSet, discs_split: Split) -> None:
    network = build(tiny())
    with torch.no_grad():
        next(network.parameters()).fill_(float("nan"))
    with pytest.raises(TrainingFailed, match="loss became nan in epoch 1"):
        train(network, discs, discs_split, Recipe(epochs=2))


def test_divergence_is_a_failure_with_its_reason(
    discs: ImageSet, discs_split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ussearch.evaluators.training import losses

    factors = iter([1.0] * 4 + [100.0] * 100)
    real = losses.make_loss(QUICK)
    monkeypatch.setattr(losses, "make_loss", lambda _: lambda out, masks: next(factors) * real(out, masks))
    with pytest.raises(TrainingFailed, match="diverged"):
        trained(discs, discs_split)


def test_predict_keeps_mode_and_does_not_depend_on_the_batch(discs: ImageSet, discs_split: Split) -> None:
    network, result = trained(discs, discs_split, Recipe(epochs=1))
    network.train()
    one = predict(network, discs.images[:5], result.normalisation, batch_size=1)
    many = predict(network, discs.images[:5], result.normalisation, batch_size=5)
    assert network.training
    assert one.shape == (5, 1, 32, 32) and one.dtype == np.float32
    assert np.abs(one - many).max() < 1e-6


@pytest.mark.gpu
def test_cuda_learns_with_mixed_precision(discs: ImageSet, discs_split: Split) -> None:
    network = build(tiny())
    result = train(network, discs, discs_split, QUICK, device="cuda")
    assert result.history[-1].loss < result.history[0].loss
    assert next(network.parameters()).dtype == torch.float32
