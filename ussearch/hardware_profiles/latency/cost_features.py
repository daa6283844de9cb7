"""What a runtime may charge for, read off a list of kernels without knowing the runtime.

A kernel becomes one item, each activation behind it another, and each tensor that passes between convolutions and other
operators a third: runtimes keep convolutions in a layout of their own and reorder at the border. Whether an item costs
anything (a fused ReLU does not) is for measurements to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, prod
from typing import Annotated

from pydantic import Field

from ussearch.hardware_profiles.kernels.kernel import BYTES_PER_ELEMENT, Kernel, Shape
from ussearch.hardware_profiles.latency.roofline import GMAC, MIB

TERMS = (
    "launch",
    "gmacs",
    "gmacs_by_8",
    "gmacs_by_16",
    "gloads_by_32",
    "gloads_by_64",
    "gmacs_per_column",
    "mib_in",
    "mib_out",
    "mib_parameters",
)
"""What an item is priced by, all linear and non-negative.

``gmacs_by_8``: multiply-accumulates with channels rounded up to multiples of 8, as vector units see them.
``gloads_by_32``: input values times window (1e9), loaded once for 32 output channels, which is what makes narrow
convolutions slow. ``gmacs_per_column``: multiply-accumulates divided by the width of the output, for the edges of rows.
"""
FEW_CHANNELS = 4
OF_FEW_CHANNELS = "of few channels"
"""Ending of the class of convolutions that read fewer channels than that."""
LAYOUT = "layout"
"""Class of a tensor that changes between the layout of convolutions and that of other operators."""
OWN_LAYOUT = ("conv", "pool")
"""Endings of operators that run in the layout of convolutions."""
EITHER_LAYOUT = frozenset({"add", "concat", "resize_nearest", "resize_bilinear"})
"""Operators that keep the layout of what they read, where all of it is that of convolutions."""

Terms = tuple[float, ...]


@dataclass(frozen=True)
class Tiles:
    """How many output channels, output pixels and columns of the output a convolution computes at a time.

    A tile that is filled in part costs as much as a full one.
    """

    channels: Annotated[int, Field(ge=1)] = 1
    pixels: Annotated[int, Field(ge=1)] = 1
    columns: Annotated[int, Field(ge=1)] = 1

    def executed(self, kernel: Kernel) -> float:
        """Return how many multiply-accumulates a kernel executes for each one that counts, at least 1."""
        if self == WHOLE or not kernel.operator.endswith("conv") or kernel.operator == "depthwise_conv":
            return 1.0
        channels, pixels, columns = kernel.output_shape[1], prod(kernel.output_shape[2:]), kernel.output_shape[-1]
        return (
            _filled(channels, self.channels, kernel.groups)
            * _filled(pixels, self.pixels)
            * _filled(columns, self.columns)
        )


def _filled(size: int, tile: int, groups: int = 1) -> float:
    """Return ``size`` rounded up to whole tiles, in each of ``groups`` parts, over ``size``."""
    part = size / groups
    return ceil(part / tile) * tile / part


WHOLE = Tiles()
"""Nothing is rounded."""


@dataclass(frozen=True)
class CostFeature:
    """Something priced: its class, the kernel it belongs to (index), the tensors that identify it, and its terms.

    ``detail`` is the class within the class: window, stride, and whether there is but one pixel to compute.
    """

    name: str
    kernel: int
    input_shape: Shape
    output_shape: Shape
    window: tuple[int, int]
    terms: Terms
    detail: str = ""


def cost_features(kernels: Sequence[Kernel], tiles: Tiles = WHOLE) -> Iterator[CostFeature]:
    """Yield everything that ``kernels`` may be charged for, in order; ``tiles`` are those of convolutions."""
    own = _in_own_layout(kernels)
    for index, kernel in enumerate(kernels):
        shape = kernel.input_shapes[0] if kernel.input_shapes else kernel.output_shape
        name, terms = _class_of(kernel), _kernel_terms(kernel, tiles.executed(kernel))
        detail = _detail(kernel, name)
        yield CostFeature(name, index, shape, kernel.output_shape, kernel.window, terms, detail)
        behind = "conv" if kernel.operator.endswith("conv") else "other"
        for activation in kernel.epilogue:
            yield _copy(f"{activation} behind {behind}", index, kernel.output_shape)
        for source in dict.fromkeys(kernel.sources):
            if source >= 0 and own[source] != own[index]:
                yield _copy(LAYOUT, index, kernels[source].output_shape)


def _class_of(kernel: Kernel) -> str:
    """Return the operator; convolutions of an image of few channels are computed in another way, hence a class."""
    few = kernel.operator in {"conv", "pointwise_conv"} and kernel.input_shapes[0][1] < FEW_CHANNELS
    return f"{kernel.operator} {OF_FEW_CHANNELS}" if few else kernel.operator


def _detail(kernel: Kernel, name: str) -> str:
    """Return the class of a convolution with its window and stride; a single pixel is a matter of weights alone.

    A row or column of weights is told from a square, unlike in ``Kernel.kernel_class``: its arithmetic costs more.
    """
    if not kernel.operator.endswith("conv") or name != kernel.operator:
        return ""
    if prod(kernel.output_shape[2:]) == 1:
        return f"{name} of one pixel"
    stride = f" stride {kernel.stride}" if kernel.stride > 1 else ""
    narrow, wide = sorted(kernel.window)
    class_ = kernel.kernel_class.replace(f"{wide}x{wide}", f"{narrow}x{wide}")
    detail = f"{class_}{stride}"
    return detail if detail != name else ""


def _copy(name: str, kernel: int, shape: Shape) -> CostFeature:
    """Return the item of an operator that reads one tensor and writes one like it."""
    mib = prod(shape) * BYTES_PER_ELEMENT / MIB
    terms = dict.fromkeys(TERMS, 0.0) | {"launch": 1.0, "mib_in": mib, "mib_out": mib}
    return CostFeature(name, kernel, shape, shape, (1, 1), tuple(terms.values()))


def _kernel_terms(kernel: Kernel, executed: float) -> Terms:
    output = prod(kernel.output_shape)
    read = sum(prod(shape) for shape in kernel.input_shapes)
    tensors = [elements * BYTES_PER_ELEMENT / MIB for elements in (read, output, kernel.parameters)]
    return (1.0, *_arithmetic(kernel, executed), *tensors)


def _arithmetic(kernel: Kernel, executed: float) -> tuple[float, ...]:
    """Return the terms from ``gmacs`` to ``gmacs_per_column``; ``executed`` for each multiply-accumulate."""
    gmacs = executed * kernel.macs / GMAC
    if not kernel.operator.endswith("conv"):
        return gmacs, gmacs, gmacs, 0.0, 0.0, 0.0
    inputs, outputs = kernel.input_shapes[0][1], kernel.output_shape[1]
    per_group = max(1, inputs // kernel.groups)
    by_8, by_16 = (
        gmacs * _rounded(outputs, block) / outputs * _rounded(per_group, block) / per_group for block in (8, 16)
    )
    loads = [gmacs / outputs * -(-outputs // block) for block in (32, 64)]
    return gmacs, by_8, by_16, *loads, by_8 / kernel.output_shape[-1]


def _rounded(channels: int, block: int) -> int:
    """Return the multiple of ``block`` from ``channels`` on; few channels are read as they are."""
    return channels if channels < FEW_CHANNELS else -(-channels // block) * block


def _in_own_layout(kernels: Sequence[Kernel]) -> list[bool]:
    """Return for each kernel whether its output is in the layout of convolutions."""
    own: list[bool] = []
    for kernel in kernels:
        inherited = kernel.operator in EITHER_LAYOUT and all(source >= 0 and own[source] for source in kernel.sources)
        own.append(inherited or kernel.operator.endswith(OWN_LAYOUT))
    return own
