"""Channels sorted into strands: all channels of a strand occur in the same layers, so that only their number matters.

Every width is a sum of whole strands; where features of 16 and 24 channels are concatenated there are two. Strands
that must stay equally wide form a *unit*, which is what loses channels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from ussearch.compress.pruning.channels import Channels
from ussearch.compress.pruning.rules import Numbers, Rules


@dataclass(frozen=True)
class ChannelGroup:
    """Strands [strands, n] (channel numbers) that keep equal numbers of channels."""

    strands: Numbers
    beside: int = 0
    """Channels that stay whatever happens, in the widths that these strands are part of, such as those of the image."""

    @property
    def width(self) -> int:
        """Channels of each strand."""
        return int(self.strands.shape[1])


def channel_groups_of(channels: Channels, rules: Rules) -> list[ChannelGroup]:
    """Return everything that may lose channels; what is frozen, derived, or tied to either, is left out."""
    colours = _refined(_first_colours(channels, rules), rules.tied)
    strands: dict[int, list[int]] = defaultdict(list)
    for channel, colour in enumerate(colours):
        strands[colour].append(channel)
    fixed = {colours[channel] for axis in rules.frozen for channel in channels.axes[axis]}
    fixed |= {colours[channel] for axis, _, _ in rules.derived for channel in channels.axes[axis]}
    free = [
        np.array([strands[colour] for colour in sorted(members)])
        for members in _tied_colours(colours, rules.tied)
        if not members & fixed and len({len(strands[colour]) for colour in members}) == 1
    ]
    staying = set(range(channels.number)).difference(*(unit.reshape(-1).tolist() for unit in free))
    mixed = [set(numbers.tolist()) for numbers in channels.axes.values() if not staying.isdisjoint(numbers.tolist())]
    return [ChannelGroup(unit, _beside(unit, mixed, staying)) for unit in free]


def _beside(unit: Numbers, axes: list[set[int]], staying: set[int]) -> int:
    """Return the most channels of ``staying`` on any of the axes that the unit is part of."""
    return max((len(axis & staying) for axis in axes if not axis.isdisjoint(unit[:, 0].tolist())), default=0)


def _first_colours(channels: Channels, rules: Rules) -> list[int]:
    """Colour channels by the axes that they occur on, and by whether they are frozen."""
    places: list[list[Hashable]] = [[] for _ in range(channels.number)]
    for axis, numbers in channels.axes.items():
        for channel in numbers:
            places[channel].append(axis)
    for axis in rules.frozen:
        for channel in channels.axes[axis]:
            places[channel].append("frozen")
    return _numbered([tuple(each) for each in places])


def _refined(colours: list[int], ties: list[Numbers]) -> list[int]:
    """Split colours until tied rows have the same colours at the same positions (colour refinement)."""
    while True:
        signatures: list[set[Hashable]] = [set() for _ in colours]
        for index, rows in enumerate(ties):
            for column in rows.T:
                pattern = tuple(colours[channel] for channel in column)
                for row, channel in enumerate(column):
                    signatures[channel].add((index, row, pattern))
        refined = _numbered([(colour, frozenset(each)) for colour, each in zip(colours, signatures, strict=True)])
        if len(set(refined)) == len(set(colours)):
            return refined
        colours = refined


def _numbered(keys: list[tuple[Hashable, ...]]) -> list[int]:
    """Replace equal keys by equal numbers, in order of appearance."""
    numbers: dict[tuple[Hashable, ...], int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in keys]


def _tied_colours(colours: list[int], ties: list[Numbers]) -> list[set[int]]:
    """Return the sets of colours that ties connect."""
    group_of = {colour: {colour} for colour in colours}
    for rows in ties:
        for column in rows.T:
            merged: set[int] = set().union(*(group_of[colours[channel]] for channel in column))
            for colour in merged:
                group_of[colour] = merged
    return list({id(group): group for group in group_of.values()}.values())
