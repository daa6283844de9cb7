"""MobileNet v1, v2, v3 and EdgeTPU as the TensorFlow detectors cut them.

After tensorflow/models, research/slim/nets (mobilenet_v1.py, mobilenet/mobilenet_v2.py, mobilenet/mobilenet_v3.py,
mobilenet/conv_blocks.py) and tf.keras' MobileNetV2, which has the same layers.
"""

from __future__ import annotations

from torch import nn

from published.networks.tf.layers import (
    Backbone,
    Conv,
    SqueezeExcite,
    depthwise,
    divisible,
    fused_block,
    inverted_residual,
)

V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
"""Filters and stride of the separable convolutions."""
V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, filters, repeats, first stride."""
V3_LARGE = (
    (1, 16, 3, 1, "relu", False),
    (4, 24, 3, 2, "relu", False),
    (3, 24, 3, 1, "relu", False),
    (3, 40, 5, 2, "relu", True),
    (3, 40, 5, 1, "relu", True),
    (3, 40, 5, 1, "relu", True),
    (6, 80, 3, 2, "hswish", False),
    (2.5, 80, 3, 1, "hswish", False),
    (184 / 80, 80, 3, 1, "hswish", False),
    (184 / 80, 80, 3, 1, "hswish", False),
    (6, 112, 3, 1, "hswish", True),
    (6, 112, 3, 1, "hswish", True),
    (6, 80, 5, 2, "hswish", True),
    (6, 80, 5, 1, "hswish", True),
    (6, 80, 5, 1, "hswish", True),
)
"""Expansion, filters, kernel, stride, activation, squeeze and excite; for detection the last filters are halved."""
V3_SMALL = (
    (1, 16, 3, 2, "relu", True),
    (72 / 16, 24, 3, 2, "relu", False),
    (88 / 24, 24, 3, 1, "relu", False),
    (4, 40, 5, 2, "hswish", True),
    (6, 40, 5, 1, "hswish", True),
    (6, 40, 5, 1, "hswish", True),
    (3, 48, 5, 1, "hswish", True),
    (3, 48, 5, 1, "hswish", True),
    (6, 48, 5, 2, "hswish", True),
    (6, 48, 5, 1, "hswish", True),
    (6, 48, 5, 1, "hswish", True),
)
EDGETPU = (
    ("fused", 1, 16, 3, 1),
    ("fused", 8, 32, 3, 2),
    *(("fused", 4, 32, 3, 1),) * 3,
    ("fused", 8, 48, 3, 2),
    *(("fused", 4, 48, 3, 1),) * 3,
    ("dw", 8, 96, 3, 2),
    *(("dw", 4, 96, 3, 1),) * 3,
    ("alone", 8, 96, 3, 1),
    *(("dw", 4, 96, 3, 1),) * 3,
    ("dw", 8, 160, 5, 2),
    *(("dw", 4, 160, 5, 1),) * 3,
    ("dw", 8, 192, 3, 1),
)
"""Kind, expansion, filters, kernel, stride; the block alone has no sum although its sizes fit."""


def mobilenet_v1() -> tuple[Backbone, tuple[int, ...]]:
    """The features of stride 8, 16 and 32, for a pyramid, and their channels."""
    return Backbone(_mobilenet_v1_blocks(), (5, 11, 13)), (256, 512, 1024)


def mobilenet_v1_ssd() -> tuple[Backbone, tuple[int, ...]]:
    """The features of stride 16 and 32, for SSD, and their channels."""
    return Backbone(_mobilenet_v1_blocks(), (11, 13)), (512, 1024)


def _mobilenet_v1_blocks() -> list[nn.Module]:
    channels = 32
    blocks: list[nn.Module] = [Conv(3, channels, 3, 2, "relu6")]
    for filters, stride in V1:
        blocks.append(nn.Sequential(depthwise(channels, 3, stride, "relu6"), Conv(channels, filters, act="relu6")))
        channels = filters
    return blocks


def mobilenet_v2_blocks(last: int | None = 1280) -> list[nn.Module]:
    """The stem, the 17 blocks and, if ``last`` says how wide, the last convolution."""
    channels = 32
    blocks: list[nn.Module] = [Conv(3, channels, 3, 2, "relu6")]
    for expansion, filters, repeats, first_stride in V2:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            blocks.append(
                inverted_residual(channels, filters, channels * expansion, kernel=3, stride=stride, act="relu6")
            )
            channels = filters
    if last is not None:
        blocks.append(Conv(channels, last, act="relu6"))
    return blocks


def mobilenet_v2() -> tuple[Backbone, tuple[int, ...]]:
    """The expansion of stride 16 and the last convolution, for SSD, and their channels."""
    return Backbone(mobilenet_v2_blocks(), (18,), (14,)), (576, 1280)


def mobilenet_v2_pyramid() -> tuple[Backbone, tuple[int, ...]]:
    """The features of stride 8, 16 and 32, for a pyramid, and their channels."""
    return Backbone(mobilenet_v2_blocks(), (6, 13, 18)), (32, 96, 1280)


def mobilenet_v3_large() -> tuple[Backbone, tuple[int, ...]]:
    """The expansion of stride 16 and the last convolution, for SSD, and their channels."""
    blocks = [*_mobilenet_v3_blocks(V3_LARGE), Conv(80, 480, act="hswish")]
    return Backbone(blocks, (16,), (13,)), (672, 480)


def mobilenet_v3_small() -> tuple[Backbone, tuple[int, ...]]:
    """The expansion of stride 16 and the last convolution, for SSD, and their channels."""
    blocks = [*_mobilenet_v3_blocks(V3_SMALL), Conv(48, 288, act="hswish")]
    return Backbone(blocks, (12,), (9,)), (288, 288)


def mobilenet_edgetpu() -> tuple[Backbone, tuple[int, ...]]:
    """The last expansion of stride 16 and the last block, for SSD, and their channels."""
    channels = 32
    blocks: list[nn.Module] = [Conv(3, channels, 3, 2, "relu")]
    for kind, expansion, filters, kernel, stride in EDGETPU:
        make = fused_block if kind == "fused" else inverted_residual
        residual = False if kind == "alone" else None
        hidden = channels * expansion
        blocks.append(make(channels, filters, hidden, kernel=kernel, stride=stride, act="relu", residual=residual))
        channels = filters
    return Backbone(blocks, (22,), (17,)), (384, 192)


def _mobilenet_v3_blocks(spec: tuple[tuple[float, int, int, int, str, bool], ...]) -> list[nn.Module]:
    channels = 16
    blocks: list[nn.Module] = [Conv(3, channels, 3, 2, "hswish")]
    for expansion, filters, kernel, stride, act, excited in spec:
        hidden = divisible(channels * expansion)
        excite = SqueezeExcite(hidden, divisible(hidden / 4), "relu", "hsigmoid") if excited else None
        blocks.append(
            inverted_residual(channels, filters, hidden, kernel=kernel, stride=stride, act=act, excite=excite)
        )
        channels = filters
    return blocks
