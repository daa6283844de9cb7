"""Single-shot detectors up to the raw boxes and scores of all anchors: what follows (NMS) is not part of the tables.

After tensorflow/models, research/object_detection (models/feature_map_generators.py, predictors/, configs/).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from published.networks.tf.layers import Conv, depthwise, separable

CLASSES = 91
"""90 classes of COCO and the background."""
EXTRA_DEPTHS = (512, 256, 256, 128)
SSD_ANCHORS = (3, 6, 6, 6, 6, 6)

Features = tuple[nn.Module, tuple[int, ...]]
"""A backbone that returns a list of features, and their channels."""


class ExtraLevels(nn.Module):
    """A backbone's features and, halving the size each time, four more."""

    def __init__(self, features: Features, *, lite: bool) -> None:
        super().__init__()
        self.backbone, channels = features
        self.levels = nn.ModuleList()
        width = channels[-1]
        for depth in EXTRA_DEPTHS:
            layers: list[nn.Module] = [Conv(width, depth // 2, act="relu6")]
            if lite:
                layers += [depthwise(depth // 2, 3, 2, "relu6"), Conv(depth // 2, depth, act="relu6")]
            else:
                layers.append(Conv(depth // 2, depth, 3, 2, "relu6"))
            self.levels.append(nn.Sequential(*layers))
            width = depth
        self.channels = (*channels, *EXTRA_DEPTHS)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return all levels."""
        features: list[Tensor] = list(self.backbone(image))
        for level in self.levels:
            features.append(level(features[-1]))
        return features


class Pyramid(nn.Module):
    """A top-down pyramid on three features, and two coarser levels from its top: strides 8 to 128."""

    def __init__(self, features: Features, depth: int, *, lite: bool) -> None:
        super().__init__()
        self.backbone, channels = features

        def convolve(stride: int) -> nn.Module:
            if lite:
                return separable(depth, depth, 3, stride, "relu6")
            return Conv(depth, depth, 3, stride, "relu6")

        self.projections = nn.ModuleList(Conv(width, depth, norm=False) for width in channels)
        self.smoothings = nn.ModuleList(convolve(1) for _ in channels[1:])
        self.coarse = nn.ModuleList(convolve(2) for _ in range(2))
        self.channels = (depth,) * (len(channels) + 2)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return all levels, the finest first."""
        features = self.backbone(image)
        top: Tensor = self.projections[-1](features[-1])
        levels = [top]
        for index in range(len(features) - 2, -1, -1):
            lateral: Tensor = self.projections[index](features[index])
            merged = functional.interpolate(levels[0], scale_factor=2.0) + lateral
            levels.insert(0, self.smoothings[index](merged))
        for convolve in self.coarse:
            top = convolve(top)
            levels.append(top)
        return levels


class Detector(nn.Module):
    """Levels of features, then boxes and scores of each, in two long lists."""

    mean: Tensor

    def __init__(self, levels: nn.Module, predictor: nn.Module, preprocessing: str | None = None) -> None:
        super().__init__()
        self.levels = levels
        self.predictor = predictor
        self.preprocessing = preprocessing
        if preprocessing == "mean":
            self.register_buffer("mean", torch.empty(1, 3, 1, 1))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes and scores."""
        if self.preprocessing == "scale":
            image = image * (2.0 / 255.0) - 1.0
        elif self.preprocessing == "mean":
            image = image - self.mean
        boxes, scores = zip(*self.predictor(self.levels(image)), strict=True)
        return _anchors(boxes, 4), _anchors(scores, CLASSES)


class SsdPredictor(nn.Module):
    """Two convolutions for each level; ``lite`` ones are separable with an activation in between."""

    def __init__(
        self, channels: Sequence[int], kernel: int, *, lite: bool, anchors: Sequence[int] = SSD_ANCHORS
    ) -> None:
        super().__init__()

        def head(width: int, filters: int) -> nn.Module:
            if lite:
                return nn.Sequential(depthwise(width, kernel, act="relu6"), Conv(width, filters, norm=False))
            return Conv(width, filters, kernel, norm=False)

        pairs = list(zip(channels, anchors, strict=True))
        self.boxes = nn.ModuleList(head(width, number * 4) for width, number in pairs)
        self.scores = nn.ModuleList(head(width, number * CLASSES) for width, number in pairs)

    def forward(self, levels: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Return boxes and scores of each level."""
        heads = zip(levels, self.boxes, self.scores, strict=True)
        return [(boxes(level), scores(level)) for level, boxes, scores in heads]


class SharedPredictor(nn.Module):
    """The same four convolutions and heads on every level, but batch norms of each level's own.

    ``lite`` ones are separable and share their four convolutions between boxes and scores.
    """

    def __init__(self, levels: int, depth: int, channels: int, anchors: int, *, lite: bool) -> None:
        super().__init__()
        self.lite = lite
        towers = 1 if lite else 2
        self.towers = nn.ModuleList(Tower(levels, depth, channels, lite=lite) for _ in range(towers))

        def head(filters: int) -> nn.Module:
            return separable(depth, filters, norm=False) if lite else Conv(depth, filters, 3, norm=False)

        self.boxes, self.scores = head(anchors * 4), head(anchors * CLASSES)

    def forward(self, levels: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Return boxes and scores of each level."""
        outputs = []
        for index, level in enumerate(levels):
            towers = [tower(level, index) for tower in self.towers]
            outputs.append((self.boxes(towers[0]), self.scores(towers[-1])))
        return outputs


class Tower(nn.Module):
    """Four convolutions with weights shared by all levels."""

    def __init__(self, levels: int, depth: int, channels: int, *, lite: bool) -> None:
        super().__init__()
        self.convs = nn.ModuleList()
        self.norms = nn.ModuleList()
        for index in range(4):
            width = channels if index == 0 else depth
            if lite:
                pointwise = nn.Conv2d(width, depth, 1, bias=False)
                self.convs.append(nn.Sequential(depthwise(width, 3, norm=False), pointwise))
            else:
                self.convs.append(nn.Conv2d(width, depth, 3, padding=1, bias=False))
            self.norms.append(nn.ModuleList(nn.BatchNorm2d(depth) for _ in range(levels)))

    def forward(self, x: Tensor, level: int) -> Tensor:
        """Apply the convolutions with the batch norms of ``level``."""
        for conv, norms in zip(self.convs, self.norms, strict=True):
            assert isinstance(norms, nn.ModuleList)
            x = functional.hardtanh_(norms[level](conv(x)), 0.0, 6.0)
        return x


def _anchors(maps: Sequence[Tensor], values: int) -> Tensor:
    return torch.cat([level.permute(0, 2, 3, 1).reshape(1, -1, values) for level in maps], 1)
