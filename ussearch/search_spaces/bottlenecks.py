"""The deep end of a network: attention over all positions, and the detail branch beside the last stages."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from ussearch.registry import Registry
from ussearch.search_spaces.architecture import Bottleneck
from ussearch.search_spaces.layers import ConvNorm, in_float32


class BottleneckFactory(Protocol):
    """Builds a bottleneck that keeps ``channels``."""

    def __call__(self, channels: int, spec: Bottleneck) -> nn.Module:
        """Return the module."""


def inner_width(channels: int, ratio: int) -> int:
    """Return the channels of queries and keys."""
    return max(channels // ratio, 1)


def similarity(queries: Tensor, keys: Tensor) -> Tensor:
    """Return the products [B, M, N] of ``queries`` [B, M, D] and ``keys`` [B, D, N], in float32 whatever the autocast.

    They are sums over channels or positions that nothing normalises: of 300.0 and 300.9 bfloat16 makes the same
    number, for a softmax one weighs 2.5 times the other.
    """
    with in_float32(queries, keys) as (first, second):
        return first @ second


BOTTLENECKS: Registry[BottleneckFactory] = Registry("bottleneck")


@BOTTLENECKS.register("nonlocal")
class NonLocal(nn.Module):
    """Self-attention with queries and keys of ``channels / ratio``; weight γ starts at 0 (LightAWNet)."""

    def __init__(self, channels: int, spec: Bottleneck) -> None:
        super().__init__()
        inner = inner_width(channels, spec.ratio)
        self.query = nn.Conv2d(channels, inner, 1)
        self.key = nn.Conv2d(channels, inner, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape."""
        scores = similarity(self.query(x).flatten(2).transpose(1, 2), self.key(x).flatten(2))
        attended = self.value(x).flatten(2) @ scores.softmax(-1).transpose(1, 2)
        out: Tensor = x + self.gamma * attended.reshape(x.shape)
        return out


@BOTTLENECKS.register("dual_affinity")
class DualAffinity(nn.Module):
    """BMIS's CSAM: spatial affinity from asymmetric projections and channel affinity, both starting at 0."""

    def __init__(self, channels: int, spec: Bottleneck) -> None:
        super().__init__()
        inner = inner_width(channels, spec.ratio)
        self.query = ConvNorm(channels, inner, (1, 3), bias=True, eps=1e-3, activation="relu")
        self.key = ConvNorm(channels, inner, (3, 1), bias=True, eps=1e-3, activation="relu")
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma_spatial = nn.Parameter(torch.zeros(1))
        self.gamma_channel = nn.Parameter(torch.zeros(1))
        self.outer_residual = spec.outer_residual

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape."""
        flat = x.flatten(2)
        scores = similarity(self.query(x).flatten(2).transpose(1, 2), self.key(x).flatten(2))
        spatial = (self.value(x).flatten(2) @ scores.softmax(-1).transpose(1, 2)).reshape(x.shape)
        affinity = similarity(flat, flat.transpose(1, 2))
        distance = affinity.amax(-1, keepdim=True) - affinity
        channel = (distance.softmax(-1) @ flat).reshape(x.shape)
        out: Tensor = (self.gamma_spatial * spatial + x) + (self.gamma_channel * channel + x)
        return x + out if self.outer_residual else out


def resize_to(x: Tensor, like: Tensor) -> Tensor:
    """Resize bilinearly (``align_corners=True``, as released) to the size of ``like``."""
    if x.shape[2:] == like.shape[2:]:
        return x
    size = (int(like.shape[2]), int(like.shape[3]))
    return functional.interpolate(x, size=size, mode="bilinear", align_corners=True)


class DetailPath(nn.Module):
    """One 1×1 convolution for each of the stages that it accompanies."""

    def __init__(self, in_channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        sources = (in_channels, *widths[:-1])
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 1) for i, o in zip(sources, widths, strict=True))

    def advance(self, step: int, detail: Tensor) -> Tensor:
        """Return the branch's features beside the ``step``-th accompanied stage."""
        out: Tensor = self.convs[step](detail)
        return out

    def widths(self) -> tuple[int, ...]:
        """Return the widths that the branch has now."""
        return tuple(conv.out_channels for conv in self.convs if isinstance(conv, nn.Conv2d))

    @staticmethod
    def gate(stage_output: Tensor, next_input: Tensor, detail: Tensor) -> tuple[Tensor, Tensor]:
        """Return (gated input of what follows, gated branch); widths of stage and branch are equal."""
        gated_next = next_input * resize_to(detail, next_input).sigmoid()
        gated_detail = detail * resize_to(stage_output, detail).sigmoid()
        return gated_next, gated_detail
