"""Decoder families of the sampled space: how one level is made of blocks.

Each family is a function from the same arguments to a ``DecoderLevel``; adding one is a function and a line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ussearch.registry import Registry
from ussearch.search_spaces.architecture import Activation, Attention, Block, DecoderLevel, Skip

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
