"""BMIS's parallel convolution downsampling module (PCDM)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from ussearch.search_spaces.architecture import Block
from ussearch.search_spaces.blocks.base import BLOCKS, BlockModule
from ussearch.search_spaces.layers import activation_layer, batch_norm_affine, folded_conv


class ChannelAffine(nn.Module):
    """A scale and a shift a channel: what is left of a batch norm that no convolution precedes."""

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.scale = nn.Parameter(scale.reshape(1, -1, 1, 1))
        self.shift = nn.Parameter(shift.reshape(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape."""
        return x * self.scale + self.shift


@BLOCKS.register("pcdm")
class ParallelDown(BlockModule):
    """Strided 3×3 convolution (to ``width`` − in channels) beside 2×2 max pooling, then batch norm, activation."""

    fields: ClassVar[frozenset[str]] = frozenset(["stride", "eps", "activation"])

    def __init__(self, in_channels: int, spec: Block) -> None:
        super().__init__(in_channels, spec)
        if spec.width <= in_channels or spec.stride != 2:
            raise ValueError(f"pcdm needs stride 2 and a width above its {in_channels} input channels")
        self.conv = nn.Conv2d(in_channels, spec.width - in_channels, 3, 2, 1)
        self.pool = nn.MaxPool2d(2)
        self.pooled: nn.Module = nn.Identity()
        self.norm: nn.Module = nn.BatchNorm2d(spec.width, eps=spec.eps)
        self.activation = activation_layer(spec.activation)

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, width, H/2, W/2]."""
        both = torch.cat([self.conv(x), self.pooled(self.pool(x))], 1)
        out: Tensor = self.activation(self.norm(both))
        return out

    def widths(self) -> dict[str, int]:
        """Return the widths that this block has now, by their names in the record."""
        return {"width": self.conv.in_channels + self.conv.out_channels}

    def fold_(self) -> None:
        """Fold the norm's first channels into the convolution; the pooled channels keep a scale and a shift."""
        if isinstance(self.norm, nn.BatchNorm2d):
            scale, shift = batch_norm_affine(self.norm)
            cut = self.conv.out_channels
            first = nn.BatchNorm2d(cut, eps=self.norm.eps).to(self.conv.weight)
            for name in ("weight", "bias", "running_mean", "running_var"):
                getattr(first, name).data.copy_(getattr(self.norm, name)[:cut])
            self.conv = folded_conv(self.conv, first)
            self.pooled = ChannelAffine(*(part[cut:].detach().to(self.conv.weight) for part in (scale, shift)))
            self.norm = nn.Identity()
