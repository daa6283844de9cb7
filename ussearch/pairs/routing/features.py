"""What a router may look at: numbers of one image, all from tensors of the single forward pass and the image itself.

Every number is an average or a ratio, never a sum over pixels, which FP16 cannot hold (65,504 at most). The module is
exported as it stands (``graph.py``), so it keeps to operators that TensorRT 8 imports: global pooling instead of
reductions, no logarithm of a probability.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

PREDICTION = ("soft_dice", "soft_extent", "foreground_confidence", "uncertainty", "boundary_uncertainty", "peak")
COMPLEXITY = ("gradient", "roughness", "grey_entropy")
BOTTLENECK = ("bottleneck_sign", "bottleneck_spread", "bottleneck_peak")
"""Scale-free averages. NOTE: single channels are no features: the out-of-fold networks that a router learns from start
from other random weights than the one that ships, so their channels of equal number mean different things.
"""
LARGEST_SIDE = 128
"""Beyond it, features would cost more than 0.2 ms (0.39 ms at 256 pixels, 0.15 at 128: one thread of a Zen 4)."""
GREY_BINS = 8
LEAST = 1e-3
"""Smallest divisor, well above the smallest normal number of FP16."""


def feature_names(bottleneck: bool) -> tuple[str, ...]:
    """Return the names of the features in their order; those of the bottleneck only where the network has one."""
    return (*PREDICTION, *COMPLEXITY, *(BOTTLENECK if bottleneck else ()))


class Features(nn.Module):
    """Image [N, 1, S, S] in grey levels 0..255, logits [N, 1, S, S] and the deepest encoder features [N, C, h, w] (or
    none) to the features [N, F] of ``feature_names``.
    """

    def forward(self, image: Tensor, logits: Tensor, bottleneck: Tensor | None = None) -> Tensor:
        """Return all features; what has more than ``LARGEST_SIDE`` pixels a side is halved first."""
        while logits.shape[-1] > LARGEST_SIDE:
            image, logits = halved(image), halved(logits)
        parts = [*prediction_features(logits), *complexity_features(image)]
        if bottleneck is not None:
            parts += bottleneck_features(bottleneck)
        return torch.cat(parts, 1)[:, :, 0, 0]


def prediction_features(logits: Tensor) -> Sequence[Tensor]:
    """Return the features of ``PREDICTION``, each [N, 1, 1, 1], of logits [N, 1, S, S].

    Soft Dice Confidence as in ``runtime``; the square root of the mean probability; the mean probability inside
    the mask; mean 4p(1 - p), which stands for the entropy (equal at 0, 1/2 and 1, and below it elsewhere); the same on
    the mask's boundary, which is where blocks of 4x4 pixels lie partly in the mask; the largest probability.
    """
    p, mask, peak, found = _parts(logits)
    maps = halved(torch.cat([halved(each) for each in (p, mask, p * mask, p * (1 - p))], 1))
    soft, area, inside, doubt = torch.split(average(maps), 1, dim=1)
    _, share, _, doubts = torch.split(maps, 1, dim=1)
    boundary = share * (1 - share)
    return (
        expected_dice(inside, soft + area, peak, found),
        torch.sqrt(soft),
        inside / (area + (1 - found)),
        4 * doubt,
        4 * average(boundary * doubts) / (average(boundary) + (1 - found) + 1e-4),
        peak,
    )


def soft_dice(logits: Tensor) -> Tensor:
    """Return the Soft Dice Confidence alone, [N, 1, 1, 1], of logits [N, 1, S, S]."""
    p, mask, peak, found = _parts(logits)
    return expected_dice(average(p * mask), average(p) + average(mask), peak, found)


def expected_dice(inside: Tensor, total: Tensor, peak: Tensor, found: Tensor) -> Tensor:
    """Return 2 * inside / total where a lesion was ``found`` (1), 1 - peak where none was (0)."""
    return found * (2 * inside / (total + (1 - found))) + (1 - found) * (1 - peak)


def complexity_features(image: Tensor) -> Sequence[Tensor]:
    """Return the features of ``COMPLEXITY``, each [N, 1, 1, 1], of an image [N, 1, S, S] in grey levels.

    On a quarter of the image's resolution: mean absolute difference of neighbours, mean absolute deviation from the
    mean of 3x3 pixels, entropy of the grey levels in 8 overlapping bins, 0..1. CEA-Net routes by image complexity
    without saying which (Scientific Reports 2026, abstract); these are the usual measures.
    """
    grey = halved(halved(image)) / 255.0
    down = average((grey[:, :, 1:] - grey[:, :, :-1]).abs())
    across = average((grey[:, :, :, 1:] - grey[:, :, :, :-1]).abs())
    rough = average((grey - functional.avg_pool2d(grey, 3, 1, 1, count_include_pad=False)).abs())
    steps = GREY_BINS - 1
    centres = torch.linspace(0, 1, GREY_BINS).reshape(1, GREY_BINS, 1, 1).to(image.device)
    shares = average(functional.relu(1 - steps * (grey - centres).abs()))
    entropy = over_channels(-shares * torch.log(shares + LEAST)) * (GREY_BINS / math.log(GREY_BINS))
    return down + across, rough, entropy


def bottleneck_features(deepest: Tensor) -> Sequence[Tensor]:
    """Return the features of ``BOTTLENECK``, each [N, 1, 1, 1], of features [N, C, h, w].

    With the mean magnitude of each channel: mean value over mean magnitude, how unequal the channels are, and how much
    the largest magnitude of a channel exceeds its mean.
    """
    size = deepest.abs()
    by_channel = average(size)
    level = over_channels(by_channel).clamp(min=LEAST)
    spread = over_channels((by_channel - level).abs()) / level
    peak = over_channels(functional.adaptive_max_pool2d(size, 1)) / level
    return over_channels(average(deepest)) / level, spread, peak


def average(maps: Tensor) -> Tensor:
    """Return the mean over pixels, [N, C, H, W] -> [N, C, 1, 1]."""
    return functional.adaptive_avg_pool2d(maps, 1)


def over_channels(values: Tensor) -> Tensor:
    """Return the mean over channels, [N, C, 1, 1] -> [N, 1, 1, 1]."""
    return average(values.transpose(1, 2))


def halved(maps: Tensor) -> Tensor:
    """Return blocks of 2x2 pixels averaged; done twice it is three times as fast in onnxruntime as blocks of 4x4."""
    return functional.avg_pool2d(maps, 2)


def _parts(logits: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return probabilities, mask, the largest probability, and 1 where the mask is not empty (else 0)."""
    p = torch.sigmoid(logits)
    highest = functional.adaptive_max_pool2d(logits, 1)
    return p, (logits >= 0).to(p.dtype), torch.sigmoid(highest), (highest >= 0).to(p.dtype)
