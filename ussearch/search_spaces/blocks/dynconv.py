"""Convolution with kernels mixed per image (CondConv), as LightAWNet uses it. Neither folds away nor quantises."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ussearch.search_spaces.architecture import Block
from ussearch.search_spaces.blocks.base import BLOCKS, BlockModule
from ussearch.search_spaces.layers import activation_layer, batch_norm_affine


class DynamicConv(nn.Module):
    """K expert kernels, mixed for each image by sigmoid routing of its pooled features; batch norm."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, experts: int, eps: float) -> None:
        super().__init__()
        self.kernel, self.out_channels = kernel, out_channels
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.routing = nn.Conv2d(in_channels, experts, 1)
        self.experts = nn.Parameter(torch.empty(experts, out_channels, in_channels, kernel, kernel))
        self.shift: nn.Parameter | None = None
        self.norm: nn.BatchNorm2d | nn.Identity = nn.BatchNorm2d(out_channels, eps=eps)
        for expert in self.experts:
            nn.init.kaiming_uniform_(expert, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, out, H, W]; one grouped convolution whose groups are the images."""
        batch, channels, height, width = x.shape
        routing = torch.sigmoid(self.routing(self.pool(x))).flatten(1)
        kernels = (routing @ self.experts.flatten(1)).reshape(-1, channels, self.kernel, self.kernel)
        merged = functional.conv2d(
            x.reshape(1, batch * channels, height, width), kernels, padding=self.kernel // 2, groups=batch
        )
        out = merged.reshape(batch, self.out_channels, height, width)
        if self.shift is not None:
            out = out + self.shift.reshape(1, -1, 1, 1)
        result: Tensor = self.norm(out)
        return result

    def fold_(self) -> None:
        """Fold the batch norm: its scale into every expert, its shift into a bias."""
        if isinstance(self.norm, nn.BatchNorm2d):
            scale, shift = batch_norm_affine(self.norm)
            with torch.no_grad():
                self.experts.copy_(self.experts.double() * scale.reshape(1, -1, 1, 1, 1))
            self.shift = nn.Parameter(shift.to(self.experts))
            self.norm = nn.Identity()


@BLOCKS.register("dynconv")
class DynamicConvBlock(BlockModule):
    """A dynamic convolution with batch norm, followed by an activation (none in LightAWNet)."""

    fields: ClassVar[frozenset[str]] = frozenset(["kernel", "experts", "eps", "activation"])

    def __init__(self, in_channels: int, spec: Block) -> None:
        super().__init__(in_channels, spec)
        self.body = DynamicConv(in_channels, spec.width, spec.kernel, spec.experts, spec.eps)
        self.activation = activation_layer(spec.activation)

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, width, H, W]."""
        out: Tensor = self.activation(self.body(x))
        return out

    def widths(self) -> dict[str, int]:
        """Return the widths that this block has now, by their names in the record."""
        return {"width": self.body.experts.shape[1]}
