"""Merging a skip into the features of a decoder level."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ussearch.registry import Registry
from ussearch.search_spaces.layers import Conv2d


class Merge(nn.Module):
    """Base of all merges of ``channels`` features with ``skip_channels`` skip features."""

    def __init__(self, channels: int, skip_channels: int) -> None:
        super().__init__()
        self.out_channels = channels + skip_channels


SKIPS: Registry[type[Merge]] = Registry("skip operator")


@SKIPS.register("concat")
class Concat(Merge):
    """Features beside the skip."""

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """[B, C, H, W] and [B, S, H, W] -> [B, C + S, H, W]."""
        return torch.cat([x, skip], 1)


@SKIPS.register("add")
class Add(Merge):
    """Sum; a skip of another width passes a 1×1 convolution first (as LightAWNet's detail skip does)."""

    def __init__(self, channels: int, skip_channels: int) -> None:
        super().__init__(channels, skip_channels)
        self.out_channels = channels
        self.project = nn.Identity() if channels == skip_channels else Conv2d(skip_channels, channels, 1)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """[B, C, H, W] and [B, S, H, W] -> [B, C, H, W]."""
        out: Tensor = x + self.project(skip)
        return out


@SKIPS.register("attention_gate")
class AttentionGate(Merge):
    """Additive attention gate on the skip (Oktay et al. 2018), then concatenation."""

    def __init__(self, channels: int, skip_channels: int) -> None:
        super().__init__(channels, skip_channels)
        inner = self.inner_width(skip_channels)
        self.query = Conv2d(channels, inner, 1)
        self.key = Conv2d(skip_channels, inner, 1)
        self.activation = nn.ReLU()
        self.score = Conv2d(inner, 1, 1)

    @staticmethod
    def inner_width(skip_channels: int) -> int:
        """Return the channels in which features and skip are compared."""
        return max(skip_channels // 2, 8)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """[B, C, H, W] and [B, S, H, W] -> [B, C + S, H, W]."""
        gate = torch.sigmoid(self.score(self.activation(self.query(x) + self.key(skip))))
        return torch.cat([x, skip * gate], 1)
