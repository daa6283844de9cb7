"""UNeXt's tokenised shifted MLP (Valanarasu and Patel 2022) with the layer norm that follows it."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ussearch.search_spaces.architecture import Block
from ussearch.search_spaces.blocks.base import BLOCKS, BlockModule
from ussearch.search_spaces.layers import LayerNorm2d

SHIFTS = (-2, -1, 0, 1, 2)


def shift_channels(x: Tensor, axis: int) -> Tensor:
    """Shift five equal groups of channels by −2…2 positions along ``axis``; zeros move in."""
    size = x.shape[axis]
    padding = [0, 0, 2, 2] if axis == 2 else [2, 2, 0, 0]
    groups = functional.pad(x, padding).chunk(len(SHIFTS), 1)
    return torch.cat([group.narrow(axis, 2 - s, size) for group, s in zip(groups, SHIFTS, strict=False)], 1)


@BLOCKS.register("shifted_mlp")
class ShiftedMlp(BlockModule):
    """Norm, shift along height, 1×1, depthwise 3×3, GELU, shift along width, 1×1, residual, norm."""

    fields: ClassVar[frozenset[str]] = frozenset({"eps"})

    def __init__(self, in_channels: int, spec: Block) -> None:
        super().__init__(in_channels, spec)
        width = spec.width
        if in_channels != width:
            raise ValueError(f"shifted_mlp keeps its channels: width {width} differs from the input's {in_channels}")
        self.norm = LayerNorm2d(width, eps=spec.eps)
        self.first = nn.Conv2d(width, width, 1)
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.activation = nn.GELU()
        self.second = nn.Conv2d(width, width, 1)
        self.last_norm = LayerNorm2d(width, eps=spec.eps)

    def forward(self, x: Tensor) -> Tensor:
        """[B, width, H, W] -> the same shape."""
        y = self.first(shift_channels(self.norm(x), 2))
        y = self.activation(self.depthwise(y))
        out: Tensor = self.last_norm(x + self.second(shift_channels(y, 3)))
        return out

    def widths(self) -> dict[str, int]:
        """Return the widths that this block has now, by their names in the record."""
        return {"width": self.first.out_channels}
