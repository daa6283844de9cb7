"""An architecture while it is edited: lists that can be changed, and the walk along its channels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from ussearch.search_spaces.architecture import Architecture, Block, Bottleneck, DecoderLevel, Head, Skip, Stage
from ussearch.search_spaces.attention import attended_channels

KEEPS_CHANNELS = frozenset({"gate", "upsample", "shifted_mlp"})
"""Kinds of blocks whose output has the channels of their input."""
Down = Literal["none", "maxpool"]


@dataclass
class DraftStage:
    """One encoder stage."""

    blocks: list[Block]
    down: Down = "none"

    @property
    def halves(self) -> bool:
        """Whether the resolution is halved here."""
        return self.down != "none" or any(halves(block) for block in self.blocks)


@dataclass
class DraftLevel:
    """One decoder level."""

    up: list[Block]
    skip: Skip | None
    blocks: list[Block]

    @property
    def doublings(self) -> int:
        """How often the resolution is doubled here."""
        return sum(doubles(block) for block in (*self.up, *self.blocks))


@dataclass
class Draft:
    """Everything of an architecture that edits change."""

    source: Architecture
    stages: list[DraftStage]
    levels: list[DraftLevel]
    detail: int | None
    """Stage beside which the detail branch starts; its widths are those of the stages beside it."""
    bottleneck: Bottleneck | None
    head: Head
    deep_supervision: tuple[int, ...]
    input_size: int | None

    @classmethod
    def of(cls, architecture: Architecture) -> Draft:
        """Return the draft of an architecture, which stays as it is."""
        return cls(
            source=architecture,
            stages=[DraftStage(list(stage.blocks), stage.down) for stage in architecture.stages],
            levels=[DraftLevel(list(level.up), level.skip, list(level.blocks)) for level in architecture.decoder],
            detail=architecture.detail.start if architecture.detail else None,
            bottleneck=architecture.bottleneck,
            head=architecture.head,
            deep_supervision=architecture.deep_supervision,
            input_size=architecture.input_size,
        )

    def architecture(self) -> Architecture:
        """Return the finished architecture, without a name."""
        outputs = stage_channels(self)
        detail = None if self.detail is None else {"start": self.detail, "widths": tuple(outputs[self.detail :])}
        fields: dict[str, Any] = {
            "name": "",
            "stages": tuple(Stage(blocks=tuple(stage.blocks), down=stage.down) for stage in self.stages),
            "decoder": tuple(
                DecoderLevel(up=tuple(level.up), skip=level.skip, blocks=tuple(level.blocks)) for level in self.levels
            ),
            "detail": detail,
            "bottleneck": self.bottleneck,
            "head": self.head,
            "deep_supervision": self.deep_supervision,
            "input_size": self.input_size,
        }
        kept = {name: getattr(self.source, name) for name in ("image_channels", "input_channels", "classes")}
        return Architecture.model_validate(kept | fields)

    @property
    def halvings(self) -> int:
        """How often the encoder halves the resolution."""
        return sum(stage.halves for stage in self.stages)

    def resolution(self, stage: int) -> int:
        """Return how often the resolution is halved up to the output of ``stage``."""
        return sum(each.halves for each in self.stages[: stage + 1])

    def level_resolution(self, level: int) -> int:
        """Return how often the resolution is still halved in ``level``, behind its enlargement."""
        return self.halvings - sum(each.doublings for each in self.levels[: level + 1])

    def last_stage_at(self, resolution: int) -> int | None:
        """Return the deepest stage whose output has this resolution."""
        found = [index for index in range(len(self.stages)) if self.resolution(index) == resolution]
        return found[-1] if found else None


def halves(block: Block) -> bool:
    """Return whether a block halves the resolution."""
    return block.stride == 2 or block.resample == "maxpool"


def doubles(block: Block) -> bool:
    """Return whether a block doubles the resolution."""
    return block.kind == "transposed" or block.resample in ("bilinear", "nearest")


def is_depthwise(block: Block) -> bool:
    """Return whether a block is a convolution with one filter a channel."""
    return block.kind in ("conv", "rep") and block.groups > 1 and block.groups == block.width


def keeps_channels(block: Block) -> bool:
    """Return whether the output of a block has as many channels as its input, whatever they are."""
    return block.width == 0 or block.residual or block.kind in KEEPS_CHANNELS or is_depthwise(block)


@dataclass(frozen=True)
class Features:
    """Features on their way: how many channels, and ``label`` of those that made them; None behind a concatenation."""

    channels: int
    label: int | None = None


@dataclass(frozen=True)
class Place:
    """Where a block stands."""

    side: Literal["encoder", "decoder"]
    index: int
    """Of the stage or level."""
    position: int
    """In the stage; negative before the merge of a level."""
    last: bool
    """Whether what it makes leaves the stage or level."""


Visit = Callable[[Place, Block, Features], tuple[list[Block], Features]]
"""Returns what stands in place of a block, and the features behind it."""
Join = Callable[[Features, Features], None]


def walk(draft: Draft, visit: Visit, added: Join = lambda one, other: None) -> list[list[Features]]:
    """Let ``visit`` see every block of ``draft`` in order of use and replace it; returns the features in the encoder.

    ``added`` hears of every sum of a level's features with a skip.
    """
    features = Features(draft.source.input_channels, -1)
    encoder: list[list[Features]] = []
    for index, stage in enumerate(draft.stages):
        stage.blocks, made = _visited(visit, stage.blocks, features, Place("encoder", index, 0, True))
        encoder.append(made)
        features = made[-1]
    for index, level in enumerate(draft.levels):
        entering = Place("decoder", index, -len(level.up), not level.blocks)
        level.up, made = _visited(visit, level.up, features, entering)
        features = made[-1] if made else features
        if level.skip is not None:
            features = _merged(level.skip, features, _source(draft, level.skip, encoder), added)
        level.blocks, made = _visited(visit, level.blocks, features, Place("decoder", index, 0, True))
        features = made[-1] if made else features
    return encoder


def _visited(visit: Visit, blocks: list[Block], features: Features, first: Place) -> tuple[list[Block], list[Features]]:
    """Return what stands in place of ``blocks``, the first of which stands at ``first``, and the features behind each.

    Where ``first`` is last, so is the last of them and no other.
    """
    result: list[Block] = []
    made: list[Features] = []
    for number, block in enumerate(blocks):
        ends = first.last and number == len(blocks) - 1
        instead, features = visit(replace(first, position=first.position + number, last=ends), block, features)
        result += instead
        made += [features] * len(instead)
    return result, made


def _source(draft: Draft, skip: Skip, encoder: list[list[Features]]) -> Features:
    if skip.source == "detail":
        return encoder[-1][-1]
    made = encoder[skip.stage]
    return made[skip.block % len(made)]


def _merged(skip: Skip, features: Features, other: Features, added: Join) -> Features:
    if skip.op == "add":
        added(features, other)
        return features
    return Features(features.channels + other.channels)


def unchanged(place: Place, block: Block, features: Features) -> tuple[list[Block], Features]:
    """Visit a block and leave it as it is."""
    return [block], Features(behind(block, features.channels))


def behind(block: Block, channels: int) -> int:
    """Return the channels behind a block."""
    if block.kind == "gate":
        return attended_channels(channels, block.attention)
    return block.width or channels


def stage_channels(draft: Draft) -> list[int]:
    """Return the channels behind every stage."""
    return [made[-1].channels for made in walk(draft, unchanged)]


def blocks_with_input(stage: DraftStage, channels: int) -> Iterator[tuple[int, Block, int]]:
    """Yield position, block and input channels of the blocks of a stage that gets ``channels``."""
    for position, block in enumerate(stage.blocks):
        yield position, block, channels
        channels = behind(block, channels)


def copied(block: Block, **changes: Any) -> Block:
    """Return a block with some fields changed, unchecked."""
    return block.model_copy(update=changes)
