"""Shared weights: what is drawn is exactly the network, every tensor is reached, slices are where they should be."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ussearch.errors import UserError
from ussearch.evaluators.shared import UnknownWeights, WeightStore, drawing_of
from ussearch.evaluators.shared.extremes import families_of, largest, smallest
from ussearch.search_spaces import Architecture, FreeSpace, Network, build, load_preset
from ussearch.search_spaces.families import DECODERS, FAMILIES

pytestmark = pytest.mark.training

SIZE = 64
SPACE = FreeSpace.standard(SIZE)


def store_for(*architectures: Architecture) -> WeightStore:
    store = WeightStore()
    for architecture in architectures:
        store.grow(drawing_of(architecture))
    return store


@cache
def reduced() -> FreeSpace:
    """All operators, small numbers: a store for it is made in seconds."""
    small: dict[str, tuple[object, ...]] = {
        "width": (8, 16),
        "kernel": (3, 5),
        "depth": (1, 2),
        "expansion": (1, 2),
        "stem_width": (8, 16),
        "stages": (3,),
        "activation": ("relu",),
    }
    choices = {
        name: small.get(name.rpartition("_")[0] if name[-1].isdigit() else name, values)
        for name, values in SPACE.choices.items()
    }
    return FreeSpace(choices=choices, image_size=SIZE)


def images(batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(3))


def plain(store: WeightStore, architecture: Architecture) -> Network:
    """The network built the usual way, with the drawn weights loaded: no use of the store's forward pass."""
    drawing = drawing_of(architecture)
    network = build(architecture)
    network.load_state_dict({**store.draw(drawing), **drawing.fresh_buffers(torch.device("cpu"))}, strict=True)
    return network


def of_family(family: str, decoder: str, seed: int) -> Architecture:
    space = reduced()
    generator = np.random.default_rng(seed)
    choices = {name: values[generator.integers(len(values))] for name, values in space.choices.items()}
    choices |= {name: family for name in choices if name.startswith("family")}
    return space.compose(choices | {"decoder": decoder})


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_drawn_view_is_exactly_the_network(family: str, decoder: str) -> None:
    first, second = (of_family(family, decoder, seed) for seed in range(2))
    store = store_for(first, second)
    for architecture in (first, second):
        network = plain(store, architecture).train()
        expected = network.forward_all(images())
        drawn = store.forward_all(drawing_of(architecture), images(), slope=1.0)
        assert len(drawn) == len(expected)
        for mine, theirs in zip(drawn, expected, strict=True):
            assert torch.equal(mine, theirs)


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6))
def test_any_architecture_of_the_whole_space_draws_exactly(seed: int) -> None:
    architecture = SPACE.sample(seed)
    store = store_for(architecture, SPACE.sample(seed + 1), SPACE.sample(seed + 2))
    network = plain(store, architecture).eval()
    with torch.no_grad():
        instance = store.instantiate(drawing_of(architecture)).eval()
        assert torch.equal(instance(images()), network(images()))


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6))
def test_gradients_of_a_slice_are_those_of_the_plain_network_and_nothing_else_moves(seed: int) -> None:
    architecture = reduced().sample(seed)
    store = store_for(architecture, *(reduced().sample(seed + more) for more in (1, 2)))
    drawing = drawing_of(architecture)
    network = plain(store, architecture).train()
    total(network.forward_all(images())).backward()  # type: ignore[no-untyped-call]
    total(store.forward_all(drawing, images())).backward()  # type: ignore[no-untyped-call]
    mine = sum(float(t.grad.double().square().sum()) for t in store.tensors.values() if t.grad is not None)
    theirs = sum(float(p.grad.double().square().sum()) for p in network.parameters() if p.grad is not None)
    assert mine == pytest.approx(theirs, rel=1e-4)
    roles = {share.role for share in drawing.shares.values()}
    assert all(store.tensors[role].grad is not None for role in roles)
    assert all(store.tensors[role].grad is None for role in store.tensors if role not in roles)


def total(outputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
    return torch.stack([output.square().mean() for output in outputs]).sum()


def test_a_tensor_that_grows_keeps_what_it_held() -> None:
    small, large = (_composed({f"width_{i}": w for i in range(6)}) for w in (8, 16))
    store = store_for(small)
    before = {name: value.clone() for name, value in store.draw(drawing_of(small)).items()}
    assert store.grow(drawing_of(large))
    after = store.draw(drawing_of(small))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not store.grow(drawing_of(small)) and store.covers(drawing_of(large))


def test_new_tensors_do_not_depend_on_the_order_in_which_they_came() -> None:
    first, second = (_composed({"decoder": decoder}) for decoder in ("lrse", "fusible"))
    one, other = store_for(first, second), store_for(second, first)
    assert one.tensors.keys() == other.tensors.keys()
    same = [torch.equal(one.tensors[role], other.tensors[role]) for role in one.tensors]
    assert np.mean(same) > 0.9  # those that both use and one enlarges differ where they grew


def test_a_store_is_read_as_it_was_written(tmp_path: Path) -> None:
    architecture = reduced().sample(4)
    store = store_for(architecture, reduced().sample(5))
    store.save(tmp_path / "shared.safetensors")
    again = WeightStore.load(tmp_path / "shared.safetensors")
    assert again.extents == store.extents
    for role, value in store.tensors.items():
        assert torch.equal(value, again.tensors[role])
    (tmp_path / "broken.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(UserError, match="no shared weights that can be read"):
        WeightStore.load(tmp_path / "broken.safetensors")


def test_a_narrow_skip_takes_the_skips_own_channels() -> None:
    """Where a skip is concatenated, its channels begin behind *all* stored channels of the features."""
    wide, narrow = ({"decoder": "plain", "skip_0": "concat"} | {f"width_{i}": w for i in range(6)} for w in (16, 8))
    first, second = (_composed(each) for each in (wide, narrow))
    store = store_for(first, second)
    drawing = drawing_of(second)
    name = next(n for n, share in drawing.shares.items() if len(share.segments) > 1 and len(share.segments[1]) == 2)
    share = drawing.shares[name]
    whole = store.tensors[share.role]
    features, _ = store.extents[share.role].segments[1]
    mine, skip = share.segments[1]
    drawn = store.draw(drawing)[name]
    out = share.segments[0][0]
    assert torch.equal(drawn[:, mine:], whole[:out, features : features + skip])
    assert torch.equal(drawn[:, :mine], whole[:out, :mine])


def test_small_kernels_are_the_centre_of_large_ones() -> None:
    seven, three = (_composed({"family_0": "conv", "kernel_0": kernel}, SPACE) for kernel in (7, 3))
    store = store_for(seven, three)
    name = "stages.1.blocks.0.body.conv.weight"
    large, small = store.draw(drawing_of(seven))[name], store.draw(drawing_of(three))[name]
    assert torch.equal(small, large[..., 2:5, 2:5])


def test_what_is_not_there_is_refused() -> None:
    small, large = (_composed({f"width_{i}": w for i in range(6)}) for w in (8, 16))
    with pytest.raises(UnknownWeights, match="smaller than what is drawn"):
        store_for(small).draw(drawing_of(large))
    other = _composed({"decoder": "lrse"})
    with pytest.raises(UnknownWeights, match="hold no"):
        store_for(_composed({"decoder": "fusible"})).draw(drawing_of(other))


def test_presets_outside_the_space_have_no_drawn_weights() -> None:
    preset = load_preset("lv-unet").architecture.for_task()
    assert not SPACE.contains(preset)
    store = store_for(*(reduced().sample(seed) for seed in range(20)))
    assert not store.covers(drawing_of(preset))


@pytest.mark.parametrize("family", families_of(SPACE))
def test_extremes_bound_a_family(family: str) -> None:
    small = smallest(SPACE, family, np.random.default_rng(0))
    large = largest(SPACE, family, np.random.default_rng(0), lambda _: True)
    sizes = [sum(p.numel() for p in build(each, device="meta").parameters()) for each in (small, large)]
    assert sizes[0] < sizes[1]
    limit = (sizes[0] + sizes[1]) / 2
    fitting = largest(
        SPACE,
        family,
        np.random.default_rng(0),
        lambda each: sum(p.numel() for p in build(each, device="meta").parameters()) < limit,
    )
    assert sum(p.numel() for p in build(fitting, device="meta").parameters()) < limit


def _composed(changes: dict[str, object], space: FreeSpace | None = None) -> Architecture:
    chosen = space or reduced()
    base = {name: values[0] for name, values in chosen.choices.items()}
    return chosen.compose(base | changes)
