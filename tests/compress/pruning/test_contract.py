"""Whatever can be built can be pruned: every preset, every kind of block, attention, skip and bottleneck, samples.

References are independent of the surgery: the old network with features silenced, and what ``build`` makes of the data.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from ussearch.compress.pruning import IMPORTANCES, Pruned, masked, prune
from ussearch.compress.pruning.channels import read_channels
from ussearch.compress.pruning.pruning import without_channels
from ussearch.search_spaces import (
    BLOCKS,
    Architecture,
    Attention,
    Block,
    Bottleneck,
    DecoderLevel,
    DetailBranch,
    FreeSpace,
    Head,
    Network,
    Skip,
    Stage,
    count,
    deploy,
    load_preset,
    preset_names,
)
from ussearch.search_spaces.attention import ATTENTIONS, AttentionModule, ChannelThenSpatial, EfficientChannelAttention
from ussearch.search_spaces.blocks import BlockModule
from ussearch.search_spaces.blocks.dynconv import DynamicConv
from ussearch.search_spaces.bottlenecks import BOTTLENECKS, DualAffinity
from ussearch.search_spaces.heads import HEADS
from ussearch.search_spaces.skips import SKIPS

pytestmark = pytest.mark.training

LARGE = ("laednet-m", "laednet-l", "unet")
ENLARGING = {"transposed", "upsample"}
ROUND_TO = 8
Build = Callable[..., Network]


def logits(network: Network, images: Tensor) -> tuple[Tensor, ...]:
    with torch.no_grad():
        return network.eval().forward_all(images)


def assert_close(first: Sequence[Tensor], second: Sequence[Tensor], tolerance: float) -> None:
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance * float(other.abs().max()))


def mixes_over_channels(network: Network, kept: Mapping[str, Sequence[int]]) -> bool:
    """Whether an operation whose result depends on how many channels there are meets a pruned layer."""
    for name, module in network.named_modules():
        if isinstance(module, (EfficientChannelAttention, ChannelThenSpatial, DualAffinity)):
            return True
        if isinstance(module, nn.LayerNorm) and len(kept[name]) < module.normalized_shape[0]:
            return True
    return False


def silenced(network: Network, kept: Mapping[str, Sequence[int]]) -> Network:
    """Zero the *outputs* of what was removed, layer by layer; consumers keep all their weights."""
    network = copy.deepcopy(network)
    for name, positions in kept.items():
        layer = network.get_submodule(name)
        if isinstance(layer, DynamicConv):
            parts = [(layer.experts, 1), (layer.norm.weight, 0), (layer.norm.bias, 0)]
        else:
            parts = [(layer.weight, 1 if isinstance(layer, nn.ConvTranspose2d) else 0), (layer.bias, 0)]
        for parameter, dimension in parts:
            if parameter is not None:
                gone = sorted(set(range(parameter.shape[dimension])) - set(positions))
                parameter.data.index_fill_(dimension, torch.tensor(gone, dtype=torch.long), 0.0)
    return network


def cut_only(network: Network, size: int, pruned: Pruned) -> Network:
    """The modules as surgery left them, before they were rebuilt from data."""
    channels = read_channels(network, size)
    removed = [np.delete(channels.axes[name, "out"], kept) for name, kept in pruned.kept.items()]
    return without_channels(network, channels, np.unique(np.concatenate(removed)))


def widths(network: Network) -> Iterator[tuple[str, int]]:
    """Every width that the record spells out."""
    for name, module in network.named_modules():
        if isinstance(module, BlockModule):
            yield from ((f"{name}.{field}", value) for field, value in module.widths().items() if field != "groups")
            attention = getattr(module, "attention", None)
            if isinstance(attention, AttentionModule):
                yield from ((f"{name}.{field}", value) for field, value in attention.widths().items())


def check(network: Network, size: int, importance: str = "l2", ratio: float = 0.4) -> Pruned:
    """Prune and hold the result against everything that is claimed of it."""
    old = network.architecture
    torch.manual_seed(1)
    images = torch.randn(2, old.image_channels, size, size)
    masks = (torch.rand(2, old.classes, size, size) > 0.5).float()
    before = copy.deepcopy(network.state_dict())
    pruned = prune(network, size, ratio=ratio, importance=importance, batches=[(images, masks)], loss=entropy, seed=3)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())

    smaller, whole = count(pruned.architecture, size), count(old, size)
    assert smaller.parameters_deploy < whole.parameters_deploy and smaller.macs < whole.macs
    assert pruned.after < pruned.before
    old_widths = dict(widths(network))
    for name, width in widths(pruned.network):
        assert width == old_widths[name] or width % ROUND_TO == 0, name

    out = logits(pruned.network, images)
    assert_close(out, logits(cut_only(network, size, pruned), images), 1e-6)
    if not mixes_over_channels(network, pruned.kept):
        assert_close(out, logits(masked(network, size, pruned.kept), images), 1e-4)
        assert_close(out, logits(silenced(network, pruned.kept), images), 1e-4)
    with torch.no_grad():
        torch.testing.assert_close(
            deploy(pruned.network)(images), out[0], rtol=1e-3, atol=1e-3 * float(out[0].abs().max())
        )
    assert_trains(pruned.network, images, masks)
    return pruned


def entropy(outputs: Sequence[Tensor], masks: Tensor) -> Tensor:
    return torch.stack([functional.binary_cross_entropy_with_logits(output, masks) for output in outputs]).sum()


def assert_trains(network: Network, images: Tensor, masks: Tensor) -> None:
    network.train().requires_grad_(True)
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-3)
    entropy(network.forward_all(images), masks).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
    optimiser.step()


def around(
    *blocks: Block, skip: str = "concat", bottleneck: str | None = None, head: str = "conv", width: int = 24
) -> Architecture:
    """An encoder of two stages with the blocks in the second, a decoder level with deep supervision, a head."""
    kinds = {block.kind for block in blocks}
    return Architecture(
        stages=(
            Stage(blocks=(Block(kind="conv", width=width, stride=2 if head == "transposed" else 1),)),
            Stage(
                blocks=(*blocks, Block(kind="conv", width=40, stride=2 if kinds & ENLARGING else 1)),
                down="none" if "pcdm" in kinds else "maxpool",
            ),
        ),
        bottleneck=Bottleneck(kind=bottleneck, ratio=2) if bottleneck else None,
        decoder=(
            DecoderLevel(
                up=(Block(kind="upsample", resample="bilinear"), Block(kind="conv", width=32)),
                skip=Skip(op=skip, stage=0),  # type: ignore[arg-type]
                blocks=(Block(kind="conv", width=24),),
            ),
        ),
        deep_supervision=(0,),
        head=Head(kind=head),
    )


def variants(kind: str) -> list[Block]:
    """The block as it is, residual, with every attention, normed otherwise, in groups, depthwise."""
    basic: dict[str, object] = {"kind": kind, "width": 32}
    basic |= {
        "upsample": {"width": 0, "resample": "bilinear"},
        "gate": {"width": 0, "attention": Attention(kind="se", squeeze=12)},
        "shifted_mlp": {"width": 0},
        "pcdm": {"width": 48, "stride": 2},
        "dynconv": {"experts": 3},
        "mbconv": {"hidden": 48},
    }.get(kind, {})
    fields = BLOCKS[kind].fields
    changes: list[dict[str, object]] = [{}]
    if "residual" in fields:
        changes += [{"residual": True, "width": 24}]
    if "attention" in fields:
        changes += [{"attention": Attention(kind=name, squeeze=12)} for name in ATTENTIONS if allowed(kind, name)]
        changes += [{"attention": Attention(kind="se", squeeze=12, linear=True, identity=True)}]
    if "groups" in fields:
        changes += [{"groups": 2}, {"groups": 24, "width": 24}]
    if "norm" in fields:
        changes += [{"norm": "layer"}, {"norm": "none", "bias": True}]
    if "norm_last" in fields:
        changes += [{"norm_last": True, "activation": "gelu"}]
    if "hidden" in fields:
        changes += [{"hidden": 0}, {"hidden": 32, "width": 16}]
    return [Block.model_validate(basic | change) for change in changes]


def allowed(kind: str, attention: str) -> bool:
    """The concatenating gate doubles the channels: only a block with a layer behind it can take it."""
    return attention != "spatial_gate_concat" or kind == "convnext"


@pytest.mark.parametrize("kind", BLOCKS)
def test_every_kind_of_block(kind: str, lived_in: Build) -> None:
    for block in variants(kind):
        check(lived_in(around(block)), 32)


@pytest.mark.parametrize("kind", BLOCKS)
def test_every_kind_of_block_on_concatenated_features(kind: str, lived_in: Build) -> None:
    """Behind a concatenation the channels of one layer fall into strands."""
    block = variants(kind)[0].model_copy(update={"width": 64} if kind == "pcdm" else {})
    behind = DecoderLevel(up=(), skip=Skip(op="concat", stage=1, block=0), blocks=(block, Block(kind="conv", width=24)))
    stages = (
        Stage(blocks=(Block(kind="conv", width=24, stride=2 if kind in ENLARGING else 1),)),
        Stage(blocks=(Block(kind="conv", width=16), Block(kind="conv", width=24))),
    )
    head = Head(upsample=2 if kind == "pcdm" else 1)
    check(lived_in(Architecture(stages=stages, decoder=(behind,), head=head)), 32)
    if "residual" in BLOCKS[kind].fields:
        level = behind.model_copy(update={"blocks": (block.model_copy(update={"residual": True, "width": 40}),)})
        check(lived_in(Architecture(stages=stages, decoder=(level,))), 32)


@pytest.mark.parametrize("bottleneck", [None, *BOTTLENECKS])
@pytest.mark.parametrize("skip", SKIPS)
def test_skips_and_bottlenecks(skip: str, bottleneck: str | None, lived_in: Build) -> None:
    check(lived_in(around(skip=skip, bottleneck=bottleneck)), 32)
    check(lived_in(around(skip=skip, bottleneck=bottleneck, width=64)), 32, ratio=0.55)
    check(lived_in(around(skip=skip, bottleneck=bottleneck, width=32)), 32)  # features and skip of equal width


@pytest.mark.parametrize("head", HEADS)
def test_heads_stay(head: str, lived_in: Build) -> None:
    network = lived_in(around(head=head))
    pruned = check(network, 32)
    assert pruned.kept["head.layer"] == (0,) and pruned.kept["auxiliary_heads.0"] == (0,)


def test_the_detail_branch_keeps_the_widths_of_its_stages(lived_in: Build) -> None:
    conv = Block(kind="conv", width=16)
    architecture = Architecture(
        image_channels=1,
        input_channels=3,
        stages=(
            Stage(blocks=(conv,)),
            Stage(blocks=(conv.model_copy(update={"width": 24}),), down="maxpool"),
            Stage(blocks=(conv.model_copy(update={"width": 48}),), down="maxpool"),
        ),
        detail=DetailBranch(start=1, widths=(24, 48)),
        decoder=(DecoderLevel(up=(Block(kind="upsample", resample="nearest"),), skip=Skip(op="add", source="detail")),),
        head=Head(upsample=2),
    )
    pruned = check(lived_in(architecture), 32)
    assert pruned.architecture.detail is not None
    assert pruned.architecture.detail.widths == tuple(s.blocks[-1].width for s in pruned.architecture.stages[1:])


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in LARGE else ()) for n in preset_names()]
)
def test_every_preset(name: str, lived_in: Build) -> None:
    architecture = load_preset(name).architecture
    check(lived_in(architecture), max(32, architecture.size_divisor))


def check_sample(network_of: Build, seed: int) -> None:
    """With attentions that do not mix over channels in place of those that do, so that parity is claimed for all."""
    text = FreeSpace.standard(64).sample(seed).model_dump_json()
    architecture = Architecture.model_validate_json(text.replace('"eca"', '"se"').replace('"cbam"', '"spatial_gate"'))
    network = network_of(architecture, seed)
    pruned = check(network, 64)
    assert not mixes_over_channels(network, pruned.kept)


@settings(max_examples=3)
@given(seed=st.integers(0, 10**6))
def test_samples_of_the_space(lived_in: Build, seed: int) -> None:
    check_sample(lived_in, seed)


@pytest.mark.slow
@settings(max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_many_samples_of_the_space(lived_in: Build, seed: int) -> None:
    check_sample(lived_in, seed)
    check(lived_in(FreeSpace.standard(64).sample(seed), seed), 64, ratio=0.55)


@pytest.mark.parametrize("importance", [name for name in IMPORTANCES if not name.startswith("nni-")])
def test_every_importance(importance: str, lived_in: Build) -> None:
    check(lived_in(load_preset("lightawnet").architecture), 32, importance)
    check(lived_in(around(Block(kind="mbconv", width=24, hidden=48))), 32, importance)


@pytest.mark.parametrize("name", ["lightawnet", "bmis", "lv-unet", "cmunext-s"])
def test_what_was_pruned_can_be_pruned_again(name: str, lived_in: Build) -> None:
    network = lived_in(load_preset(name).architecture)
    size = max(32, network.architecture.size_divisor)
    once = prune(network, size, ratio=0.2)
    twice = check(once.network.eval(), size, ratio=0.3)
    assert twice.architecture.name == f"{name} pruned"
