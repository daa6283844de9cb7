"""MnasFPN: four searched cells on MobileNetV2, for a detector with four levels.

After tensorflow/models, research/object_detection/models/ssd_mobilenet_v2_mnasfpn_feature_extractor.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from published.networks.tf.layers import Backbone, Conv, separable
from published.networks.tf.mobilenets import mobilenet_v2_blocks

DEPTH = 48
CELLS = 4
INPUT_LEVELS = (3, 4, 5, 6)
NODES = (((1, 2), 4, 3, 256), ((0, 4), 3, 3, 128), ((5, 4), 4, 3, 128), ((4, 3), 5, 5, 128), ((4, 3), 6, 3, 96))
"""Inputs, level, kernel, width of the sum."""
LEVELS = (*INPUT_LEVELS, *(level for _, level, _, _ in NODES))


class Cell(nn.Module):
    """Five nodes; the last four are the levels of the next cell, with a sum where the channels fit."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        widths = (*channels, *(DEPTH,) * len(NODES))
        self.resamples = nn.ModuleList(
            nn.ModuleList(Conv(widths[index], width) for index in inputs) for inputs, _, _, width in NODES
        )
        self.convs = nn.ModuleList(separable(width, DEPTH, kernel) for _, _, kernel, width in NODES)

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Return the four new levels."""
        features = list(levels)
        for (inputs, level, _, _), resamples, conv in zip(NODES, self.resamples, self.convs, strict=True):
            assert isinstance(resamples, nn.ModuleList)
            first, second = (
                _resample(features[index], LEVELS[index], level, resample)
                for index, resample in zip(inputs, resamples, strict=True)
            )
            features.append(conv(functional.relu6(first + second)))
        outputs = features[-len(levels) :]
        pairs = zip(outputs, levels, strict=True)
        return [new + old if new.shape == old.shape else new for new, old in pairs]


class MnasFpn(nn.Module):
    """MobileNetV2 to stride 32, one coarser level, and the cells."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone(mobilenet_v2_blocks(last=None), (6, 13, 17))
        self.coarse = Conv(320, DEPTH)
        first, other = (32, 96, 320, DEPTH), (DEPTH,) * 4
        self.cells = nn.ModuleList(Cell(first if index == 0 else other) for index in range(CELLS))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the four levels."""
        levels: list[Tensor] = self.backbone(image)
        levels.append(self.coarse(functional.max_pool2d(levels[-1], 3, 2, 1)))
        for cell in self.cells:
            levels = cell(levels)
        return levels


def _resample(x: Tensor, old: int, new: int, conv: nn.Module) -> Tensor:
    """Change the level; the convolution comes where the map is smaller."""
    if old < new:
        shrunk: Tensor = conv(functional.max_pool2d(x, 3, 2 ** (new - old), 1))
        return shrunk
    out: Tensor = conv(x)
    return functional.interpolate(out, scale_factor=2.0 ** (old - new)) if old > new else out
