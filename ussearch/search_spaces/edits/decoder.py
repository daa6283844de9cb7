"""Edits of the decoder: its family, how it enlarges, and the skip of each level."""

from __future__ import annotations

from typing import Literal, cast

from ussearch.search_spaces.architecture import Block, Skip
from ussearch.search_spaces.edits.draft import Draft, DraftLevel, behind, copied, doubles, stage_channels
from ussearch.search_spaces.edits.ends import enlarges
from ussearch.search_spaces.families import DECODERS, LevelPlan, Upsampling

SkipOperator = Literal["concat", "add", "attention_gate"]


def change_family(draft: Draft, family: str) -> None:
    """Make all levels that enlarge of another family, with the same widths and skips; the others are left out.

    Nothing changes where a level enlarges behind its merge, or more than once.
    """
    if not all(enlarges(level) or not level.doublings for level in draft.levels):
        return
    if any(block.experts > 1 for level in draft.levels for block in level.blocks):
        experts = max(block.experts for level in draft.levels for block in level.blocks)
    else:
        experts = 1
    outputs = stage_channels(draft)
    levels: list[DraftLevel] = []
    numbers: dict[int, int] = {}
    for number, (level, width) in enumerate(zip(draft.levels, level_channels(draft), strict=True)):
        if not level.doublings:
            continue
        skip_channels = 0
        if level.skip is not None:
            skip_channels = outputs[-1 if level.skip.source == "detail" else level.skip.stage]
        plan = LevelPlan(
            channels=outputs[-1] if not levels else _width_of(levels[-1]),
            width=width,
            skip=level.skip,
            skip_channels=skip_channels,
            upsampling=upsampling_of(level),
            activation="relu",
            experts=experts,
        )
        numbers[number] = len(levels)
        made = DECODERS[family](plan)
        levels.append(DraftLevel(list(made.up), made.skip, list(made.blocks)))
    draft.levels = levels
    draft.deep_supervision = tuple(numbers[level] for level in draft.deep_supervision if level in numbers)


def _width_of(level: DraftLevel) -> int:
    return (level.blocks or level.up)[-1].width


def level_channels(draft: Draft) -> list[int]:
    """Return the channels behind every level."""
    outputs = stage_channels(draft)
    channels, result = outputs[-1], []
    for level in draft.levels:
        for block in level.up:
            channels = behind(block, channels)
        if level.skip is not None and level.skip.op != "add":
            channels += outputs[-1 if level.skip.source == "detail" else level.skip.stage]
        for block in level.blocks:
            channels = behind(block, channels)
        result.append(channels)
    return result


def upsampling_of(level: DraftLevel) -> Upsampling:
    """Return how a level enlarges."""
    block = next(block for block in (*level.up, *level.blocks) if doubles(block))
    return cast("Upsampling", "transposed" if block.kind == "transposed" else block.resample)


def change_upsampling(draft: Draft, how: Upsampling) -> None:
    """Let all levels enlarge in another way."""
    for level in draft.levels:
        if level.doublings and upsampling_of(level) != how:
            level.up = [each for block in level.up for each in _enlarging(block, how)]
            level.blocks = [each for block in level.blocks for each in _enlarging(block, how)]


def _enlarging(block: Block, how: Upsampling) -> list[Block]:
    """Return what enlarges as ``block`` does, in another way."""
    if not doubles(block):
        return [block]
    if how != "transposed":
        if block.kind != "transposed":
            return [copied(block, resample=how)]
        reduce = Block(kind="conv", width=block.width, kernel=1, activation=block.activation)
        return [Block(kind="upsample", resample=how), reduce]
    if block.kind == "transposed":
        return [block]
    enlarge = Block(kind="transposed", kernel=2)
    return [enlarge] if block.kind == "upsample" else [enlarge, copied(block, resample="none")]


def change_skip(draft: Draft, number: int, op: SkipOperator | Literal["none"]) -> None:
    """Merge the skip of a level in another way, or leave it out.

    A level without one takes the deepest stage of its resolution; where there is none nothing changes. What comes
    from the detail branch stays: without it the branch would have no end.
    """
    level = draft.levels[number]
    if level.skip is not None and level.skip.source == "detail":
        return
    if op == "none":
        level.skip = None
        return
    if level.skip is not None:
        level.skip = level.skip.model_copy(update={"op": op})
        return
    stage = draft.last_stage_at(draft.level_resolution(number))
    if stage is not None and level.doublings:
        level.skip = Skip(op=op, stage=stage)
