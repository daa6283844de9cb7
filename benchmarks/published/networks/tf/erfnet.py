"""ERFNet for two classes: factorised 3x1 and 1x3 convolutions, and transposed ones on the way up.

After Eromera/erfnet_pytorch, train/erfnet.py.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CLASSES = 2
DILATIONS = (2, 4, 8, 16)


class Downsampler(nn.Module):
    """A strided convolution beside a pool."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, filters - channels, 3, 2, 1)
        self.norm = nn.BatchNorm2d(filters)

    def forward(self, x: Tensor) -> Tensor:
        """Halve the size."""
        joined = torch.cat([self.conv(x), functional.max_pool2d(x, 2, 2)], 1)
        return functional.relu(self.norm(joined))


class NonBottleneck(nn.Module):
    """Two pairs of 3x1 and 1x3, the second dilated, and a sum."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, (3, 1), 1, (1, 0)),
            nn.ReLU(),
            nn.Conv2d(channels, channels, (1, 3), 1, (0, 1)),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, (3, 1), 1, (dilation, 0), (dilation, 1)),
            nn.ReLU(),
            nn.Conv2d(channels, channels, (1, 3), 1, (0, dilation), (1, dilation)),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        out: Tensor = self.body(x)
        return functional.relu(out + x)


def erfnet() -> nn.Sequential:
    """The whole network."""
    layers: list[nn.Module] = [Downsampler(3, 16), Downsampler(16, 64)]
    layers += [NonBottleneck(64, 1) for _ in range(5)]
    layers.append(Downsampler(64, 128))
    layers += [NonBottleneck(128, dilation) for _ in range(2) for dilation in DILATIONS]
    for channels, filters in ((128, 64), (64, 16)):
        layers += [nn.ConvTranspose2d(channels, filters, 3, 2, 1, 1), nn.BatchNorm2d(filters), nn.ReLU()]
        layers += [NonBottleneck(filters, 1) for _ in range(2)]
    layers.append(nn.ConvTranspose2d(16, CLASSES, 2, 2))
    return nn.Sequential(*layers)
