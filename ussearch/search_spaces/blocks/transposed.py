"""Transposed convolution that doubles the resolution."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from ussearch.search_spaces.architecture import Block
from ussearch.search_spaces.blocks.base import BLOCKS, BlockModule
from ussearch.search_spaces.layers import activation_layer, batch_norm_affine, builds_folded


@BLOCKS.register("transposed")
class Transposed(BlockModule):
    """Transposed 2×2 or 3×3 convolution, stride 2, with bias, batch norm and activation."""

    fields: ClassVar[frozenset[str]] = frozenset(["kernel", "eps", "activation"])

    def __init__(self, in_channels: int, spec: Block) -> None:
        super().__init__(in_channels, spec)
        if spec.kernel not in (2, 3):
            raise ValueError(f"a transposed block has kernel 2 or 3, not {spec.kernel}")
        pad = 1 if spec.kernel == 3 else 0
        self.conv = nn.ConvTranspose2d(in_channels, spec.width, spec.kernel, 2, pad, pad)
        self.norm: nn.Module = nn.Identity() if builds_folded() else nn.BatchNorm2d(spec.width, eps=spec.eps)
        self.activation = activation_layer(spec.activation)

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, width, 2 H, 2 W]."""
        out: Tensor = self.activation(self.norm(self.conv(x)))
        return out

    def widths(self) -> dict[str, int]:
        """Return the widths that this block has now, by their names in the record."""
        return {"width": self.conv.out_channels}

    def fold_(self) -> None:
        """Fold the batch norm; a transposed kernel has its output channels in dimension 1."""
        if isinstance(self.norm, nn.BatchNorm2d):
            scale, shift = batch_norm_affine(self.norm)
            assert self.conv.bias is not None
            with torch.no_grad():
                self.conv.weight.copy_(self.conv.weight.double() * scale.reshape(1, -1, 1, 1))
                self.conv.bias.copy_(self.conv.bias.double() * scale + shift)
            self.norm = nn.Identity()
