"""Attention as a block of its own: after a stage (CEA-Net), on concatenated features (LAEDNet)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from ussearch.search_spaces.architecture import Block
from ussearch.search_spaces.attention import build_attention
from ussearch.search_spaces.blocks.base import BLOCKS, BlockModule


@BLOCKS.register("gate")
class Gate(BlockModule):
    """Attention that keeps the number of channels."""

    fields: ClassVar[frozenset[str]] = frozenset({"attention"})

    def __init__(self, in_channels: int, spec: Block) -> None:
        super().__init__(in_channels, spec)
        if spec.attention is None or in_channels != spec.width:
            raise ValueError(f"a gate names its attention and keeps its {in_channels} channels")
        self.attention = build_attention(in_channels, spec.attention)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape."""
        out: Tensor = self.attention(x)
        return out
