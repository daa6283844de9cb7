"""How large shared tensors are, and how they grow when a larger slice is asked for."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product, zip_longest

import numpy as np
import torch
from torch import Tensor

from ussearch.evaluators.shared.axes import Segments
from ussearch.evaluators.shared.drawing import Share

Slices = tuple[slice, ...]


@dataclass(frozen=True)
class TensorExtent:
    """The segments of each channel dimension of a shared tensor, its kernel, and how it starts (see ``Share``)."""

    segments: tuple[Segments, ...]
    kernel: tuple[int, ...]
    fill: float | None

    @classmethod
    def of(cls, share: Share) -> TensorExtent:
        """Return the extent that holds one share and no more."""
        return cls(share.segments, share.kernel, share.fill)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the tensor."""
        return (*(sum(each) for each in self.segments), *self.kernel)

    def with_room_for(self, share: Share) -> TensorExtent:
        """Return the extent that also holds ``share``; raises ValueError where dimensions differ in number."""
        if len(share.segments) != len(self.segments) or len(share.kernel) != len(self.kernel):
            raise ValueError(f"{share.role} has {len(share.segments)} channel dimensions, not {len(self.segments)}")
        segments = tuple(
            tuple(max(pair) for pair in zip_longest(mine, other, fillvalue=0))
            for mine, other in zip(self.segments, share.segments, strict=True)
        )
        return TensorExtent(segments, tuple(map(max, zip(self.kernel, share.kernel, strict=True))), self.fill)

    def holds(self, share: Share) -> bool:
        """Return whether a share is within this extent."""
        try:
            return self.with_room_for(share) == self
        except ValueError:
            return False

    def fresh(self, role: str, seed: int) -> Tensor:
        """Return PyTorch's own start for convolutions, uniform by fan-in; norms at one, biases at zero."""
        if self.fill is not None:
            return torch.full(self.shape, self.fill)
        numbers = [seed, zlib.crc32(role.encode()), math.prod(self.shape)]
        generator = torch.Generator().manual_seed(int(np.random.SeedSequence(numbers).generate_state(1)[0]))
        fan_in = math.prod(self.shape[-3:]) if len(self.shape) >= 4 else self.shape[-1]
        bound = 1 / math.sqrt(fan_in)
        return torch.empty(self.shape).uniform_(-bound, bound, generator=generator)

    def parts(self, drawn: tuple[Segments, ...], kernel: tuple[int, ...]) -> list[list[tuple[int, int]]]:
        """Return for each dimension the (start, length) of what is drawn: the first of each segment, a kernel's centre.

        Neighbouring ranges are joined, so that most dimensions have one.
        """
        channels = [_ranges(stored, wanted) for stored, wanted in zip(self.segments, drawn, strict=True)]
        centres = [[((whole - side) // 2, side)] for whole, side in zip(self.kernel, kernel, strict=True)]
        return channels + centres

    def copy_into(self, target: Tensor, larger: TensorExtent, source: Tensor) -> None:
        """Write ``source``, a tensor of this extent, to its place in ``target``, a tensor of a ``larger`` one."""
        for here, there in zip(self._boxes(self), self._boxes(larger), strict=True):
            target[there] = source[here]

    def _boxes(self, within: TensorExtent) -> Iterator[Slices]:
        """Yield the slices of every combination of this extent's segments in a tensor of the extent ``within``."""
        ranges = [_separate(stored, drawn) for stored, drawn in zip(within.segments, self.segments, strict=True)]
        ranges += [[((whole - side) // 2, side)] for whole, side in zip(within.kernel, self.kernel, strict=True)]
        for box in product(*ranges):
            yield tuple(slice(start, start + length) for start, length in box)


def _separate(stored: Segments, drawn: Segments) -> list[tuple[int, int]]:
    """Return (start, length) of the first channels of each segment."""
    starts = np.cumsum([0, *stored[:-1]])
    return [(int(start), length) for start, length in zip(starts, drawn, strict=False)]


def _ranges(stored: Segments, drawn: Segments) -> list[tuple[int, int]]:
    """Return (start, length) of the first channels of each segment, empty ones left out and neighbours joined."""
    joined: list[tuple[int, int]] = []
    for start, length in _separate(stored, drawn):
        if length and joined and sum(joined[-1]) == start:
            joined[-1] = (joined[-1][0], joined[-1][1] + length)
        elif length:
            joined.append((start, length))
    return joined
