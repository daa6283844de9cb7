"""YOLOX, after Ge et al., 2021: a CSP darknet, a path aggregation neck and a decoupled head at three strides."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from blocks import conv_norm
from torch import Tensor, cat, nn

Conv = Callable[[int, int, int, int], nn.Module]
"""Makes a convolution from input channels, output channels, kernel and stride."""


def dense(before: int, after: int, kernel: int, stride: int) -> nn.Module:
    """Return an ordinary convolution with norm and SiLU."""
    return conv_norm(before, after, kernel, stride, act=nn.SiLU)


def depthwise(before: int, after: int, kernel: int, stride: int) -> nn.Module:
    """Return a depthwise convolution and a pointwise one, as YOLOX-nano has them."""
    return nn.Sequential(
        conv_norm(before, before, kernel, stride, groups=before, act=nn.SiLU), dense(before, after, 1, 1)
    )


class Bottleneck(nn.Module):
    """A pointwise convolution and a 3x3 one, added to the input where asked."""

    def __init__(self, channels: int, conv: Conv, *, add: bool) -> None:
        super().__init__()
        self.block = nn.Sequential(dense(channels, channels, 1, 1), conv(channels, channels, 3, 1))
        self.add = add

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, or its sum with the input."""
        y: Tensor = self.block(x)
        return y + x if self.add else y


class CrossStage(nn.Module):
    """Two branches of half the channels, one of them with bottlenecks, joined by a pointwise convolution."""

    def __init__(self, before: int, after: int, repeats: int, conv: Conv, *, add: bool = True) -> None:
        super().__init__()
        half = after // 2
        self.deep = dense(before, half, 1, 1)
        self.flat = dense(before, half, 1, 1)
        self.blocks = nn.Sequential(*(Bottleneck(half, conv, add=add) for _ in range(repeats)))
        self.join = dense(2 * half, after, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the joined branches."""
        deep, flat = self.deep(x), self.flat(x)
        joined: Tensor = self.join(cat([self.blocks(deep), flat], 1))
        return joined


class Pyramid(nn.Module):
    """Pools at 5, 9 and 13 pixels, joined with the input between two pointwise convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = dense(channels, channels // 2, 1, 1)
        self.pools = nn.ModuleList(nn.MaxPool2d(kernel, 1, kernel // 2) for kernel in (5, 9, 13))
        self.join = dense(channels * 2, channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the joined pools."""
        x = self.reduce(x)
        joined: Tensor = self.join(cat([x, *(pool(x) for pool in self.pools)], 1))
        return joined


class Darknet(nn.Module):
    """Returns features at strides 8, 16 and 32."""

    def __init__(self, width: int, depth: int, conv: Conv) -> None:
        super().__init__()
        self.stem = dense(12, width, 3, 1)
        channels = [width * 2**stage for stage in range(5)]
        self.stages = nn.ModuleList()
        for stage, (before, after) in enumerate(pairwise(channels)):
            last = stage == 3
            repeats = depth if stage in {0, 3} else 3 * depth
            pyramid = [Pyramid(after)] if last else []
            blocks = CrossStage(after, after, repeats, conv, add=not last)
            self.stages.append(nn.Sequential(conv(before, after, 3, 2), *pyramid, blocks))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features of the last three stages."""
        quarters = [x[..., row::2, column::2] for column in (0, 1) for row in (0, 1)]
        x = self.stem(cat(quarters, 1))
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features[1:]


class Neck(nn.Module):
    """Carries features from coarse to fine, by nearest resize, and back."""

    def __init__(self, width: int, depth: int, conv: Conv) -> None:
        super().__init__()
        small, middle, large = 4 * width, 8 * width, 16 * width
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.reduce_large = dense(large, middle, 1, 1)
        self.up_middle = CrossStage(2 * middle, middle, depth, conv, add=False)
        self.reduce_middle = dense(middle, small, 1, 1)
        self.up_small = CrossStage(2 * small, small, depth, conv, add=False)
        self.down_small = conv(small, small, 3, 2)
        self.down_middle = CrossStage(2 * small, middle, depth, conv, add=False)
        self.down_large = conv(middle, middle, 3, 2)
        self.last = CrossStage(2 * middle, large, depth, conv, add=False)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Return the mixed features, in the same order and sizes."""
        small, middle, large = features
        coarse = self.reduce_large(large)
        medium = self.reduce_middle(self.up_middle(cat([self.up(coarse), middle], 1)))
        fine = self.up_small(cat([self.up(medium), small], 1))
        second = self.down_middle(cat([self.down_small(fine), medium], 1))
        return [fine, second, self.last(cat([self.down_large(second), coarse], 1))]


class Head(nn.Module):
    """Predicts classes, boxes and objectness of one stride, in separate branches."""

    def __init__(self, before: int, width: int, classes: int, conv: Conv, *, sigmoid: bool) -> None:
        super().__init__()
        self.stem = dense(before, width, 1, 1)
        self.class_branch = nn.Sequential(conv(width, width, 3, 1), conv(width, width, 3, 1))
        self.box_branch = nn.Sequential(conv(width, width, 3, 1), conv(width, width, 3, 1))
        self.classes = nn.Conv2d(width, classes, 1)
        self.box = nn.Conv2d(width, 4, 1)
        self.object = nn.Conv2d(width, 1, 1)
        self.sigmoid = sigmoid

    def forward(self, x: Tensor) -> Tensor:
        """Return 5 + classes channels."""
        x = self.stem(x)
        classes = self.classes(self.class_branch(x))
        x = self.box_branch(x)
        box, objectness = self.box(x), self.object(x)
        if self.sigmoid:
            objectness, classes = objectness.sigmoid(), classes.sigmoid()
        return cat([box, objectness, classes], 1)


class Yolox(nn.Module):
    """The whole network, without decoding of boxes and without suppression of overlapping ones.

    Args:
        width: multiple of 64 channels in the first stage.
        depth: multiple of three bottlenecks a block.
        classes: number of classes.
        conv: kind of its 3x3 convolutions.
        joined: whether the three strides end in one list of scores, as Megvii's export writes it; without it each
            stride ends in a map, and scores are left before the sigmoid.
    """

    def __init__(self, width: float, depth: float, classes: int, conv: Conv = dense, *, joined: bool) -> None:
        super().__init__()
        channels, repeats = int(64 * width), max(round(3 * depth), 1)
        self.backbone = Darknet(channels, repeats, conv)
        self.neck = Neck(channels, repeats, conv)
        before = [4 * channels, 8 * channels, 16 * channels]
        self.heads = nn.ModuleList(Head(each, 4 * channels, classes, conv, sigmoid=joined) for each in before)
        self.joined = joined

    def forward(self, x: Tensor) -> list[Tensor] | Tensor:
        """Return a map a stride, or one list of scores."""
        features = self.neck(self.backbone(x))
        maps = [head(feature) for head, feature in zip(self.heads, features, strict=True)]
        return cat([scores.flatten(2) for scores in maps], 2).transpose(1, 2) if self.joined else maps
