"""ConvNeXt-order bottleneck: depthwise first, then expansion; the body of LightAWNet's block."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from ussearch.search_spaces.architecture import Block
from ussearch.search_spaces.attention import attended_channels, build_attention
from ussearch.search_spaces.blocks.base import BLOCKS, BlockModule
from ussearch.search_spaces.layers import ConvNorm


@BLOCKS.register("convnext")
class DepthwiseFirst(BlockModule):
    """Depthwise k×k (bias), 1×1 to ``hidden`` with norm and activation, attention, 1×1 (bias) to ``width``."""

    fields: ClassVar[frozenset[str]] = frozenset(
        ["kernel", "stride", "hidden", "eps", "activation", "residual", "attention"]
    )

    def __init__(self, in_channels: int, spec: Block) -> None:
        super().__init__(in_channels, spec)
        hidden = spec.hidden or 4 * in_channels
        self.depthwise = nn.Conv2d(
            in_channels, in_channels, spec.kernel, spec.stride, spec.kernel // 2, groups=in_channels
        )
        self.expand = ConvNorm(in_channels, hidden, bias=True, eps=spec.eps, activation=spec.activation)
        self.attention = build_attention(hidden, spec.attention)
        self.reduce = nn.Conv2d(attended_channels(hidden, spec.attention), spec.width, 1)
        self.residual = spec.residual

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, width, H', W']."""
        out: Tensor = self.reduce(self.attention(self.expand(self.depthwise(x))))
        return x + out if self.residual else out

    def widths(self) -> dict[str, int]:
        """Return the widths that this block has now, by their names in the record."""
        return {"width": self.reduce.out_channels, "hidden": self.expand.conv.out_channels}
