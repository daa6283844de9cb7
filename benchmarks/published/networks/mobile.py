"""Mobile networks as PaddleClas defines them, which differ in details from the papers and from other libraries."""

from __future__ import annotations

from blocks import Residual, SqueezeExcite, conv_norm, divisible, pooled_classifier, separable, shuffled
from torch import Tensor, cat, nn

Rows = tuple[tuple[int, int, int, bool, type[nn.Module], int], ...]

SWISH, RELU = nn.Hardswish, nn.ReLU
V3_LARGE: Rows = (
    (3, 16, 16, False, RELU, 1),
    (3, 64, 24, False, RELU, 2),
    (3, 72, 24, False, RELU, 1),
    (5, 72, 40, True, RELU, 2),
    (5, 120, 40, True, RELU, 1),
    (5, 120, 40, True, RELU, 1),
    (3, 240, 80, False, SWISH, 2),
    (3, 200, 80, False, SWISH, 1),
    (3, 184, 80, False, SWISH, 1),
    (3, 184, 80, False, SWISH, 1),
    (3, 480, 112, True, SWISH, 1),
    (3, 672, 112, True, SWISH, 1),
    (5, 672, 160, True, SWISH, 2),
    (5, 960, 160, True, SWISH, 1),
    (5, 960, 160, True, SWISH, 1),
)
"""Kernel, inner channels, outer channels, whether gated, activation and stride of each block."""
V3_SMALL: Rows = (
    (3, 16, 16, True, RELU, 2),
    (3, 72, 24, False, RELU, 2),
    (3, 88, 24, False, RELU, 1),
    (5, 96, 40, True, SWISH, 2),
    (5, 240, 40, True, SWISH, 1),
    (5, 240, 40, True, SWISH, 1),
    (5, 120, 48, True, SWISH, 1),
    (5, 144, 48, True, SWISH, 1),
    (5, 288, 96, True, SWISH, 2),
    (5, 576, 96, True, SWISH, 1),
    (5, 576, 96, True, SWISH, 1),
)
V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
"""Channels and stride of each block of MobileNetV1."""
V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, channels, repeats and stride of each stage of MobileNetV2."""
LC = ((3, 32, 1), (3, 64, 2), (3, 64, 1), (3, 128, 2), (3, 128, 1), (3, 256, 2), *[(5, 256, 1)] * 5, (5, 512, 2))
LC_BLOCKS = (*LC, (5, 512, 1))
"""Kernel, channels and stride of each block of PP-LCNet; the last two are gated."""
LC_ENDS = (5, 11, 13)
"""Blocks after which PP-LCNet has reached strides 8, 16 and 32."""
SHUFFLE_WIDTHS = {
    0.25: (24, 48, 96, 512),
    0.33: (32, 64, 128, 512),
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (224, 488, 976, 2048),
}


def mobilenet_v1(scale: float) -> nn.Module:
    """Return MobileNetV1."""
    width = int(32 * scale)
    blocks: list[nn.Module] = [conv_norm(3, width, 3, 2)]
    for channels, stride in V1:
        after = int(channels * scale)
        blocks.append(separable(width, after, 3, stride, nn.ReLU))
        width = after
    return nn.Sequential(*blocks, *_classifier(width))


def mobilenet_v2(scale: float) -> nn.Module:
    """Return MobileNetV2; unlike elsewhere its widths are cut off, not rounded, and its first block expands as well."""
    width = int(32 * scale)
    blocks: list[nn.Module] = [conv_norm(3, width, 3, 2, act=nn.ReLU6)]
    for expansion, channels, repeats, first_stride in V2:
        after = int(channels * scale)
        for repeat in range(repeats):
            inner, stride = width * expansion, first_stride if repeat == 0 else 1
            block = _inverted(width, inner, after, 3, stride, acts=(nn.ReLU6, nn.ReLU6, None))
            blocks.append(Residual(block) if repeat else block)
            width = after
    last = int(1280 * scale) if scale > 1 else 1280
    return nn.Sequential(*blocks, conv_norm(width, last, act=nn.ReLU6), *_classifier(last))


def mobilenet_v3(blocks: Rows, scale: float) -> nn.Module:
    """Return MobileNetV3; every block expands, and gates have a quarter of the channels, unrounded."""
    width = divisible(16 * scale)
    layers: list[nn.Module] = [conv_norm(3, width, 3, 2, act=nn.Hardswish)]
    for kernel, inner, outer, gated, act, stride in blocks:
        after = divisible(outer * scale)
        block = _inverted(width, divisible(inner * scale), after, kernel, stride, acts=(act, act, None), gated=gated)
        layers.append(Residual(block) if stride == 1 and width == after else block)
        width = after
    last = divisible(scale * (576 if blocks is V3_SMALL else 960))
    return nn.Sequential(*layers, conv_norm(width, last, act=nn.Hardswish), *pooled_classifier(last, 1280, 1000))


def lcnet_blocks(scale: float) -> list[nn.Module]:
    """Return the first convolution and the thirteen blocks of PP-LCNet, each a module."""
    width = divisible(16 * scale)
    blocks: list[nn.Module] = [conv_norm(3, width, 3, 2, act=nn.Hardswish)]
    for kernel, channels, stride in LC_BLOCKS:
        after = divisible(channels * scale)
        blocks.append(separable(width, after, kernel, stride, nn.Hardswish, squeeze=channels == 512))
        width = after
    return blocks


def lcnet(scale: float) -> nn.Module:
    """Return PP-LCNet."""
    return nn.Sequential(*lcnet_blocks(scale), *pooled_classifier(divisible(512 * scale), 1280, 1000))


def shufflenet_v2(scale: float, act: type[nn.Module] = nn.ReLU) -> nn.Module:
    """Return ShuffleNetV2."""
    *widths, last = SHUFFLE_WIDTHS[scale]
    blocks: list[nn.Module] = [conv_norm(3, 24, 3, 2, act=act), nn.MaxPool2d(3, 2, 1)]
    for before, after, repeats in zip([24, *widths], widths, (4, 8, 4), strict=False):
        blocks.append(_Shuffle(before, after, act, down=True))
        blocks.extend(_Shuffle(after, after, act, down=False) for _ in range(repeats - 1))
    return nn.Sequential(*blocks, conv_norm(widths[-1], last, act=act), *_classifier(last))


def esnet(scale: float) -> nn.Module:
    """Return ESNet, ShuffleNetV2 with gates, and with depthwise convolutions instead of the shuffle at each stride."""
    widths = [divisible(width * scale) for width in (116, 232, 464)]
    blocks: list[nn.Module] = [conv_norm(3, 24, 3, 2, act=nn.Hardswish), nn.MaxPool2d(3, 2, 1)]
    for before, after, repeats in zip([24, *widths], widths, (3, 7, 3), strict=False):
        blocks.append(_EnhancedDown(before, after))
        blocks.extend(_Enhanced(after) for _ in range(repeats - 1))
    last = conv_norm(widths[-1], 1024, act=nn.Hardswish)
    return nn.Sequential(*blocks, last, *pooled_classifier(1024, 1280, 1000))


class _Shuffle(nn.Module):
    def __init__(self, before: int, after: int, act: type[nn.Module], *, down: bool) -> None:
        super().__init__()
        half, stride = after // 2, 2 if down else 1
        entering = before if down else before // 2
        self.main = _inverted(entering, half, half, 3, stride, acts=(act, None, act))
        depthwise = conv_norm(before, before, 3, 2, groups=before, act=None)
        self.side = nn.Sequential(depthwise, conv_norm(before, half, act=act)) if down else None

    def forward(self, x: Tensor) -> Tensor:
        if self.side is not None:
            return shuffled([self.side(x), self.main(x)])
        kept, changed = x.chunk(2, 1)
        return shuffled([kept, self.main(changed)])


class _Enhanced(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.pointwise = conv_norm(half, half, act=nn.Hardswish)
        self.depthwise = conv_norm(half, half, 3, groups=half, act=None)
        self.join = nn.Sequential(SqueezeExcite(channels), conv_norm(channels, half, act=nn.Hardswish))

    def forward(self, x: Tensor) -> Tensor:
        kept, changed = x.chunk(2, 1)
        changed = self.pointwise(changed)
        return shuffled([kept, self.join(cat([changed, self.depthwise(changed)], 1))])


class _EnhancedDown(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        half = after // 2
        depthwise = conv_norm(before, before, 3, 2, groups=before, act=None)
        self.side = nn.Sequential(depthwise, conv_norm(before, half, act=nn.Hardswish))
        self.main = _inverted(before, half, half, 3, 2, acts=(nn.Hardswish, None, nn.Hardswish), gated=True)
        self.join = separable(after, after, 3, 1, nn.Hardswish)

    def forward(self, x: Tensor) -> Tensor:
        joined: Tensor = self.join(cat([self.side(x), self.main(x)], 1))
        return joined


def _inverted(
    before: int,
    inner: int,
    after: int,
    kernel: int,
    stride: int,
    *,
    acts: tuple[type[nn.Module] | None, type[nn.Module] | None, type[nn.Module] | None],
    gated: bool = False,
) -> nn.Sequential:
    first, middle, last = acts
    return nn.Sequential(
        conv_norm(before, inner, act=first),
        conv_norm(inner, inner, kernel, stride, groups=inner, act=middle),
        *([SqueezeExcite(inner)] if gated else []),
        conv_norm(inner, after, act=last),
    )


def _classifier(features: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, 1000)]
