"""Block families of the sampled space: how a stage is made of blocks of one kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

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
