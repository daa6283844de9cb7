"""Block families of the sampled space: how a stage is made of blocks of one kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ussearch.registry import Registry
from ussearch.search_spaces.architecture import Activation, Attention, Block


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
        if self.attention == "none":
            return None
        if self.attention == "se":
            return Attention(kind="se", squeeze=max(channels // 4, 1))
        if self.attention == "eca":
            return Attention(kind="eca", kernel=5)
        if self.attention == "cbam":
            return Attention(kind="cbam", squeeze=max(channels // 16, 1), kernel=7)
        return Attention(kind=self.attention)


BlockFamily = Callable[[BlockPlan], Block]
FAMILIES: Registry[BlockFamily] = Registry("block family")


def _separable(plan: BlockPlan) -> Block:
    """Build MobileNet's depthwise-separable convolution."""
    return Block(
        kind="dwsep",
        width=plan.width,
        kernel=plan.kernel,
        stride=plan.stride,
        activation=plan.activation,
        residual=not plan.first,
        attention=plan.gate(plan.width),
    )


def _inverted(plan: BlockPlan) -> Block:
    """Build an inverted residual."""
    hidden = plan.channels * plan.expansion
    return Block(
        kind="mbconv",
        width=plan.width,
        kernel=plan.kernel,
        stride=plan.stride,
        hidden=hidden,
        activation=plan.activation,
        residual=not plan.first,
        attention=plan.gate(hidden),
    )


def _depthwise_first(plan: BlockPlan) -> Block:
    """Build a ConvNeXt-order bottleneck."""
    hidden = plan.channels * plan.expansion
    return Block(
        kind="convnext",
        width=plan.width,
        kernel=plan.kernel,
        stride=plan.stride,
        hidden=hidden,
        activation=plan.activation,
        residual=not plan.first,
        attention=plan.gate(hidden),
    )


def _asymmetric(plan: BlockPlan) -> Block:
    """Build an asymmetric block; the dilation grows with the position, as in BMIS."""
    return Block(
        kind="asym",
        width=plan.width,
        kernel=plan.kernel,
        stride=plan.stride,
        dilation=1 + plan.position,
        activation=plan.activation,
        residual=not plan.first,
        attention=plan.gate(plan.width),
    )


def _fusible(plan: BlockPlan) -> Block:
    """Build a fusible block, which has no kernel, expansion or attention to choose."""
    return Block(kind="fusible", width=plan.width, resample="maxpool" if plan.stride == 2 else "none")


def _plain(plan: BlockPlan) -> Block:
    """Build a dense convolution."""
    return Block(
        kind="conv",
        width=plan.width,
        kernel=plan.kernel,
        stride=plan.stride,
        activation=plan.activation,
        residual=not plan.first,
        attention=plan.gate(plan.width),
    )


for _name, _family in {
    "dwsep": _separable,
    "mbconv": _inverted,
    "convnext": _depthwise_first,
    "asym": _asymmetric,
    "fusible": _fusible,
    "conv": _plain,
}.items():
    FAMILIES.register(_name)(_family)
"""Families are named after the kind of their blocks, so that an architecture tells its family."""
