"""Attention: gates on features, [B, C, H, W] in and out (the spatial gate in concat mode gives 2 C)."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from ussearch.registry import Registry
from ussearch.search_spaces.architecture import Attention
from ussearch.search_spaces.layers import Conv2d, activation_layer


class AttentionModule(nn.Module):
    """Base of all attentions."""

    def widths(self) -> dict[str, int]:
        """Return the widths that it has now, by their names in the record: the squeeze, where there is one."""
        return {}


class AttentionFactory(Protocol):
    """Builds an attention for ``channels``; the module states its ``out_channels``."""

    def __call__(self, channels: int, spec: Attention) -> nn.Module:
        """Return the module."""


ATTENTIONS: Registry[AttentionFactory] = Registry("attention")


def build_attention(channels: int, spec: Attention | None) -> nn.Module:
    """Return the attention for ``channels`` features, or an identity."""
    return nn.Identity() if spec is None else ATTENTIONS[spec.kind](channels, spec)


def attended_channels(channels: int, spec: Attention | None) -> int:
    """Return how many channels leave the attention."""
    return 2 * channels if spec is not None and spec.kind == "spatial_gate_concat" else channels


def _gate(name: str) -> nn.Module:
    return nn.Hardsigmoid() if name == "hardsigmoid" else nn.Sigmoid()


@ATTENTIONS.register("se")
class SqueezeExcitation(AttentionModule):
    """Channel attention from globally pooled features (Hu et al. 2018)."""

    def __init__(self, channels: int, spec: Attention) -> None:
        super().__init__()
        squeeze = spec.squeeze or max(channels // 4, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = spec.linear
        self.reduce = self._layer(channels, squeeze, spec.bias)
        self.activation = activation_layer(spec.activation)
        self.expand = self._layer(squeeze, channels, spec.bias)
        self.gate = _gate(spec.gate)
        self.identity = spec.identity

    def _layer(self, channels: int, out_channels: int, bias: bool) -> nn.Linear | nn.Conv2d:
        if self.linear:
            return nn.Linear(channels, out_channels, bias)
        return Conv2d(channels, out_channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Scale each channel by its gate; with ``identity`` add the input."""
        pooled = self.pool(x).flatten(1) if self.linear else self.pool(x)
        gates = self.gate(self.expand(self.activation(self.reduce(pooled))))
        gated: Tensor = x * gates.reshape(*x.shape[:2], 1, 1)
        return x + gated if self.identity else gated

    def widths(self) -> dict[str, int]:
        """Return the width between the two layers."""
        return {"squeeze": self.reduce.weight.shape[0]}


@ATTENTIONS.register("eca")
class EfficientChannelAttention(AttentionModule):
    """Channel attention by a short convolution along the channels (Wang et al. 2020).

    Written as a two-dimensional convolution, since TensorRT 8 imports no one-dimensional ones.
    """

    def __init__(self, channels: int, spec: Attention) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.conv = Conv2d(1, 1, (spec.kernel, 1), padding=(spec.kernel // 2, 0), bias=False)
        self.gate = _gate(spec.gate)

    def forward(self, x: Tensor) -> Tensor:
        """Scale each channel by its gate."""
        scores = self.conv(self.pool(x).permute(0, 2, 1, 3))
        out: Tensor = x * self.gate(scores).permute(0, 2, 1, 3)
        return out


@ATTENTIONS.register("cbam")
class ChannelThenSpatial(AttentionModule):
    """Serial channel and spatial attention (CBAM, Woo et al. 2018), the order that CEA-Net's abstract names."""

    def __init__(self, channels: int, spec: Attention) -> None:
        super().__init__()
        squeeze = spec.squeeze or max(channels // 16, 1)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.maximum = nn.AdaptiveMaxPool2d(1)
        self.mlp = nn.Sequential(
            Conv2d(channels, squeeze, 1, bias=False), nn.ReLU(), Conv2d(squeeze, channels, 1, bias=False)
        )
        self.spatial = Conv2d(2, 1, spec.kernel, padding=spec.kernel // 2, bias=False)
        self.gate = _gate(spec.gate)

    def forward(self, x: Tensor) -> Tensor:
        """Scale channels, then positions."""
        x = x * self.gate(self.mlp(self.average(x)) + self.mlp(self.maximum(x)))
        pooled = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        out: Tensor = x * self.gate(self.spatial(pooled))
        return out

    def widths(self) -> dict[str, int]:
        """Return the width between the two layers."""
        return {"squeeze": next(self.mlp.parameters()).shape[0]}


@ATTENTIONS.register("spatial_gate")
class SpatialGate(AttentionModule):
    """One gate a position from a 1×1 convolution: ``x · sigmoid(conv(x))``."""

    def __init__(self, channels: int, spec: Attention) -> None:
        super().__init__()
        self.conv = Conv2d(channels, 1, 1, bias=spec.bias)
        self.gate = _gate(spec.gate)

    def forward(self, x: Tensor) -> Tensor:
        """Scale each position."""
        out: Tensor = x * self.gate(self.conv(x))
        return out


@ATTENTIONS.register("spatial_gate_concat")
class SpatialGateConcat(SpatialGate):
    """LightAWNet's form: features beside their gated copy, 2 C channels out."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, 2 C, H, W]."""
        return torch.cat([x, super().forward(x)], 1)
