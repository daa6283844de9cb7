"""PP-PicoDet of March 2022: PP-LCNet, a depthwise path aggregation neck and a head with a gate, at four strides."""

from __future__ import annotations

from blocks import conv_norm, divisible, separable
from counting import folded_count
from entry import Entry
from mobile import LC_BLOCKS, LC_ENDS, lcnet_blocks
from torch import Tensor, cat, nn
from torch.nn.functional import adaptive_avg_pool2d, hardswish

REPOSITORY = "PaddlePaddle/PaddleDetection 084e537"
NAME = "PicoDet-{} (LCNet, CSP-PAN: depthwise 5x5, nearest resize, concat)"
SIZES = {"XS": (0.35, 96, 2), "S": (0.75, 96, 2), "M": (1.5, 128, 4), "L": (2.0, 160, 4)}
"""Width of the backbone, channels of neck and head, convolutions of the head."""
FIGURES = (
    ("XS", 320, "0.70M", "0.335"),
    ("XS", 416, "0.70M", "0.565"),
    ("S", 320, "1.18M", "0.485"),
    ("S", 416, "1.18M", "0.825"),
    ("M", 320, "3.46M", "1.285"),
    ("M", 416, "3.46M", "2.17"),
    ("L", 320, "5.80M", "2.10"),
    ("L", 416, "5.80M", "3.55"),
    ("L", 640, "5.80M", "8.405"),
)
CLASSES, BINS = 80, 8


def _depthwise(channels: int, stride: int) -> nn.Sequential:
    return separable(channels, channels, 5, stride, nn.Hardswish)


class Neck(nn.Module):
    """Carries features from coarse to fine and back, and makes a fourth, coarser map."""

    def __init__(self, before: list[int], channels: int) -> None:
        super().__init__()
        self.reduce = nn.ModuleList(conv_norm(width, channels, act=nn.Hardswish) for width in before)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.finer = nn.ModuleList(self._mix(channels) for _ in range(2))
        self.coarser = nn.ModuleList(self._mix(channels) for _ in range(2))
        self.down = nn.ModuleList(_depthwise(channels, 2) for _ in range(2))
        self.top = nn.ModuleList(_depthwise(channels, 2) for _ in range(2))

    @staticmethod
    def _mix(channels: int) -> nn.Sequential:
        wide = separable(2 * channels, 2 * channels, 5, 1, nn.Hardswish)
        return nn.Sequential(wide, separable(2 * channels, channels, 5, 1, nn.Hardswish))

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Return four maps, finest first."""
        fine, middle, coarse = (layer(feature) for layer, feature in zip(self.reduce, features, strict=True))
        middle = self.finer[0](cat([self.up(coarse), middle], 1))
        fine = self.finer[1](cat([self.up(middle), fine], 1))
        second = self.coarser[0](cat([self.down[0](fine), middle], 1))
        third = self.coarser[1](cat([self.down[1](second), coarse], 1))
        return [fine, second, third, self.top[0](coarse) + self.top[1](third)]


class Head(nn.Module):
    """Scores and distance bins of one stride; the scores are tempered by a map of one channel."""

    def __init__(self, channels: int, convolutions: int) -> None:
        super().__init__()
        self.shared = nn.Sequential(*(_depthwise(channels, 1) for _ in range(convolutions)))
        self.gate = nn.Conv2d(channels, channels, 1)
        self.mix = conv_norm(channels, channels, act=None)
        self.classes = nn.Conv2d(channels, CLASSES, 1)
        self.boxes = nn.Conv2d(channels, 4 * BINS, 1)
        # As defined there its groups equal its one output channel, so that this one is not depthwise.
        self.align = nn.Sequential(conv_norm(channels, 1, 5, act=nn.Hardswish), conv_norm(1, 1, act=None))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores and bins as lists of places."""
        x = self.shared(x)
        gated = hardswish(self.mix(x * self.gate(adaptive_avg_pool2d(x, 1)).sigmoid()))
        classes, boxes = self.classes(gated), self.boxes(gated)
        scores = (classes.sigmoid() * self.align(x).sigmoid() + 1e-9).sqrt()
        return scores.flatten(2).transpose(1, 2), boxes.flatten(2).transpose(1, 2)


class PicoDet(nn.Module):
    """The whole network up to scores and bins of distances, without decoding and suppression."""

    def __init__(self, scale: float, channels: int, convolutions: int) -> None:
        super().__init__()
        self.backbone = nn.ModuleList(lcnet_blocks(scale))
        self.neck = Neck([divisible(LC_BLOCKS[end - 1][1] * scale) for end in LC_ENDS], channels)
        self.heads = nn.ModuleList(Head(channels, convolutions) for _ in range(4))

    def forward(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return scores and bins of each stride."""
        features = []
        for index, block in enumerate(self.backbone):
            x = block(x)
            if index in LC_ENDS:
                features.append(x)
        return [head(feature) for head, feature in zip(self.heads, self.neck(features), strict=True)]


def entries() -> list[Entry]:
    """Return the four networks at every size that was measured."""
    return [
        Entry(
            key=f"paddle/PicoDet-{name}@{size}",
            family="picodet",
            published_name=NAME.format(name),
            source=f"{REPOSITORY}, written anew",
            size=(size, size),
            build=lambda name=name: PicoDet(*SIZES[name]),
            published_parameters=parameters,
            published_gmacs=gmacs,
            published_source=f"{REPOSITORY}, configs/picodet/README.md (half its FLOPs; digits cut off)",
            count=folded_count,
            remark="up to scores and bins of distances, as measured without post-processing",
        )
        for name, size, parameters, gmacs in FIGURES
    ]
