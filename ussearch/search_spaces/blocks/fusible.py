"""LV-UNet's fusible block after VanillaNet: two 1×1 convolutions that become one when training ends.

Between them stands a leaky ReLU whose slope λ is raised from 0 (ReLU) to 1 (identity) during training
("deep training"). At λ = 1 the pair is linear and merges exactly (papers.md 2.2).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from ussearch.search_spaces.architecture import Block
from ussearch.search_spaces.blocks.base import BLOCKS, BlockModule
from ussearch.search_spaces.layers import ConvNorm, builds_folded, folded_conv, resample_layer


@BLOCKS.register("fusible")
class Fusible(BlockModule):
    """1×1+BN, leaky ReLU(λ), 1×1+BN, resampling, ReLU, depthwise 3×3+BN (series-informed activation, n = 1)."""

    fields: ClassVar[frozenset[str]] = frozenset(["resample", "eps", "kernel"])
    slope: Tensor

    def __init__(self, in_channels: int, spec: Block) -> None:
        super().__init__(in_channels, spec)
        self.first: ConvNorm | None = None
        if not builds_folded():
            self.first = ConvNorm(in_channels, in_channels, bias=True, eps=spec.eps)
        self.second = ConvNorm(in_channels, spec.width, bias=True, eps=spec.eps)
        self.resample = resample_layer(spec.resample)
        self.activation = nn.ReLU()
        self.series = ConvNorm(spec.width, spec.width, spec.kernel, groups=spec.width, eps=spec.eps)
        # A buffer, not an attribute: the released code loses λ with the checkpoint (papers.md 2.2, defect 1).
        self.register_buffer("slope", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, width, H', W']."""
        if self.first is not None:
            x = self.first(x)
            x = torch.maximum(x, x * self.slope)
        out: Tensor = self.series(self.activation(self.resample(self.second(x))))
        return out

    def widths(self) -> dict[str, int]:
        """Return the widths that this block has now, by their names in the record."""
        return {"width": self.second.conv.out_channels}

    def fold_(self) -> None:
        """Merge the two 1×1 convolutions and fold all three batch norms; raises ValueError while λ < 1."""
        if self.first is None:
            return
        if not self.slope.is_meta and float(self.slope) != 1.0:
            raise ValueError(f"deep training has not ended: λ is {float(self.slope):.4f}, fusing needs exactly 1")
        merged = ConvNorm(self.in_channels, self.out_channels, bias=True, norm="none").to(self.slope)
        if not self.slope.is_meta:
            self._merge_into(merged.conv, self.first, self.second)
        self.first, self.second = None, merged
        self.series.fold_()

    @torch.no_grad()
    def _merge_into(self, merged: nn.Conv2d, first: ConvNorm, second: ConvNorm) -> None:
        """Set ``merged`` to what the two convolutions with their norms compute one after the other."""
        assert isinstance(first.norm, nn.BatchNorm2d) and isinstance(second.norm, nn.BatchNorm2d)
        first_scaled = folded_conv(first.conv.double(), first.norm)
        second_scaled = folded_conv(second.conv.double(), second.norm)
        w1, w2 = (conv.weight.flatten(1) for conv in (first_scaled, second_scaled))
        assert first_scaled.bias is not None and second_scaled.bias is not None and merged.bias is not None
        merged.weight.copy_((w2 @ w1)[:, :, None, None])
        merged.bias.copy_(w2 @ first_scaled.bias + second_scaled.bias)
