"""Results of the commonest operators on the meta device, without PyTorch's detour.

PyTorch decomposes most operators into dozens of steps to find a shape that is known at once: with these few, tracing a
network takes half the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ussearch.hardware_profiles.kernels.kernel import ACTIVATIONS, BINARY, KERNELS, Shape


def quick_result(name: str, arguments: Sequence[Any]) -> Any:
    """Return the result of the ATen operator ``name`` (in place where it ends with ``_``), or None for any other."""
    if name == "native_batch_norm":  # evaluation: the other two results are empty
        return torch.empty_like(arguments[0]), *arguments[0].new_empty((2, 0)).unbind()
    plain = name.removesuffix("_")
    if plain in ACTIVATIONS and plain != name:
        image: Tensor = arguments[0]
        return image
    find = _SHAPES.get(name)
    shape = find(arguments) if find else None
    if shape is None:
        return None
    first = arguments[0][0] if isinstance(arguments[0], (list, tuple)) else arguments[0]
    return torch.empty(shape, dtype=first.dtype, device="meta")


def _same(arguments: Sequence[Any]) -> Shape:
    return tuple(arguments[0].shape)


def _broadcast(arguments: Sequence[Any]) -> Shape | None:
    """Return the shape of two tensors, or of one and a number; None where they differ in dimensions."""
    first, second = arguments[0], arguments[1]
    if not isinstance(first, Tensor):
        return None
    if not isinstance(second, Tensor):
        return tuple(first.shape)
    if first.ndim != second.ndim:
        return None
    pairs = list(zip(first.shape, second.shape, strict=True))
    return tuple(map(max, pairs)) if all(a == b or 1 in (a, b) for a, b in pairs) else None


def _resized(arguments: Sequence[Any]) -> Shape:
    """Return the shape that ``upsample_*2d(image, size, ..., scale_factors)`` gives."""
    image, size = arguments[0], arguments[1]
    if size is None:
        size = [int(side * factor) for side, factor in zip(image.shape[2:], arguments[-1], strict=True)]
    return (*image.shape[:2], *size)


def _convolved(arguments: Sequence[Any]) -> Shape | None:
    """Return the shape of a plain 2-d convolution whose channels agree; the rest is left to PyTorch and its errors."""
    image, weight, _, stride, padding, dilation, transposed, _, groups = arguments
    if transposed:
        return _enlarged(arguments)
    if image.ndim != 4 or weight.ndim != 4 or image.shape[1] != weight.shape[1] * groups:
        return None
    sides = tuple(
        (side + 2 * pad - step * (window - 1) - 1) // stride_ + 1
        for side, window, stride_, pad, step in zip(
            image.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True
        )
    )
    return (image.shape[0], weight.shape[0], *sides) if min(sides) > 0 else None


def _enlarged(arguments: Sequence[Any]) -> Shape | None:
    """Return the shape of a transposed 2-d convolution; its weight is [in, out per group, height, width]."""
    image, weight, _, stride, padding, dilation, _, extra, groups = arguments
    if image.ndim != 4 or weight.ndim != 4 or image.shape[1] != weight.shape[0]:
        return None
    sides = tuple(
        (side - 1) * step - 2 * pad + gap * (window - 1) + more + 1
        for side, step, pad, gap, window, more in zip(
            image.shape[2:], stride, padding, dilation, weight.shape[2:], extra, strict=True
        )
    )
    return (image.shape[0], weight.shape[1] * groups, *sides)


def _joined(arguments: Sequence[Any]) -> Shape | None:
    """Return the shape of tensors side by side along their channels."""
    parts, dimension = arguments[0], arguments[1] if len(arguments) > 1 else 0
    first = parts[0]
    rest = {(*part.shape[:1], *part.shape[2:]) for part in parts}
    if dimension != 1 or first.ndim < 2 or len(rest) > 1:
        return None
    return (first.shape[0], sum(part.shape[1] for part in parts), *first.shape[2:])


def _permuted(arguments: Sequence[Any]) -> Shape:
    return tuple(arguments[0].shape[dimension] for dimension in arguments[1])


def _reduced(arguments: Sequence[Any]) -> Shape | None:
    """Return the shape of a mean over given dimensions that are kept."""
    image, *rest = arguments
    if len(rest) < 2 or not rest[0] or not rest[1]:
        return None
    reduced = {dimension % image.ndim for dimension in rest[0]}
    return tuple(1 if index in reduced else side for index, side in enumerate(image.shape))


_SHAPES: dict[str, Callable[[Sequence[Any]], Shape | None]] = {
    **dict.fromkeys(ACTIVATIONS, _same),
    **dict.fromkeys(BINARY, _broadcast),
    **dict.fromkeys((name for name, kernel in KERNELS.items() if kernel.startswith("resize_")), _resized),
    "convolution": _convolved,
    "mean": _reduced,
    "amax": _reduced,
    "cat": _joined,
    "permute": _permuted,
}
