"""Scaling the widths of single stages and levels: what has to be equally wide stays so.

Channels that a residual, a depthwise convolution, a sum or a detail branch ties together are one *group*. The earliest
stage that ends with it owns it, a level only where no stage does; the factor of its owner scales all of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from ussearch.search_spaces.architecture import Block
from ussearch.search_spaces.blocks import BLOCKS
from ussearch.search_spaces.edits.draft import (
    Draft,
    Features,
    Place,
    behind,
    copied,
    is_depthwise,
    keeps_channels,
    walk,
)

CHANNELS = 8
"""Widths that are changed become multiples of this."""
IMAGE = -1
"""Label of the image's own channels, which nothing scales."""


@dataclass(frozen=True)
class Factors:
    """By how much widths are multiplied."""

    stages: Mapping[int, float] = field(default_factory=dict)
    levels: Mapping[int, float] = field(default_factory=dict)
    expansions: Mapping[int, float] = field(default_factory=dict)
    """Of hidden features, by stage, beside the stage's own factor."""
    everything: float = 1.0

    @property
    def neutral(self) -> bool:
        """Whether nothing changes."""
        parts = (*self.stages.values(), *self.levels.values(), *self.expansions.values(), self.everything)
        return all(factor == 1 for factor in parts)

    def of(self, place: Place) -> float:
        """Return the factor of widths at a place."""
        own = (self.stages if place.side == "encoder" else self.levels).get(place.index, 1.0)
        return own * self.everything

    def expansion(self, place: Place) -> float:
        """Return the factor of the ratio of hidden features to others at a place."""
        return self.expansions.get(place.index, 1.0) if place.side == "encoder" else 1.0

    def of_hidden(self, place: Place) -> float:
        """Return the factor of hidden features at a place."""
        return self.of(place) * self.expansion(place)


def rescale(draft: Draft, factors: Factors) -> None:
    """Multiply the widths of ``draft``, which stays legal but for concatenations behind which a block is residual."""
    if factors.neutral:
        return
    groups = _Groups()
    walk(draft, groups.visit, groups.tie)
    owners = groups.owners()
    number = iter(range(len(groups.labels)))

    def visit(place: Place, block: Block, features: Features) -> tuple[list[Block], Features]:
        at = next(number)
        label = groups.labels[at]
        scaled = _scaled_inside(block, factors.of_hidden(place), factors.of(place))
        if reads_hidden(block) and not (block.hidden or factors.expansion(place) == 1):
            scaled = copied(scaled, hidden=rounded(unnamed_hidden(block, features.channels), factors.expansion(place)))
        elif block.hidden and block.hidden == groups.inputs[at] and factors.expansion(place) == 1:
            scaled = copied(scaled, hidden=features.channels)  # no expansion stays none
        if label is None:
            tied = {"groups": features.channels} if is_depthwise(block) else {}
            return [copied(scaled, width=0, **tied)], Features(behind(block, features.channels))
        owner, expanded = owners[groups.root(label)]
        factor = factors.of_hidden(owner) if expanded else factors.of(owner)
        width = block.width if label == IMAGE else rounded(groups.channels[groups.root(label)], factor)
        if block.kind == "pcdm":
            width = max(width, features.channels + CHANNELS)
        tied = {"groups": width} if is_depthwise(block) else {}
        return [copied(scaled, width=width if block.width else 0, **tied)], Features(width)

    walk(draft, visit)


def rounded(channels: int, factor: float, multiple: int = CHANNELS) -> int:
    """Return ``channels`` times ``factor`` in multiples of ``multiple``; what is narrower is not rounded up beyond."""
    if factor == 1 or not channels:
        return channels
    nearest = max(int(channels * factor / multiple + 0.5) * multiple, min(multiple, channels))
    return min(nearest, channels) if factor < 1 else nearest


def reads_hidden(block: Block) -> bool:
    """Return whether a block has hidden features."""
    return "hidden" in BLOCKS[block.kind].fields


def unnamed_hidden(block: Block, channels: int) -> int:
    """Return the hidden features of a block that does not say how many it has."""
    return 4 * channels if block.kind == "convnext" else channels


def _scaled_inside(block: Block, hidden: float, width: float) -> Block:
    """Return a block with its hidden features and what attention squeezes scaled."""
    changes: dict[str, object] = {"hidden": rounded(block.hidden, hidden)}
    if block.attention is not None and block.attention.squeeze:
        factor = hidden if block.hidden else width
        squeeze = block.attention.squeeze if factor == 1 else max(1, round(block.attention.squeeze * factor))
        changes["attention"] = block.attention.model_copy(update={"squeeze": squeeze})
    return copied(block, **changes)


class _Groups:
    """Finds the groups of a draft's channels: a visitor of ``walk``."""

    def __init__(self) -> None:
        self.labels: list[int | None] = []
        """Of every block's output, in order of use; None where it keeps the channels behind a concatenation."""
        self.inputs: list[int] = []
        """Channels that reach every block."""
        self.channels: dict[int, int] = {}
        self._parents: dict[int, int] = {IMAGE: IMAGE}
        self._places: dict[int, list[tuple[Place, bool]]] = defaultdict(list)

    def visit(self, place: Place, block: Block, features: Features) -> tuple[list[Block], Features]:
        """See a block: its output is of the group of its input, or of a new one."""
        label = features.label if keeps_channels(block) else len(self.labels)
        if label is not None and label not in self._parents:
            self._parents[label] = label
            self.channels[label] = block.width
        if label is not None:
            widens = block.kind == "conv" and block.kernel == 1 and block.width > features.channels and not place.last
            self._places[label].append((place, widens and not keeps_channels(block)))
        self.labels.append(label)
        self.inputs.append(features.channels)
        channels = behind(block, features.channels)
        return [block], Features(channels, label if channels == (block.width or features.channels) else None)

    def tie(self, one: Features, other: Features) -> None:
        """Hear that two features are added; where they differ in width, a convolution stands between."""
        if one.label is not None and other.label is not None and one.channels == other.channels:
            first, second = self.root(one.label), self.root(other.label)
            self._parents[max(first, second)] = min(first, second)

    def root(self, label: int) -> int:
        """Return the label by which the group goes."""
        while self._parents[label] != label:
            label = self._parents[label]
        return label

    def owners(self) -> dict[int, tuple[Place, bool]]:
        """Return by group the place that owns it, and whether it is hidden between two convolutions of a stage."""
        members: dict[int, list[tuple[Place, bool]]] = defaultdict(list)
        for label, places in self._places.items():
            members[self.root(label)] += places
        return {root: (_owner([place for place, _ in seen]), seen[0][1]) for root, seen in members.items()}


def _owner(places: list[Place]) -> Place:
    return min(places, key=lambda place: (place.side != "encoder", not place.last, place.index))
