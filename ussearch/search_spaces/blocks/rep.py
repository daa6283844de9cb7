"""Parallel branches that become one convolution: RepVGG (Ding et al. 2021) and ACNet (Ding et al. 2019) together."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ussearch.search_spaces.architecture import Block
from ussearch.search_spaces.attention import build_attention
from ussearch.search_spaces.blocks.base import BLOCKS, BlockModule
from ussearch.search_spaces.layers import ConvNorm, activation_layer, batch_norm_affine, builds_folded


@BLOCKS.register("rep")
class Reparametrised(BlockModule):
    """The sum of k×k, 1×k and k×1 convolutions, each with its batch norm, and a normed identity; activation, attention.

    The identity is there where width and resolution stay. ``groups`` of 1 is a dense convolution, equal to the
    width a depthwise one. Merged, it is one k×k convolution with bias, whatever the branches were.
    """

    fields: ClassVar[frozenset[str]] = frozenset(
        ["kernel", "stride", "groups", "eps", "activation", "residual", "attention"]
    )

    def __init__(self, in_channels: int, spec: Block) -> None:
        super().__init__(in_channels, spec)
        k = spec.kernel
        sizes = [(k, k)] if builds_folded() or k == 1 else [(k, k), (1, k), (k, 1)]
        self.branches = nn.ModuleList(
            ConvNorm(in_channels, spec.width, size, stride=spec.stride, groups=spec.groups, eps=spec.eps)
            for size in sizes
        )
        self.identity: nn.Module | None = None
        if in_channels == spec.width and spec.stride == 1 and not builds_folded():
            self.identity = nn.BatchNorm2d(spec.width, eps=spec.eps)
        self.activation = activation_layer(spec.activation)
        self.attention = build_attention(spec.width, spec.attention)
        self.residual = spec.residual

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, width, H', W']."""
        out: Tensor = self.branches[0](x)
        for branch in self.branches[1:]:
            out = out + branch(x)
        if self.identity is not None:
            out = out + self.identity(x)
        out = self.attention(self.activation(out))
        return x + out if self.residual else out

    def widths(self) -> dict[str, int]:
        """Return the widths that this block has now, by their names in the record."""
        conv = next(module for module in self.branches.modules() if isinstance(module, nn.Conv2d))
        return {"width": conv.out_channels, "groups": conv.groups}

    def fold_(self) -> None:
        """Fold every norm, centre the smaller kernels in the k×k one and add all; the identity is a centred 1."""
        for branch in self.branches:
            branch.fold_()  # type: ignore[operator]
        if not isinstance(self.identity, nn.BatchNorm2d) and len(self.branches) == 1:
            return
        main = self.branches[0].conv
        assert isinstance(main, nn.Conv2d) and main.bias is not None
        with torch.no_grad():
            weight, bias = main.weight.double(), main.bias.double()
            for branch in self.branches[1:]:
                conv = branch.conv
                assert isinstance(conv, nn.Conv2d) and conv.bias is not None
                weight, bias = weight + _centred(conv.weight.double(), main.kernel_size), bias + conv.bias.double()
            if isinstance(self.identity, nn.BatchNorm2d):
                scale, shift = batch_norm_affine(self.identity)
                unit = torch.eye(main.in_channels // main.groups, dtype=torch.float64, device=weight.device)
                kernel = unit.repeat(main.groups, 1)[:, :, None, None] * scale.reshape(-1, 1, 1, 1)
                weight, bias = weight + _centred(kernel, main.kernel_size), bias + shift
            main.weight.copy_(weight)
            main.bias.copy_(bias)
        self.branches, self.identity = self.branches[:1], None


def _centred(kernel: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return a kernel [O, I, h, w] in the middle of zeros [O, I, *size]."""
    rows, columns = (size[0] - kernel.shape[2]) // 2, (size[1] - kernel.shape[3]) // 2
    return functional.pad(kernel, [columns, columns, rows, rows])
