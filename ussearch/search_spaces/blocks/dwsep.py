"""Depthwise-separable convolution (MobileNet)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from ussearch.search_spaces.architecture import Block
from ussearch.search_spaces.attention import build_attention
from ussearch.search_spaces.blocks.base import BLOCKS, BlockModule
from ussearch.search_spaces.layers import ConvNorm


@BLOCKS.register("dwsep")
class DepthwiseSeparable(BlockModule):
    """Depthwise k×k and pointwise 1×1 convolution, each with norm and activation; attention on the output."""

    fields: ClassVar[frozenset[str]] = frozenset(
        ["kernel", "stride", "dilation", "norm", "bias", "eps", "activation", "residual", "attention"]
    )

    def __init__(self, in_channels: int, spec: Block) -> None:
        super().__init__(in_channels, spec)
        self.depthwise = ConvNorm(
            in_channels,
            in_channels,
            spec.kernel,
            stride=spec.stride,
            dilation=spec.dilation,
            groups=in_channels,
            bias=spec.bias,
            norm=spec.norm,
            eps=spec.eps,
            activation=spec.activation,
        )
        self.pointwise = ConvNorm(
            in_channels, spec.width, bias=spec.bias, norm=spec.norm, eps=spec.eps, activation=spec.activation
        )
        self.attention = build_attention(spec.width, spec.attention)
        self.residual = spec.residual

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, width, H', W']."""
        out: Tensor = self.attention(self.pointwise(self.depthwise(x)))
        return x + out if self.residual else out

    def widths(self) -> dict[str, int]:
        """Return the widths that this block has now, by their names in the record."""
        return {"width": self.pointwise.conv.out_channels}
