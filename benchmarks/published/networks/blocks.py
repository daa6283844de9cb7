"""Building blocks that several of the networks share."""

from __future__ import annotations

from torch import Tensor, cat, nn


def divisible(width: float, by: int = 8) -> int:
    """Return the multiple of ``by`` nearest to a width, never more than a tenth below it."""
    rounded = max(by, int(width + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * width else rounded


def conv_norm(
    before: int,
    after: int,
    kernel: int = 1,
    stride: int = 1,
    *,
    groups: int = 1,
    act: type[nn.Module] | None = nn.ReLU,
) -> nn.Sequential:
    """Return a convolution that keeps the size at stride 1, a batch norm and an activation."""
    conv = nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after), *([act()] if act else []))


def separable(
    before: int, after: int, kernel: int, stride: int, act: type[nn.Module], *, squeeze: bool = False
) -> nn.Sequential:
    """Return a depthwise convolution and a pointwise one, both with norm and activation."""
    gate = [SqueezeExcite(before)] if squeeze else []
    return nn.Sequential(
        conv_norm(before, before, kernel, stride, groups=before, act=act), *gate, conv_norm(before, after, act=act)
    )


class SqueezeExcite(nn.Module):
    """Scales channels by a gate computed from their means, with a quarter of the channels in between."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, channels // 4, 1),
            nn.ReLU(),
            nn.Conv2d(channels // 4, channels, 1),
            nn.Hardsigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the gated channels."""
        gated: Tensor = x * self.gate(x)
        return gated


class Residual(nn.Module):
    """Adds what a block makes of its input to the input."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum."""
        total: Tensor = x + self.block(x)
        return total


def shuffled(parts: list[Tensor]) -> Tensor:
    """Join two halves and interleave their channels."""
    joined = cat(parts, 1)
    batch, channels, height, width = joined.shape
    return joined.reshape(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(joined.shape)


def pooled_classifier(features: int, hidden: int, classes: int) -> nn.Sequential:
    """Return the head of the mobile networks: mean, a pointwise convolution to ``hidden``, and the classifier."""
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(1),
        nn.Conv2d(features, hidden, 1, bias=False),
        nn.Hardswish(),
        nn.Flatten(),
        nn.Linear(hidden, classes),
    )
