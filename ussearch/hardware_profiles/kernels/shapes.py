"""Results of the commonest operators on the meta device, without PyTorch's detour.

PyTorch decomposes activations and resizing into dozens of steps to find a shape that is known at once: these two were
more than half of the time that tracing a network took.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ussearch.hardware_profiles.kernels.operators import ACTIVATIONS, KERNELS


def quick_result(name: str, arguments: Sequence[Any]) -> Tensor | None:
    """Return the result of the ATen operator ``name`` (in place where it ends with ``_``), or None for any other."""
    plain = name.removesuffix("_")
    if plain in ACTIVATIONS:
        image: Tensor = arguments[0]
        return image if plain != name else torch.empty_like(image)
    if KERNELS.get(plain, "").startswith("resize_"):
        return _resized(arguments)
    return None


def _resized(arguments: Sequence[Any]) -> Tensor:
    """Return an empty image of the size that ``upsample_*2d(image, size, ..., scale_factors)`` gives."""
    image, size = arguments[0], arguments[1]
    if size is None:
        size = [int(side * factor) for side, factor in zip(image.shape[2:], arguments[-1], strict=True)]
    result: Tensor = image.new_empty((*image.shape[:2], *size))
    return result
