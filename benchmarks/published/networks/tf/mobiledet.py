"""MobileDet's backbones for CPUs and the EdgeTPU.

After tensorflow/models, research/object_detection/models/ssd_mobiledet_feature_extractor.py.
"""

from __future__ import annotations

from torch import nn

from published.networks.tf.layers import Backbone, Block, Conv, SqueezeExcite, fused_block, inverted_residual

CPU = (
    (16, 4, 3, 2, False),
    (32, 8, 3, 2, False),
    *((32, 4, 3, 1, True),) * 3,
    (72, 8, 5, 2, False),
    (72, 8, 3, 1, True),
    (72, 4, 5, 1, True),
    (72, 4, 3, 1, True),
    (72, 8, 3, 1, False),
    *((72, 8, 3, 1, True),) * 3,
    (104, 8, 5, 2, False),
    *((104, 4, 5, 1, True),) * 2,
    (104, 4, 3, 1, True),
    (144, 8, 3, 1, False),
)
"""Filters, expansion, kernel, stride, sum with the input."""
EDGETPU = (
    ("fused", 16, 8, 3, 2, False),
    ("fused", 16, 4, 3, 1, True),
    ("fused", 16, 8, 3, 1, True),
    ("fused", 16, 4, 3, 1, True),
    ("fused", 40, 8, 5, 2, False),
    *(("fused", 40, 4, 3, 1, True),) * 3,
    ("dw", 72, 8, 3, 2, False),
    ("dw", 72, 8, 3, 1, True),
    *(("fused", 72, 4, 3, 1, True),) * 2,
    ("dw", 96, 8, 5, 1, False),
    ("dw", 96, 8, 5, 1, True),
    *(("dw", 96, 8, 3, 1, True),) * 2,
    ("dw", 120, 8, 5, 2, False),
    ("dw", 120, 8, 3, 1, True),
    ("dw", 120, 4, 5, 1, True),
    ("dw", 120, 8, 3, 1, True),
    ("dw", 384, 8, 5, 1, False),
)
"""Kind, filters, expansion, kernel, stride, sum with the input."""


def mobiledet_cpu() -> tuple[Backbone, tuple[int, ...]]:
    """The features of stride 16 and 32 and their channels."""
    blocks: list[nn.Module] = [
        Conv(3, 16, 3, 2, "hswish"),
        inverted_residual(16, 8, 16, kernel=3, stride=1, act="hswish", excite=_excite(16), residual=False),
    ]
    channels = 8
    for filters, expansion, kernel, stride, residual in CPU:
        hidden = channels * expansion
        blocks.append(
            inverted_residual(
                channels,
                filters,
                hidden,
                kernel=kernel,
                stride=stride,
                act="hswish",
                excite=_excite(hidden),
                residual=residual,
            )
        )
        channels = filters
    return Backbone(blocks, (14, 19)), (72, 144)


def mobiledet_edgetpu() -> tuple[Backbone, tuple[int, ...]]:
    """The features of stride 16 and 32 and their channels."""
    blocks: list[nn.Module] = [Conv(3, 32, 3, 2, "relu6"), tucker(32, 16, 8, 16)]
    channels = 16
    for kind, filters, expansion, kernel, stride, residual in EDGETPU:
        make = fused_block if kind == "fused" else inverted_residual
        hidden = channels * expansion
        blocks.append(make(channels, filters, hidden, kernel=kernel, stride=stride, act="relu6", residual=residual))
        channels = filters
    return Backbone(blocks, (17, 22)), (96, 384)


def tucker(channels: int, filters: int, input_rank: int, output_rank: int) -> Block:
    """1x1 to few channels, 3x3, linear 1x1."""
    rest = nn.Sequential(Conv(input_rank, output_rank, 3, act="relu6"), Conv(output_rank, filters))
    return Block(Conv(channels, input_rank, act="relu6"), rest, residual=False)


def scaled(filters: float, multiplier: float) -> int:
    """Return a share of ``filters`` in the nearest multiple of eight."""
    return max(8 * int(int(filters) * multiplier / 8 + 0.5), 8)


def _excite(channels: int) -> SqueezeExcite:
    return SqueezeExcite(channels, scaled(channels, 0.25), "hswish", "sigmoid")
