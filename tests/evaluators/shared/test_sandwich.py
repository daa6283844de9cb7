"""Training of shared weights: fair turns, every tensor reached, and an interruption that changes nothing."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import torch

from tests.evaluators.conftest import disc_images, disc_split, small_space
from tests.margins import below, reaches
from ussearch.datasets import Normalisation
from ussearch.errors import UserError
from ussearch.evaluators import Recipe
from ussearch.evaluators.shared import WeightStore, drawing_of
from ussearch.evaluators.shared.drawn import drawn_network, recalibrate
from ussearch.evaluators.shared.extents import TensorExtent
from ussearch.evaluators.shared.optimiser import SliceAdamW
from ussearch.evaluators.shared.sandwich import SandwichTraining, SharedEpoch
from ussearch.search_spaces import FreeSpace

pytestmark = pytest.mark.training

SIZE = 32
IMAGES = disc_images(18, SIZE)
SPLIT = disc_split(IMAGES)
RECIPE = Recipe(epochs=2, batch_size=4)


SPACE = small_space(
    SIZE,
    family=("dwsep", "mbconv", "convnext", "asym", "fusible", "conv"),
    expansion=(1, 2),
    kernel=(3, 5),
    decoder=("light", "fusible"),
    attention=("none", "se"),
)


def training(
    store: WeightStore,
    checkpoint: Path | None = None,
    recipe: Recipe = RECIPE,
    space: FreeSpace = SPACE,
    seed: int = 3,
) -> SandwichTraining:
    return SandwichTraining(store, space, IMAGES, SPLIT, recipe, lambda _: True, seed=seed, checkpoint=checkpoint)


@cache
def trained_store(seed: int) -> WeightStore:
    store = WeightStore(seed=1)
    training(store, seed=seed).run()
    return store


@pytest.fixture(scope="module")
def trained() -> WeightStore:
    return trained_store(3)


def test_an_interrupted_training_gives_the_same_weights(trained: WeightStore, tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(epoch: SharedEpoch) -> None:
        raise Killed

    checkpoint = tmp_path / "checkpoint"
    with pytest.raises(Killed):
        training(WeightStore(seed=1), checkpoint).run(kill)
    told: list[int] = []
    store = WeightStore(seed=1)
    training(store, checkpoint).run(lambda epoch: told.append(epoch.epoch))
    assert told == [2]
    assert store.extents == trained.extents
    assert all(torch.equal(store.tensors[role], trained.tensors[role]) for role in trained.tensors)


def test_a_damaged_checkpoint_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_bytes(b"12345678 not what it should be")
    with pytest.raises(UserError, match=r"cannot be continued.*delete it"):
        training(WeightStore(), tmp_path / "checkpoint").run()


@reaches(still=below(0.2), still_outside_attention=below(1))
def motion(seed: int, folder: Path) -> dict[str, float]:
    """The share of tensors that never moved, and how many of them belong to no gate.

    A gate of two hidden features that are both silent for every image of its only step has a gradient of zero.
    """
    store = trained_store(seed)
    still = [role for role, extent in store.extents.items() if torch.equal(store.tensors[role], extent.fresh(role, 1))]
    return {
        "still": len(still) / len(store.extents),
        "still_outside_attention": sum(".attention." not in role for role in still),
    }


def test_tensors_have_moved_and_are_finite(trained: WeightStore, tmp_path: Path) -> None:
    motion.check(3, tmp_path)
    assert all(bool(torch.isfinite(value).all()) for value in trained.tensors.values())


def test_families_take_turns_fairly() -> None:
    work = training(WeightStore())
    families = len(work.families)
    seen = Counter[str]()
    for step in range(3 * families):
        first, second, _ = work.architectures(step)
        kinds = {block.kind for stage in first.architecture.stages[1:] for block in stage.blocks}
        assert len(kinds) == 1
        assert kinds == {block.kind for stage in second.architecture.stages[1:] for block in stage.blocks}
        seen.update(kinds)
    assert set(seen.values()) == {3} and set(seen) == set(work.families)


@reaches(loss_ratio=below(0.8))
def learning(seed: int, folder: Path) -> dict[str, float]:
    losses: list[float] = []
    recipe, space = Recipe(epochs=12, batch_size=4, learning_rate=2e-2), small_space(SIZE)
    work = training(WeightStore(seed=1), recipe=recipe, space=space, seed=seed)
    work.run(lambda epoch: losses.append(sum(epoch.losses)))
    return {"loss_ratio": losses[-1] / losses[0]}


def test_it_learns(tmp_path: Path) -> None:
    learning.check(3, tmp_path)


def test_what_got_no_gradient_stays_as_it_was() -> None:
    store = WeightStore(seed=1)
    wide, narrow = (drawing_of(SPACE.compose(_choices(width))) for width in (16, 8))
    store.grow(wide)
    optimiser = SliceAdamW(store, RECIPE)
    images = torch.randn(2, 1, SIZE, SIZE)
    for drawing in (wide, narrow):
        before = {role: value.detach().clone() for role, value in store.tensors.items()}
        torch.stack([output.square().mean() for output in store.forward_all(drawing, images)]).sum().backward()
        gradients = {role: value.grad for role, value in store.tensors.items()}
        optimiser.step(1e-2)
        for role, value in store.tensors.items():
            gradient = gradients[role]
            outside = torch.ones_like(value, dtype=torch.bool) if gradient is None else gradient == 0
            assert torch.equal(value[outside], before[role][outside])
    moved = sum(int((store.tensors[role] != before[role]).sum()) for role in store.tensors)
    assert 0 < moved < sum(value.numel() for value in store.tensors.values())


def test_one_step_is_pytorchs_adamw_where_every_element_has_a_gradient() -> None:
    recipe = Recipe(weight_decay=0.02, second_moment_decay=0.99, gradient_norm=1e9)
    store = WeightStore()
    value = torch.randn(4, 3, 3, 3)
    store.extents["r"], store.tensors["r"] = TensorExtent(((4,), (3,)), (3, 3), None), value.clone().requires_grad_()
    reference = torch.nn.Parameter(value.clone())
    theirs = torch.optim.AdamW([reference], lr=3e-3, betas=(0.9, 0.99), weight_decay=0.02)
    mine = SliceAdamW(store, recipe)
    for step in range(5):
        gradient = torch.randn(value.shape, generator=torch.Generator().manual_seed(step))
        store.tensors["r"].grad, reference.grad = gradient.clone(), gradient.clone()
        mine.step(3e-3)
        theirs.step()
    torch.testing.assert_close(store.tensors["r"].detach(), reference.detach(), rtol=1e-4, atol=1e-6)


def test_batch_norms_are_set_to_training_images(trained: WeightStore) -> None:
    normalisation = Normalisation.fit(IMAGES.images, SPLIT.train)
    architecture = training(WeightStore()).architectures(0)[1].architecture
    network = drawn_network(trained, architecture, IMAGES, SPLIT, normalisation)
    assert not network.training
    norm = next(module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d))
    seen: list[torch.Tensor] = []
    conv = network.get_submodule("stages.0.blocks.0.body.conv")
    handle = conv.register_forward_hook(lambda *call: seen.append(call[2]))
    batch = torch.from_numpy(IMAGES.images[list(SPLIT.train)]).float()
    with torch.no_grad():
        network(normalisation.apply(batch))
    handle.remove()
    expected = seen[0].mean(dim=(0, 2, 3))
    assert norm.running_mean is not None and norm.momentum == 0.1
    torch.testing.assert_close(norm.running_mean, expected, rtol=1e-3, atol=1e-4)
    before = norm.running_mean.clone()
    recalibrate(network, IMAGES, SPLIT, normalisation)
    torch.testing.assert_close(norm.running_mean, before)


def _choices(width: int) -> dict[str, object]:
    base: dict[str, object] = {name: values[0] for name, values in SPACE.choices.items()}
    return base | {f"width_{index}": width for index in range(6)} | {"activation": "relu"}
