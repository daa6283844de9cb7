"""What of the labels of masks is no label: the noise of a former JPEG, and soft edges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations

from ussearch.datasets.reading.mask_labels import distance

FLAT = 0.2  # share of a label's pixels among their like that no noise reaches: JPEG and soft edges stay below 0.1
APART, NEAR = 32, 16  # levels: noise lies near one of two main ones that lie far apart ...
MANY = 8  # ... or there are so many levels that they cannot be structures


@dataclass
class FoundLabel:
    """One label over all masks."""

    pixels: int = 0
    masks: int = 0
    flat: int = 0
    border: int = 0
    in_few: bool = False
    """Whether any mask holds it beside one other label at most."""
    seen: set[int] = field(default_factory=set)
    """The numbers of the masks that hold it."""

    @property
    def is_main(self) -> bool:
        """Whether it is a label, by the masks that hold it or by its flat areas."""
        return self.in_few or self.flat >= FLAT * self.pixels


def without_noise(found: Mapping[int, FoundLabel]) -> tuple[set[int], set[int]]:
    """Return the labels, and what is the noise of a former JPEG or of soft edges beside them."""
    main = {code for code, label in found.items() if label.is_main}
    rare = set(found) - main
    if len(rare) >= MANY and len(main) <= 1:  # structures so small that no pixel of theirs has like neighbours
        furthest = max(rare, key=lambda code: distance(code, next(iter(main), 0)))
        main, rare = main | {furthest}, rare - {furthest}
    apart = any(distance(one, other) >= APART for one, other in combinations(main, 2))
    if len(rare) >= MANY:  # a former JPEG, whose flat areas may be off by a few levels
        off = {code for code in main if any(_outweighs(found, other, code) for other in main)}
        main, rare = main - off, rare | off
    near = all(min(distance(code, other) for other in main) <= NEAR for code in rare) if main else False
    if rare and (len(rare) >= MANY or (apart and near)):
        return main, rare
    return main | rare, set()


def _outweighs(found: Mapping[int, FoundLabel], other: int, code: int) -> bool:
    return 0 < distance(code, other) <= NEAR and (found[other].pixels, -other) > (found[code].pixels, -code)
