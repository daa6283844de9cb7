"""DeepLabV3+ and AutoSeg on EdgeTPU backbones, with the argmax their exported files have inside.

After tensorflow/models, official/projects/edgetpu/vision (configs, tasks, modeling/heads/bifpn_head.py, serving) and
official/vision/modeling (layers/deeplab.py, heads/segmentation_heads.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from published.networks.tf.edgetpu_v2 import WIDTHS, autoseg_backbone, mobilenet_edgetpu_v2
from published.networks.tf.layers import Conv, depthwise, separable

CLASSES = 32
SIZE = 512
FUSED_SIZE = 128
"""Where the fused argmax looks: 256 or 128 in the source's instructions, which of them nothing states."""
DILATIONS = (5, 10, 15)
FPN_FILTERS = 96
FPN_REPEATS = 4
FPN_LEVELS = 6


class Argmax(nn.Module):
    """Logits to classes at full size; ``fused`` looks at fewer pixels and repeats the classes.

    The exported graphs hold no ArgMax: it is written with maxima and sums, which the EdgeTPU has.
    """

    reversed_index: Tensor

    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.fused = fused
        self.register_buffer("reversed_index", torch.empty(1, CLASSES, 1, 1))

    def forward(self, logits: Tensor) -> Tensor:
        """Return the classes."""
        logits = resize(logits, FUSED_SIZE if self.fused else SIZE)
        below = logits.amax(1, keepdim=True) - logits
        is_best = 1.0 - below.clamp_max(1e-3) * 1e3
        classes = CLASSES - (is_best * self.reversed_index).amax(1, keepdim=True)
        return functional.interpolate(classes, (SIZE, SIZE)) if self.fused else classes


class DeepLab(nn.Module):
    """DeepLabV3+: dilated separable convolutions on stride 32, joined with stride 16."""

    def __init__(self, size: str, fused: bool) -> None:
        super().__init__()
        self.backbone = mobilenet_edgetpu_v2(size)
        low, channels = WIDTHS[size][4], WIDTHS[size][6]
        self.branches = nn.ModuleList([Conv(channels, 128, act="relu")])
        self.branches.extend(
            nn.Sequential(
                nn.Conv2d(channels, channels, 3, 1, rate, rate, channels, bias=False),
                nn.Conv2d(channels, 128, 1, dilation=rate, bias=False),
                nn.BatchNorm2d(128),
                nn.ReLU(inplace=True),
            )
            for rate in DILATIONS
        )
        self.pooled = nn.Sequential(nn.AvgPool2d(16), Conv(channels, 128, act="relu"))
        self.projection = Conv(5 * 128, 128, act="relu")
        self.low = Conv(low, 48, act="relu")
        self.head = nn.Sequential(
            depthwise(128 + 48, 3, act="relu"),
            Conv(128 + 48, 256, act="relu"),
            depthwise(256, 3, act="relu"),
            Conv(256, 256, act="relu"),
            Conv(256, CLASSES, norm=False),
        )
        self.argmax = Argmax(fused)

    def forward(self, image: Tensor) -> Tensor:
        """Return the classes."""
        low, high = self.backbone(image)
        branches = [branch(high) for branch in self.branches]
        branches.append(resize(self.pooled(high), high.shape[-1]))
        context = self.projection(torch.cat(branches, 1))
        low = self.low(low)
        classes: Tensor = self.argmax(self.head(torch.cat([resize(context, low.shape[-1]), low], 1)))
        return classes


class AutoSeg(nn.Module):
    """AutoSeg: four BiFPN cells with plain sums on six levels, strides 8 to 256."""

    def __init__(self, size: str, fused: bool) -> None:
        super().__init__()
        self.backbone, channels = autoseg_backbone(size)
        self.resample = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, FPN_FILTERS, 1), nn.BatchNorm2d(FPN_FILTERS)) for width in channels
        )
        self.downsample = Conv(channels[-1], FPN_FILTERS, norm=False)
        self.cells = nn.ModuleList(BiFpnCell() for _ in range(FPN_REPEATS))
        self.fusion = separable(FPN_FILTERS, FPN_FILTERS, act="relu6")
        self.classes = separable(FPN_FILTERS, CLASSES, norm=False)
        self.argmax = Argmax(fused)

    def forward(self, image: Tensor) -> Tensor:
        """Return the classes."""
        features = self.backbone(image)
        levels = [resample(feature) for resample, feature in zip(self.resample, features, strict=True)]
        coarse = self.downsample(features[-1])
        for _ in range(FPN_LEVELS - len(levels)):
            coarse = pool(coarse)
            levels.append(coarse)
        for cell in self.cells:
            levels = cell(levels)
        fused = levels[0]
        for level in levels[1:]:
            fused = fused + resize(level, fused.shape[-1])
        classes: Tensor = self.argmax(self.classes(self.fusion(fused)))
        return classes


class BiFpnCell(nn.Module):
    """One way down the pyramid, one way up; every node sums and convolves."""

    def __init__(self) -> None:
        super().__init__()
        nodes = 2 * (FPN_LEVELS - 1)
        self.nodes = nn.ModuleList(separable(FPN_FILTERS, FPN_FILTERS, act="relu6") for _ in range(nodes))

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Return the new levels."""
        nodes = iter(self.nodes)
        down = list(levels)
        for index in range(FPN_LEVELS - 2, -1, -1):
            down[index] = next(nodes)(levels[index] + resize(down[index + 1], levels[index].shape[-1]))
        up = [down[0]]
        for index in range(1, FPN_LEVELS):
            total = levels[index] + down[index] if index < FPN_LEVELS - 1 else levels[index]
            up.append(next(nodes)(total + pool(up[-1])))
        return up


def resize(x: Tensor, side: int) -> Tensor:
    """Resize to a square with bilinear interpolation; nothing if it has that size."""
    if x.shape[-1] == side:
        return x
    return functional.interpolate(x, (side, side), mode="bilinear", align_corners=False)


def pool(x: Tensor) -> Tensor:
    """Halve the size with averages of 3x3."""
    return functional.avg_pool2d(x, 3, 2, 1)
