"""Asymmetric, dilated convolutions: BMIS's efficient asymmetric convolution block (EACB)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from ussearch.search_spaces.architecture import Block
from ussearch.search_spaces.attention import build_attention
from ussearch.search_spaces.blocks.base import BLOCKS, BlockModule
from ussearch.search_spaces.layers import ConvNorm, activation_layer


@BLOCKS.register("asym")
class Asymmetric(BlockModule):
    """Two pairs of dense k×1 and 1×k convolutions, the second pair dilated; attention; activation after the sum.

    An activation stands inside each pair, so the pair does not merge into one k×k convolution (papers.md 2.3).
    """

    fields: ClassVar[frozenset[str]] = frozenset(
        ["kernel", "stride", "dilation", "eps", "activation", "residual", "attention", "dropout"]
    )

    def __init__(self, in_channels: int, spec: Block) -> None:
        super().__init__(in_channels, spec)
        k, width = spec.kernel, spec.width
        self.first = ConvNorm(
            in_channels, width, (k, 1), stride=spec.stride, bias=True, norm="none", activation=spec.activation
        )
        self.second = ConvNorm(width, width, (1, k), bias=True, eps=spec.eps, activation=spec.activation)
        self.third = ConvNorm(
            width, width, (k, 1), dilation=spec.dilation, bias=True, norm="none", activation=spec.activation
        )
        self.fourth = ConvNorm(width, width, (1, k), dilation=spec.dilation, bias=True, eps=spec.eps)
        self.dropout = nn.Dropout2d(spec.dropout)
        self.attention = build_attention(width, spec.attention)
        self.activation = activation_layer(spec.activation)
        self.residual = spec.residual

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, width, H', W']."""
        out = self.fourth(self.third(self.second(self.first(x))))
        out = self.attention(self.dropout(out))
        result: Tensor = self.activation(x + out if self.residual else out)
        return result

    def widths(self) -> dict[str, int]:
        """Return the widths that this block has now, by their names in the record."""
        return {"width": self.fourth.conv.out_channels}
