"""MobileNetEdgeTPU-v2 and the searched backbones of AutoSeg-EdgeTPU.

After tensorflow/models, official/projects/edgetpu/vision/modeling/mobilenet_edgetpu_v2_model_blocks.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from published.networks.tf.layers import Backbone, Block, Conv, divisible, fused_block, inverted_residual

GROUP_SIZE = 64
STAGES = (
    (("full", 1, 1),),
    (("full", 8, 2), ("group", 4, 1)),
    (("full", 8, 2), ("group", 4, 1), ("full", 4, 1), ("group", 4, 1)),
    (("full", 8, 2), ("dw", 4, 1), ("dw", 4, 1), ("dw", 4, 1)),
    (("dw", 8, 1), ("dw", 4, 1), ("dw", 4, 1), ("dw", 4, 1)),
    (("dw", 8, 2), ("dw", 4, 1), ("dw", 4, 1), ("dw", 4, 1)),
    (("dw", 8, 1),),
)
"""Blocks of the seven groups: kind, expansion, stride; every kernel is 3x3."""
STEM = {"xs": 32, "s": 64, "m": 64}
WIDTHS = {
    "xs": (16, 32, 48, 96, 144, 160, 192),
    "s": (24, 48, 64, 128, 160, 192, 256),
    "m": (32, 64, 80, 160, 192, 240, 320),
}
LOW_LEVEL, HIGH_LEVEL = 15, 20
"""Blocks (the stem is the first) whose outputs DeepLabV3+ reads: the last of stride 16 and of stride 32."""

AUTOSEG = {
    "s": (
        ("full", 12, 3, 1, 1),
        ("full", 36, 3, 6, 2),
        ("dw", 18, 5, 3, 1),
        ("full", 60, 5, 6, 2),
        ("dw", 60, 3, 3, 1),
        ("dw", 120, 5, 6, 2),
        ("dw", 120, 3, 3, 1),
        ("dw", 120, 5, 6, 1),
        ("dw", 112, 3, 6, 1),
        ("dw", 112, 5, 6, 1),
        ("dw", 112, 5, 6, 1),
        ("plain", 112, 5, 1, 2),
        ("full", 192, 1, 6, 1),
        ("plain", 192, 5, 1, 1),
        ("full", 96, 1, 6, 1),
        ("dw", 96, 5, 3, 1),
        ("plain", 96, 5, 1, 1),
        ("full", 192, 1, 6, 1),
        ("plain", 192, 5, 1, 1),
        ("full", 160, 1, 3, 1),
    ),
    "xs": (
        ("full", 12, 3, 1, 1),
        ("full", 24, 3, 6, 2),
        ("dw", 24, 3, 3, 1),
        ("full", 60, 3, 3, 2),
        ("dw", 40, 3, 6, 1),
        ("dw", 40, 5, 3, 2),
        ("dw", 40, 3, 6, 1),
        ("full", 120, 3, 6, 1),
        ("dw", 168, 3, 6, 1),
        ("dw", 84, 5, 6, 1),
        ("dw", 84, 5, 3, 1),
        ("plain", 84, 5, 1, 2),
        ("full", 288, 1, 6, 1),
        ("plain", 288, 5, 1, 1),
        ("full", 96, 1, 3, 1),
        ("plain", 96, 5, 1, 1),
        ("plain_full", 96, 1, 6, 1),
        ("plain", 96, 5, 1, 1),
        ("plain_full", 96, 1, 6, 1),
        ("dw", 480, 5, 3, 1),
    ),
}
"""Kind, filters, kernel, expansion, stride; the plain ones have no sum (``id_skip=False`` in the source)."""


class GroupConv(nn.Module):
    """A grouped convolution as the source has it: slices, a convolution for each, their concatenation."""

    def __init__(
        self, channels: int, filters: int, kernel: int, groups: int, *, stride: int = 1, act: str = "relu"
    ) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            Conv(channels // groups, filters // groups, kernel, stride, act) for _ in range(groups)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Convolve each slice of the channels; taking a slice is a copy of its own in the runtime's list."""
        slices = x.chunk(len(self.convs), 1)
        return torch.cat([conv(part.clone()) for conv, part in zip(self.convs, slices, strict=True)], 1)


def mobilenet_edgetpu_v2(size: str) -> Backbone:
    """The backbone that gives DeepLabV3+ its low and its high level."""
    channels = STEM[size]
    blocks: list[nn.Module] = [Conv(3, channels, 5, 2, "relu")]
    for filters, stage in zip(WIDTHS[size], STAGES, strict=True):
        for kind, expansion, stride in stage:
            blocks.append(_block(kind, channels, filters, kernel=3, expansion=expansion, stride=stride))
            channels = filters
    return Backbone(blocks, (LOW_LEVEL, HIGH_LEVEL))


def autoseg_backbone(size: str) -> tuple[Backbone, Sequence[int]]:
    """The backbone of AutoSeg and its channels at stride 8, 16 and 32."""
    channels = 32
    blocks: list[nn.Module] = [Conv(3, channels, 3, 2, "relu")]
    widths = []
    for kind, width, kernel, expansion, stride in AUTOSEG[size]:
        filters = divisible(width, 4)
        blocks.append(_block(kind, channels, filters, kernel=kernel, expansion=expansion, stride=stride))
        channels = filters
        widths.append(channels)
    reduced = [index for index, block in enumerate(AUTOSEG[size]) if block[-1] == 2]
    ends = [*(index - 1 for index in reduced[1:]), len(AUTOSEG[size]) - 1][-3:]
    return Backbone(blocks, [end + 1 for end in ends]), [widths[end] for end in ends]


def _block(kind: str, channels: int, filters: int, *, kernel: int, expansion: int, stride: int) -> Block:
    hidden = channels * expansion
    residual = stride == 1 and channels == filters and not kind.startswith("plain")
    if kind == "group":
        return Block(GroupConv(channels, hidden, kernel, hidden // GROUP_SIZE), Conv(hidden, filters), residual)
    make = inverted_residual if kind in {"dw", "plain"} else fused_block
    return make(channels, filters, hidden, kernel=kernel, stride=stride, act="relu", residual=residual)
