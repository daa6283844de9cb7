"""Ghost convolution: half of the features by convolution, the other half from these by a cheap one."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ussearch.search_spaces.architecture import Block
from ussearch.search_spaces.blocks.base import BLOCKS, BlockModule
from ussearch.search_spaces.layers import ConvNorm


@BLOCKS.register("ghost")
class Ghost(BlockModule):
    """A k×k convolution to half of ``width``, a depthwise 3×3 on its output, both halves side by side.

    Source: Han et al., GhostNet: More Features from Cheap Operations, CVPR 2020, section 3.1.
    """

    fields: ClassVar[frozenset[str]] = frozenset({"kernel", "stride", "activation"})

    def __init__(self, in_channels: int, spec: Block) -> None:
        super().__init__(in_channels, spec)
        half, rest = divmod(spec.width, 2)
        if rest:
            raise ValueError(f"block 'ghost' has two halves of equal width: width {spec.width} is odd")
        self.primary = ConvNorm(in_channels, half, spec.kernel, stride=spec.stride, activation=spec.activation)
        self.cheap = ConvNorm(half, half, 3, groups=half, activation=spec.activation)

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, width, H', W']."""
        features = self.primary(x)
        return torch.cat([features, self.cheap(features)], dim=1)

    def widths(self) -> dict[str, int]:
        """Return the widths that this block has now, by their names in the record."""
        return {"width": self.primary.conv.out_channels + self.cheap.conv.out_channels}
