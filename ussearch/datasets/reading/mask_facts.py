"""What one mask holds, a file or the shapes of a tool: its labels, how often, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ussearch.datasets.annotations.shapes import Pixels
from ussearch.datasets.reading.hollow import is_hollow
from ussearch.datasets.reading.mask_labels import TRANSPARENT, LabelCounts, LabelPlane


@dataclass(frozen=True)
class MaskFacts:
    """What one mask file holds.

    Attributes:
        counts: its labels, without regard to alpha.
        visible: its labels where alpha shows them; None where it has no alpha, or one that is constant.
        all_transparent: whether a constant alpha hides everything.
        colours: of a palette, the code of each index's colour.
        size: height and width in pixels.
        is_hollow: whether what it marks is a closed line with nothing inside.
    """

    counts: LabelCounts
    visible: LabelCounts | None
    all_transparent: bool
    colours: dict[int, int] | None
    size: tuple[int, int]
    is_hollow: bool = False

    @classmethod
    def of(cls, plane: LabelPlane) -> MaskFacts:
        """Count what a file holds."""
        visible, counts, codes = None, LabelCounts.of(plane.codes), plane.codes
        if plane.alpha is not None:
            codes = plane.labels(by_alpha=True, by_colour=False)
            visible = LabelCounts.of(codes)
        height, width = plane.codes.shape
        ground = (visible or counts).at_the_border
        return cls(counts, visible, plane.all_transparent, plane.colours, (height, width), is_hollow(codes != ground))

    @classmethod
    def of_layers(cls, layers: Mapping[int, Pixels], size: tuple[int, int]) -> MaskFacts:
        """Count what was drawn as shapes: layers uint8 {0, 1} by label, which may overlap, and what none covers."""
        rest = np.ones(size, np.uint8)
        for layer in layers.values():
            rest &= layer ^ 1
        planes = {0: rest, **dict(sorted(layers.items()))}
        pixels = np.array([int(plane.sum()) for plane in planes.values()], np.int64)
        edges = [np.concatenate([plane[0], plane[-1], plane[1:-1, 0], plane[1:-1, -1]]) for plane in planes.values()]
        border = np.array([int(edge.sum()) for edge in edges], np.int64)
        return cls(LabelCounts(np.array(list(planes), np.int64), pixels, pixels, border), None, False, None, size)

    def read(self, *, by_alpha: bool, by_colour: bool) -> LabelCounts:
        """Return the labels as the data set reads them."""
        if by_alpha and self.visible is not None:
            return self.visible
        if by_alpha and self.all_transparent:
            height, width = self.size
            every, edge = np.array([height * width]), np.array([2 * (height + width) - 4])
            return LabelCounts(np.array([TRANSPARENT]), every, every, edge)
        if by_colour and self.colours:
            codes = np.array([self.colours.get(int(code), int(code)) for code in self.counts.codes], np.int64)
            return replace(self.counts, codes=codes)
        return self.counts
