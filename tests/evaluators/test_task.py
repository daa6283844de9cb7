"""A training task: what it trains is what its seed, weights and recipe say, wherever it is carried out."""

from __future__ import annotations

import pickle

import pytest
import torch

from tests.evaluators.conftest import tiny
from ussearch.datasets import ImageSet, Split
from ussearch.evaluators import Recipe, TrainingTask, train
from ussearch.evaluators.training.losses import Supervised, TrainingLoss
from ussearch.search_spaces import Network, build
from ussearch.studies.executors.serialization import SerializedTask

pytestmark = pytest.mark.training

RECIPE = Recipe(epochs=2, batch_size=4)


def assert_equal_weights(one: Network, other: Network) -> None:
    weights = other.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in one.state_dict().items())


def test_it_trains_the_network_of_its_seed_and_leaves_the_random_numbers_of_others_alone(
    discs: ImageSet, discs_split: Split
) -> None:
    torch.manual_seed(8)
    expected = build(tiny())
    train(expected, discs, discs_split, RECIPE, seed=8)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    result = TrainingTask(tiny(), 8).run(discs, discs_split, RECIPE)
    assert torch.equal(torch.get_rng_state(), before)
    assert_equal_weights(result.network, expected)


def test_its_own_recipe_counts_and_given_weights_have_been_through_deep_training(
    discs: ImageSet, discs_split: Split
) -> None:
    start = build(tiny("fusible")).state_dict()
    task = TrainingTask(tiny("fusible"), 3, recipe=RECIPE.model_copy(update={"epochs": 3}))
    from_chance = task.run(discs, discs_split, RECIPE)
    assert len(from_chance.history) == 3 and from_chance.history[0].schedule < 1
    from_weights = TrainingTask(tiny("fusible"), 3, initial=start).run(discs, discs_split, RECIPE)
    assert [record.schedule for record in from_weights.history] == [1.0, 1.0]


def test_its_loss_is_made_after_the_network_by_the_same_random_numbers(discs: ImageSet, discs_split: Split) -> None:
    drawn: list[float] = []

    def make_loss(network: Network) -> TrainingLoss:
        drawn.append(float(torch.rand(())))
        return Supervised(RECIPE)

    result = TrainingTask(tiny(), 8, make_loss=make_loss).run(discs, discs_split, RECIPE)
    torch.manual_seed(8)
    build(tiny())
    assert drawn == [float(torch.rand(()))]
    assert_equal_weights(result.network, TrainingTask(tiny(), 8).run(discs, discs_split, RECIPE).network)


def test_a_task_travels_with_its_weights_and_not_with_a_loss_of_its_own() -> None:
    start = {
        name: value.transpose(0, -1) if value.ndim > 1 else value for name, value in build(tiny()).state_dict().items()
    }
    task = TrainingTask(tiny(), 8, 4, recipe=RECIPE, initial=start, until_epoch=1, limit_s=2.5, title="trial 4")
    arrived = pickle.loads(pickle.dumps(SerializedTask.of(task))).open()  # noqa: S301  (as between two processes)
    assert arrived == task and arrived.initial is not None and arrived.initial.keys() == start.keys()
    assert all(torch.equal(arrived.initial[name], value) for name, value in start.items())
    with pytest.raises(ValueError, match="'trial 4' has a loss of its own"):
        SerializedTask.of(TrainingTask(tiny(), 8, make_loss=lambda _: None, title="trial 4"))
