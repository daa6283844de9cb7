"""NNI's pruners as importances; run by ``make test-nni`` in an environment of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from ussearch.compress.pruning import IMPORTANCES, masked, prune
from ussearch.errors import UserError
from ussearch.search_spaces import Architecture, Block, Network, Stage, build, count, load_preset

NAMES = ["nni-fpgm", "nni-taylor", "nni-slim", "nni-agp", "nni-movement"]
SIZE = 32


def entropy(outputs: Sequence[Tensor], masks: Tensor) -> Tensor:
    return torch.stack([functional.binary_cross_entropy_with_logits(output, masks) for output in outputs]).sum()


def batches() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    images = [torch.randn(2, 1, SIZE, SIZE, generator=generator) for _ in range(3)]
    return [(image, (image > 0).float()) for image in images]


def test_all_five_are_offered() -> None:
    assert [name for name in IMPORTANCES if name.startswith("nni-")] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_without_nni_the_extra_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nni", None)
    monkeypatch.setitem(sys.modules, "nni.compression", None)
    network = build(Architecture(stages=(Stage(blocks=(Block(kind="conv", width=16),)),)))
    with pytest.raises(UserError, match=f"{name}.*extra 'nni'.*constraints-nni.txt"):
        prune(network, SIZE, ratio=0.2, importance=name, batches=batches(), loss=entropy)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_preset_is_pruned_end_to_end(name: str, lived_in: Callable[..., Network]) -> None:
    pytest.importorskip("nni")
    architecture = load_preset("lightawnet").architecture
    network = lived_in(architecture)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    pruned = prune(network, SIZE, ratio=0.4, importance=name, batches=batches(), loss=entropy)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert pruned.after <= 0.6 * pruned.before
    assert count(pruned.architecture, SIZE).macs < count(architecture, SIZE).macs
    images = torch.randn(2, 1, SIZE, SIZE)
    with torch.no_grad():
        out, silent = pruned.network(images), masked(network, SIZE, pruned.kept)(images)
    torch.testing.assert_close(out, silent, rtol=1e-4, atol=1e-4 * float(out.abs().max()))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_channels_that_do_nothing_go_first(name: str, lived_in: Callable[..., Network]) -> None:
    """Half of the first layer is silent, and what the others say pays: all their weights are wanted larger."""
    pytest.importorskip("nni")
    widths = (16, 24)
    network = lived_in(Architecture(stages=tuple(Stage(blocks=(Block(kind="conv", width=w),)) for w in widths)))
    first, second = (stage.blocks[0].body for stage in network.stages)  # type: ignore[union-attr,index]
    for parameter in network.parameters():
        parameter.data.abs_()
    dead = list(range(1, 16, 2))
    for parameter in (first.conv.weight, first.norm.weight, first.norm.bias):
        parameter.data[dead] = 0.0
    second.conv.weight.data[:, dead] = 0.0

    def loss(outputs: Sequence[Tensor], masks: Tensor) -> Tensor:
        return -1000.0 * outputs[0].mean()

    pruned = prune(network, SIZE, ratio=0.4, importance=name, batches=batches(), loss=loss)
    assert set(pruned.kept["stages.0.blocks.0.body.conv"]) == set(range(0, 16, 2))
