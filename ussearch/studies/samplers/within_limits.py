"""Bases that are beyond a device's limits, made to fit: narrower, or of a network that sees a smaller image.

A few edits at random hardly ever make a network three times as fast, so that under tight limits next to no draw could
be trained; and whether anything fits at all is seen at the small end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ussearch.search_spaces import SearchSpace
from ussearch.search_spaces.space import FREE

Choices = Mapping[str, Any]
Fits = Callable[[Choices], bool]
WIDTH, INPUT = "width_multiplier", "input_scale"
"""The two edits that make all of a network smaller."""


def scales_within(space: SearchSpace, base: str, fits: Fits) -> tuple[dict[str, Any], ...]:
    """Return the scales of widths and of the image with which a base fits: of each image scale the widest one.

    That of the base itself alone, where it fits; none where the smallest does not.
    """
    unedited = space.unedited(base)
    if base == FREE or fits(unedited):
        return ({},)
    return tuple(_widest(space, unedited, fits))


def _widest(space: SearchSpace, unedited: Choices, fits: Fits) -> Iterator[dict[str, Any]]:
    widths = sorted((value for value in space.choices[WIDTH] if value <= 1), reverse=True)
    seen = set()
    for image in sorted((value for value in space.choices[INPUT] if value <= 1), reverse=True):
        smallest = {WIDTH: widths[-1], INPUT: image}
        identity = space.compose({**unedited, **smallest}).id
        if identity in seen or not fits({**unedited, **smallest}):
            continue  # the base cannot see images of every size: some values leave it as it is
        seen.add(identity)
        low, high = 0, len(widths) - 1  # costs fall with widths: the first that fits, by bisection
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if fits({**unedited, WIDTH: widths[middle], INPUT: image}) else (middle + 1, high)
        yield {WIDTH: widths[low], INPUT: image}
