"""From the last decoder features to logits at full resolution."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from ussearch.registry import Registry
from ussearch.search_spaces.architecture import Head
from ussearch.search_spaces.blocks.dynconv import DynamicConv
from ussearch.search_spaces.layers import Bilinear


class HeadFactory(Protocol):
    """Builds the layer from ``channels`` features to ``classes`` logits."""

    def __call__(self, channels: int, classes: int, spec: Head) -> nn.Module:
        """Return the module."""


HEADS: Registry[HeadFactory] = Registry("head")


@HEADS.register("conv")
def conv_head(channels: int, classes: int, spec: Head) -> nn.Module:
    """A convolution with bias."""
    return nn.Conv2d(channels, classes, spec.kernel, padding=spec.kernel // 2)


@HEADS.register("transposed")
def transposed_head(channels: int, classes: int, spec: Head) -> nn.Module:
    """A 2×2 transposed convolution that doubles the resolution (BMIS)."""
    return nn.ConvTranspose2d(channels, classes, 2, 2)


@HEADS.register("dynconv")
def dynamic_head(channels: int, classes: int, spec: Head) -> nn.Module:
    """A dynamic convolution with batch norm (LightAWNet)."""
    return DynamicConv(channels, classes, spec.kernel, spec.experts, spec.eps)


class HeadModule(nn.Module):
    """The head's layer, then enlargement of its logits."""

    def __init__(self, channels: int, classes: int, spec: Head) -> None:
        super().__init__()
        self.layer = HEADS[spec.kind](channels, classes, spec)
        self.upsample = Bilinear(spec.upsample) if spec.upsample > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, classes, H', W']."""
        out: Tensor = self.upsample(self.layer(x))
        return out
