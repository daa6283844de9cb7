"""Contract of the registries: adding a block, attention, skip, decoder or bottleneck adds its tests."""

from __future__ import annotations

import pytest
import torch

from ussearch.accelerators import to_channels_last
from ussearch.search_spaces import BLOCKS, Architecture, Attention, Block, Bottleneck, DecoderLevel, Skip, Stage, build
from ussearch.search_spaces.attention import ATTENTIONS, attended_channels, build_attention
from ussearch.search_spaces.blocks import build_block
from ussearch.search_spaces.bottlenecks import BOTTLENECKS
from ussearch.search_spaces.families import DECODERS, LevelPlan
from ussearch.search_spaces.layers import Foldable
from ussearch.search_spaces.skips import SKIPS

IN_CHANNELS = 16
NEEDED = {
    "pcdm": {"stride": 2},
    "upsample": {"width": 0, "resample": "bilinear"},
    "gate": {"width": 0, "attention": Attention(kind="se")},
    "shifted_mlp": {"width": 0},
}
"""Fields without which a kind cannot be built."""


def block_of(kind: str, **fields: object) -> Block:
    return Block(**{"kind": kind, "width": 24, **NEEDED.get(kind, {}), **fields})


@pytest.mark.parametrize("kind", BLOCKS)
def test_blocks_state_their_channels_and_learn(kind: str) -> None:
    block = build_block(IN_CHANNELS, block_of(kind))
    image = torch.randn(2, IN_CHANNELS, 16, 16, requires_grad=True)
    out = block(image)
    assert out.shape[:2] == (2, block.out_channels)
    out.square().mean().backward()
    assert image.grad is not None and image.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", BLOCKS)
def test_blocks_are_stored_channels_last_as_training_does(kind: str) -> None:
    block = build_block(IN_CHANNELS, block_of(kind)).eval()
    image = torch.randn(2, IN_CHANNELS, 16, 16)
    before = block(image)
    torch.testing.assert_close(to_channels_last(block)(image), before, rtol=1e-4, atol=1e-5)
    maps = [tensor for tensor in block.parameters() if tensor.dim() == 4]
    assert all(tensor.is_contiguous(memory_format=torch.channels_last) for tensor in maps)


@pytest.mark.parametrize("kind", BLOCKS)
def test_blocks_read_only_fields_that_exist(kind: str) -> None:
    assert BLOCKS[kind].fields <= set(Block.model_fields)


@pytest.mark.parametrize("kind", BLOCKS)
def test_folding_keeps_the_function_of_blocks(kind: str) -> None:
    torch.manual_seed(0)
    block = build_block(IN_CHANNELS, block_of(kind)).double()
    image = torch.randn(4, IN_CHANNELS, 16, 16, dtype=torch.float64)
    for _ in range(3):
        block.train()(image)
    block.eval()
    for name, buffer in block.named_buffers():
        if name.endswith("slope"):
            buffer.fill_(1.0)
    with torch.no_grad():
        before = block(image)
        for module in list(block.modules()):
            if isinstance(module, Foldable):
                module.fold_()
        after = block(image)
    torch.testing.assert_close(after, before, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("width", [16, 24])
@pytest.mark.parametrize(("kernel", "stride", "groups"), [(3, 1, 1), (3, 1, 16), (5, 1, 4), (3, 2, 8), (1, 1, 1)])
def test_parallel_branches_become_one_convolution(width: int, kernel: int, stride: int, groups: int) -> None:
    torch.manual_seed(0)
    groups = min(groups, 8) if width == 24 else groups
    spec = block_of("rep", width=width, kernel=kernel, stride=stride, groups=groups, activation="hswish")
    block = build_block(IN_CHANNELS, spec).double()
    image = torch.randn(4, IN_CHANNELS, 12, 12, dtype=torch.float64)
    for _ in range(3):
        block.train()(image)
    before = block.eval()(image)
    block.fold_()
    torch.testing.assert_close(block(image), before, rtol=1e-10, atol=1e-12)
    convolutions = [module for module in block.modules() if isinstance(module, torch.nn.Conv2d)]
    assert [module.kernel_size for module in convolutions] == [(kernel, kernel)]
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in block.modules())


@pytest.mark.parametrize("kind", [kind for kind in BLOCKS if "stride" in BLOCKS[kind].fields])
def test_stride_halves(kind: str) -> None:
    block = build_block(IN_CHANNELS, block_of(kind, stride=2))
    assert block(torch.zeros(1, IN_CHANNELS, 16, 16)).shape[2:] == (8, 8)


@pytest.mark.parametrize("kind", ATTENTIONS)
def test_attentions(kind: str) -> None:
    spec = Attention(kind=kind)
    out = build_attention(IN_CHANNELS, spec)(torch.randn(2, IN_CHANNELS, 8, 8))
    assert out.shape == (2, attended_channels(IN_CHANNELS, spec), 8, 8)


@pytest.mark.parametrize("kind", SKIPS)
def test_skips(kind: str) -> None:
    merge = SKIPS[kind](16, 24)
    assert merge(torch.randn(2, 16, 8, 8), torch.randn(2, 24, 8, 8)).shape == (2, merge.out_channels, 8, 8)


@pytest.mark.parametrize("kind", BOTTLENECKS)
def test_bottlenecks_keep_shape_and_learn(kind: str) -> None:
    bottleneck = BOTTLENECKS[kind](16, Bottleneck(kind=kind))
    image = torch.randn(2, 16, 8, 8)
    assert bottleneck(image).shape == image.shape


@pytest.mark.parametrize("op", [None, *SKIPS])
@pytest.mark.parametrize("upsampling", ["bilinear", "nearest", "transposed"])
@pytest.mark.parametrize("family", DECODERS)
def test_decoder_families_take_every_skip_and_upsampling(family: str, upsampling: str, op: str | None) -> None:
    plan = LevelPlan(24, 8, Skip(op=op, stage=0) if op else None, 16, upsampling, "relu")  # type: ignore[arg-type]
    level = DECODERS[family](plan)
    assert isinstance(level, DecoderLevel)
    stages = (
        Stage(blocks=(Block(kind="conv", width=16),)),
        Stage(blocks=(Block(kind="conv", width=24, stride=2),)),
    )
    network = build(Architecture(stages=stages, decoder=(level,)))
    assert network(torch.zeros(1, 1, 16, 16)).shape == (1, 1, 16, 16)
