"""Doubling the resolution without parameters."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from ussearch.search_spaces.architecture import Block
from ussearch.search_spaces.blocks.base import BLOCKS, BlockModule
from ussearch.search_spaces.layers import resample_layer


@BLOCKS.register("upsample")
class Upsample(BlockModule):
    """Bilinear or nearest interpolation by two."""

    fields: ClassVar[frozenset[str]] = frozenset({"resample"})

    def __init__(self, in_channels: int, spec: Block) -> None:
        super().__init__(in_channels, spec)
        if in_channels != spec.width or spec.resample not in ("bilinear", "nearest"):
            raise ValueError("upsample keeps its channels and resamples bilinear or nearest")
        self.resample = resample_layer(spec.resample)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, 2 H, 2 W]."""
        out: Tensor = self.resample(x)
        return out
