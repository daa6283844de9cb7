"""A training task: what it trains is what its seed, weights and recipe say, wherever it is carried out."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.evaluators.conftest import tiny
from ussearch.datasets import ImageSet, Split
from ussearch.evaluators import Recipe, TrainEvaluator, TrainingTask, train
from ussearch.evaluators.inheritance import Inheritance, Relative
from ussearch.evaluators.training.losses import Supervised, TrainingLoss
from ussearch.hardware_profiles import load_profile
from ussearch.search_spaces import Architecture, Network, build
from ussearch.search_spaces.edits import edited
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


def relative_of(kind: str = "conv") -> Relative:
    torch.manual_seed(5)
    return Relative(7, 20.0, tiny(kind), build(tiny(kind)).state_dict())


def widened(architecture: Architecture) -> Architecture:
    return edited(architecture, {"width_multiplier": 1.5}, 32)


def test_a_trial_goes_on_exactly_where_it_stands(discs: ImageSet, discs_split: Split) -> None:
    relative = relative_of()
    result = TrainingTask(tiny(), 3, relative=relative).run(discs, discs_split, RECIPE)
    assert result.inherited == Inheritance(relative=7, share=1.0, age_epochs=20.0)
    expected = TrainingTask(tiny(), 3, initial=relative.state).run(discs, discs_split, RECIPE)
    assert_equal_weights(result.network, expected.network)


def test_a_child_starts_from_what_it_has_of_its_relative_with_statistics_of_its_own(
    discs: ImageSet, discs_split: Split
) -> None:
    relative, child = relative_of("fusible"), widened(tiny("fusible"))
    network = build(child)
    inherited = relative.pass_on(network, discs, discs_split)
    assert 0 < inherited.share < 1 and inherited.age_epochs == pytest.approx(20 * inherited.share)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms and all(int(norm.num_batches_tracked or 0) > 0 for norm in norms)
    result = TrainingTask(child, 3, relative=relative).run(discs, discs_split, RECIPE)
    assert result.inherited == inherited and [each.schedule for each in result.history] == [1.0, 1.0]
    again = TrainingTask(child, 3, relative=relative).run(discs, discs_split, RECIPE)
    assert_equal_weights(result.network, again.network)


def test_what_was_trained_less_than_a_course_says_so(discs: ImageSet, discs_split: Split) -> None:
    profiles = {"edge": load_profile("jetson-nano"), "cloud": load_profile("x86-server")}
    evaluator = TrainEvaluator(discs, discs_split, Recipe(epochs=30, batch_size=4), profiles)  # type: ignore[arg-type]
    course = evaluator.recipe.inheriting(2)
    assert course.learning_rate == pytest.approx(0.3 * evaluator.recipe.learning_rate)
    old = evaluator.evaluate(TrainingTask(tiny(), 3, recipe=course, relative=replace(relative_of(), age_epochs=28)))
    assert (old.fidelity, old.age_epochs) == ("trained", 30)
    young = evaluator.evaluate(TrainingTask(tiny(), 3, recipe=course, relative=relative_of()))
    assert (young.fidelity, young.age_epochs) == ("trained 22 of 30 epochs", 22)


def test_a_task_travels_with_its_relative() -> None:
    task = TrainingTask(widened(tiny()), 8, 4, relative=relative_of())
    arrived = pickle.loads(pickle.dumps(SerializedTask.of(task))).open()  # noqa: S301  (as between two processes)
    assert arrived == task and arrived.relative is not None and task.relative is not None
    assert all(torch.equal(arrived.relative.state[name], value) for name, value in task.relative.state.items())
