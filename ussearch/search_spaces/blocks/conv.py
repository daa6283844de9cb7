"""Plain convolution: the unit of U-Net, UNeXt and CMUNeXt."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from ussearch.search_spaces.architecture import Block
from ussearch.search_spaces.attention import build_attention
from ussearch.search_spaces.blocks.base import BLOCKS, BlockModule
from ussearch.search_spaces.layers import ConvNorm


@BLOCKS.register("conv")
class Conv(BlockModule):
    """k×k convolution, norm, activation, attention; optionally residual."""

    fields: ClassVar[frozenset[str]] = frozenset(
        [
            "kernel",
            "stride",
            "resample",
            "dilation",
            "groups",
            "bias",
            "norm",
            "norm_last",
            "eps",
            "activation",
            "residual",
            "attention",
        ]
    )

    def __init__(self, in_channels: int, spec: Block) -> None:
        super().__init__(in_channels, spec)
        self.body = ConvNorm(
            in_channels,
            spec.width,
            spec.kernel,
            stride=spec.stride,
            dilation=spec.dilation,
            groups=spec.groups,
            bias=spec.bias,
            norm=spec.norm,
            eps=spec.eps,
            activation=spec.activation,
            resample=spec.resample,
            norm_last=spec.norm_last,
        )
        self.attention = build_attention(spec.width, spec.attention)
        self.residual = spec.residual

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, width, H', W']."""
        out: Tensor = self.attention(self.body(x))
        return x + out if self.residual else out

    def widths(self) -> dict[str, int]:
        """Return the widths that this block has now, by their names in the record."""
        return {"width": self.body.conv.out_channels, "groups": self.body.conv.groups}
