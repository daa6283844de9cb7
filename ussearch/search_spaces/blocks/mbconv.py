"""Inverted residual (MobileNetV2/V3, EfficientNet): the encoder block of LAEDNet and of LV-UNet's first stages."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from ussearch.search_spaces.architecture import Block
from ussearch.search_spaces.attention import build_attention
from ussearch.search_spaces.blocks.base import BLOCKS, BlockModule
from ussearch.search_spaces.layers import ConvNorm


@BLOCKS.register("mbconv")
class InvertedResidual(BlockModule):
    """1×1 to ``hidden``, depthwise k×k, attention on the hidden features, linear 1×1 to ``width``.

    The first convolution is left out where ``hidden`` equals the input, as in the published networks.
    """

    fields: ClassVar[frozenset[str]] = frozenset(
        ["kernel", "stride", "hidden", "dilation", "eps", "activation", "residual", "attention"]
    )

    def __init__(self, in_channels: int, spec: Block) -> None:
        super().__init__(in_channels, spec)
        hidden = spec.hidden or in_channels
        self.expand: nn.Module = nn.Identity()
        if hidden != in_channels:
            self.expand = ConvNorm(in_channels, hidden, eps=spec.eps, activation=spec.activation)
        self.depthwise = ConvNorm(
            hidden,
            hidden,
            spec.kernel,
            stride=spec.stride,
            dilation=spec.dilation,
            groups=hidden,
            eps=spec.eps,
            activation=spec.activation,
        )
        self.attention = build_attention(hidden, spec.attention)
        self.project = ConvNorm(hidden, spec.width, eps=spec.eps)
        self.residual = spec.residual

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, width, H', W']."""
        out: Tensor = self.project(self.attention(self.depthwise(self.expand(x))))
        return x + out if self.residual else out

    def widths(self) -> dict[str, int]:
        """Return the widths that this block has now, by their names in the record."""
        return {"width": self.project.conv.out_channels, "hidden": self.depthwise.conv.out_channels}
