"""Families of the sampled space: how an encoder stage and a decoder level are made of blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from ussearch.registry import Registry
from ussearch.search_spaces.architecture import Activation, Attention, Block, DecoderLevel, Skip


@dataclass(frozen=True)
class BlockPlan:
    """One block of a stage: the first changes the width and may halve the resolution, the others are residual."""

    channels: int
    width: int
    position: int
    halve: bool
    kernel: int
    expansion: int
    attention: str
    activation: Activation

    @property
    def first(self) -> bool:
        """Whether this is the stage's first block."""
        return self.position == 0

    @property
    def stride(self) -> Literal[1, 2]:
        """2 where the block halves the resolution."""
        return 2 if self.first and self.halve else 1

    def gate(self, channels: int) -> Attention | None:
        """Return the attention for ``channels`` features."""
        return attention_of(self.attention, channels)


def attention_of(kind: str, channels: int) -> Attention | None:
    """Return the attention of a kind for ``channels`` features; None for ``none``."""
    if kind == "none":
        return None
    if kind == "se":
        return Attention(kind="se", squeeze=max(channels // 4, 1))
    if kind == "eca":
        return Attention(kind="eca", kernel=5)
    if kind == "cbam":
        return Attention(kind="cbam", squeeze=max(channels // 16, 1), kernel=7)
    return Attention(kind=kind)


BlockFamily = Callable[[BlockPlan], Block]
FAMILIES: Registry[BlockFamily] = Registry("block family")


def _block(plan: BlockPlan, kind: str, gated_channels: int, **more: Any) -> Block:
    """Return a block of ``kind`` with what all kinds but the fusible one read; attention gates ``gated_channels``."""
    return Block(
        kind=kind,
        width=plan.width,
        kernel=plan.kernel,
        stride=plan.stride,
        activation=plan.activation,
        residual=not plan.first,
        attention=plan.gate(gated_channels),
        **more,
    )


def _plain(kind: str) -> BlockFamily:
    """Return the family of blocks whose attention gates the output."""
    return lambda plan: _block(plan, kind, plan.width)


def _bottleneck(kind: str) -> BlockFamily:
    """Return the family of blocks that expand to hidden features, which attention gates."""

    def family(plan: BlockPlan) -> Block:
        hidden = plan.channels * plan.expansion
        return _block(plan, kind, hidden, hidden=hidden)

    return family


def _asymmetric(plan: BlockPlan) -> Block:
    """Build an asymmetric block; the dilation grows with the position, as in BMIS."""
    return _block(plan, "asym", plan.width, dilation=1 + plan.position)


def _fusible(plan: BlockPlan) -> Block:
    """Build a fusible block, which has no kernel, expansion or attention to choose."""
    return Block(kind="fusible", width=plan.width, resample="maxpool" if plan.stride == 2 else "none")


# Families are named after the kind of their blocks, so that an architecture tells its family.
FAMILIES.register("dwsep")(_plain("dwsep"))
FAMILIES.register("mbconv")(_bottleneck("mbconv"))
FAMILIES.register("convnext")(_bottleneck("convnext"))
FAMILIES.register("asym")(_asymmetric)
FAMILIES.register("fusible")(_fusible)
FAMILIES.register("conv")(_plain("conv"))


Upsampling = Literal["bilinear", "nearest", "transposed"]


@dataclass(frozen=True)
class LevelPlan:
    """What a level has to do: from ``channels`` features to ``width`` at twice the resolution."""

    channels: int
    width: int
    skip: Skip | None
    skip_channels: int
    upsampling: Upsampling
    activation: Activation
    experts: int = 1

    def merged(self, channels: int) -> int:
        """Return the channels after the merge of ``channels`` features with the skip."""
        return channels if self.skip is None or self.skip.op == "add" else channels + self.skip_channels


DecoderFamily = Callable[[LevelPlan], DecoderLevel]
DECODERS: Registry[DecoderFamily] = Registry("decoder")


def _enlarge(plan: LevelPlan, channels: int) -> tuple[Block, int]:
    """Return the block that doubles the resolution and the channels after it."""
    if plan.upsampling == "transposed":
        return Block(kind="transposed", width=plan.width, kernel=2, activation=plan.activation), plan.width
    return Block(kind="upsample", width=channels, resample=plan.upsampling), channels


@DECODERS.register("lrse")
def lrse(plan: LevelPlan) -> DecoderLevel:
    """LAEDNet's: enlarge, merge, squeeze-excitation with identity, depthwise-separable convolution."""
    enlarge, channels = _enlarge(plan, plan.channels)
    merged = plan.merged(channels)
    attention = Attention(kind="se", squeeze=max(merged // 4, 1), identity=True)
    gate = Block(kind="gate", width=merged, attention=attention)
    return DecoderLevel(
        up=(enlarge,), skip=plan.skip, blocks=(gate, Block(kind="dwsep", width=plan.width, activation=plan.activation))
    )


@DECODERS.register("light")
def light(plan: LevelPlan) -> DecoderLevel:
    """LightAWNet's: reduce, enlarge, squeeze-excitation, merge, 3×3 convolution (dynamic with several experts)."""
    reduce = Block(kind="conv", width=plan.width, kernel=1, activation=plan.activation)
    enlarge, channels = _enlarge(plan, plan.width)
    gate = Block(kind="gate", width=channels, attention=Attention(kind="se", squeeze=max(channels // 8, 1)))
    last = Block(kind="conv", width=plan.width, activation=plan.activation)
    if plan.experts > 1:
        last = Block(kind="dynconv", width=plan.width, experts=plan.experts, activation=plan.activation)
    return DecoderLevel(up=(reduce, enlarge, gate), skip=plan.skip, blocks=(last,))


@DECODERS.register("fusible")
def fusible(plan: LevelPlan) -> DecoderLevel:
    """LV-UNet's: a fusible block with the enlargement inside, then the merge."""
    if plan.upsampling == "transposed":
        enlarge, _ = _enlarge(plan, plan.channels)
        return DecoderLevel(up=(enlarge, Block(kind="fusible", width=plan.width)), skip=plan.skip)
    return DecoderLevel(up=(Block(kind="fusible", width=plan.width, resample=plan.upsampling),), skip=plan.skip)


@DECODERS.register("depthwise")
def depthwise(plan: LevelPlan) -> DecoderLevel:
    """Enlarge, merge, depthwise-separable convolution."""
    enlarge, _ = _enlarge(plan, plan.channels)
    return DecoderLevel(
        up=(enlarge,), skip=plan.skip, blocks=(Block(kind="dwsep", width=plan.width, activation=plan.activation),)
    )


@DECODERS.register("plain")
def plain(plan: LevelPlan) -> DecoderLevel:
    """Enlarge, merge, dense 3×3 convolution."""
    enlarge, _ = _enlarge(plan, plan.channels)
    return DecoderLevel(
        up=(enlarge,), skip=plan.skip, blocks=(Block(kind="conv", width=plan.width, activation=plan.activation),)
    )
