"""The enumerated sub-space: six choices of the standard space, 320 points, every one another network."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from ussearch.search_spaces import Architecture, FreeSpace

IMAGE_SIZE = 64
CHOICES: Mapping[str, tuple[Any, ...]] = {
    "family": ("dwsep", "mbconv", "convnext", "conv"),
    "width": (0, 1, 2, 3, 4),
    "depth": (1, 2),
    "kernel": (3, 5),
    "skip": ("none", "concat"),
    "full_resolution": (False, True),
}
"""Every stage has the same family, depth and kernel, every level the same skip; ``width`` is a step of ``WIDTHS``."""
WIDTHS = ((8, 16, 24, 32), (8, 24, 32, 48), (16, 24, 48, 64), (16, 32, 64, 96), (24, 48, 64, 96))
"""Channels of the stem and of the three stages, by step of ``width``."""
FIXED: Mapping[str, Any] = {
    "stem_stride": 2,
    "stages": 3,
    "flat_stages": 0,
    "activation": "relu",
    "decoder": "depthwise",
    "upsampling": "bilinear",
    "experts": 1,
    "decoder_ratio": 0.5,
    "detail": False,
    "deep_supervision": False,
}
EXPANSION = 2
_SPACE = FreeSpace.standard(IMAGE_SIZE)


def points() -> list[dict[str, Any]]:
    """Return every combination of ``CHOICES``, in the order in which the table numbers them."""
    return [dict(zip(CHOICES, values, strict=True)) for values in itertools.product(*CHOICES.values())]


def architecture_of(point: Mapping[str, Any]) -> Architecture:
    """Return the architecture of a point; it lies in the standard space for ``IMAGE_SIZE``."""
    stem_width, *widths = WIDTHS[point["width"]]
    choices = {name: values[0] for name, values in _SPACE.choices.items()}
    choices |= {**FIXED, "stem_width": stem_width, "full_resolution": point["full_resolution"]}
    for index, width in enumerate(widths):
        choices |= {
            f"width_{index}": width,
            f"family_{index}": point["family"],
            f"depth_{index}": point["depth"],
            f"kernel_{index}": point["kernel"],
            f"expansion_{index}": EXPANSION,
            f"attention_{index}": "none",
            f"skip_{index}": point["skip"],
        }
    return _SPACE.compose(choices)
