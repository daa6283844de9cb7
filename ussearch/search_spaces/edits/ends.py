"""Edits of the deep end: stages left out or added there, bottleneck, detail branch; and deep supervision."""

from __future__ import annotations

from ussearch.search_spaces.architecture import Block, Bottleneck, Skip
from ussearch.search_spaces.edits.draft import Draft, DraftLevel, DraftStage, copied, doubles, halves, stage_channels

FEWEST_STAGES, MOST_STAGES = 3, 10


def change_deep_end(draft: Draft, more: int, halvings: int) -> None:
    """Add ``more`` stages at the deep end, or leave that many out, with their levels of the decoder.

    ``halvings`` is how often the image can be halved. What cannot be done changes nothing.
    """
    for _ in range(-more):
        _drop_stage(draft)
    for _ in range(more):
        if draft.halvings < halvings and len(draft.stages) < MOST_STAGES:
            _add_stage(draft)


def _drop_stage(draft: Draft) -> None:
    if len(draft.stages) <= FEWEST_STAGES:
        return
    last = len(draft.stages) - 2
    wanted = draft.halvings - draft.stages[-1].halves
    enlarged = sum(level.doublings for level in draft.levels)
    dropped = 0
    for level in draft.levels:
        own = draft.halvings - sum(each.doublings for each in draft.levels) + enlarged
        deepest = level.skip is not None and level.skip.source == "encoder" and level.skip.stage >= last
        if own <= wanted and not deepest:
            break
        enlarged -= level.doublings
        dropped += 1
    if enlarged != sum(level.doublings for level in draft.levels) - draft.stages[-1].halves:
        return
    if dropped == len(draft.levels) or (draft.detail is not None and draft.detail > last):
        return
    draft.levels = draft.levels[dropped:]
    draft.stages = draft.stages[:-1]
    draft.deep_supervision = tuple(level - dropped for level in draft.deep_supervision if level >= dropped)
    for level in draft.levels:
        if level.skip is not None and level.skip.source == "encoder" and level.skip.stage > last:
            level.skip = None


def _add_stage(draft: Draft) -> None:
    """Repeat the last stage that halves, half as wide again, and the decoder's first level, with a skip between."""
    found = [index for index, stage in enumerate(draft.stages) if stage.halves]
    levels = [level for level in draft.levels if level.doublings == 1]
    if draft.detail is not None or not found or not levels:
        return
    outputs = stage_channels(draft)
    like, channels = draft.stages[found[-1]], outputs[-1]
    width = round(channels * 1.5 / 8) * 8
    first = next((position for position, block in enumerate(like.blocks) if halves(block)), 0)
    blocks = [_wider(block, outputs[found[-1]], width, channels) for block in like.blocks[first:]]
    level = levels[0]
    up = [_narrowed(block, channels) for block in level.up]
    skip = level.skip and Skip(op=level.skip.op, stage=len(draft.stages) - 1)
    added = DraftLevel(up, skip, [_narrowed(block, channels) for block in level.blocks])
    draft.stages.append(DraftStage(blocks, like.down))
    draft.levels.insert(0, added)
    draft.deep_supervision = tuple(level + 1 for level in draft.deep_supervision)


def _wider(block: Block, former: int, width: int, channels: int) -> Block:
    """Return a block of the last stage for the one behind it: as wide in proportion."""
    ratio = width / former
    new = {"width": width if block.width == former else round(block.width * ratio / 8) * 8}
    if block.kind in ("gate", "upsample") or block.width == 0:
        new = {"width": 0}
    if block.hidden:
        new["hidden"] = round(block.hidden * ratio / 8) * 8 or 8
    if block.groups > 1:
        new["groups"] = new["width"] if block.groups == block.width else block.groups
    return copied(block, **new)


def _narrowed(block: Block, channels: int) -> Block:
    """Return a block of the decoder's first level for the one before it: with ``channels`` behind it."""
    if block.width == 0 or block.kind in ("gate", "upsample"):
        return copied(block, width=0)
    groups = {"groups": channels} if block.groups > 1 and block.groups == block.width else {}
    return copied(block, width=channels, **groups)


def change_bottleneck(draft: Draft, kind: str) -> None:
    """Put another attention over all positions between encoder and decoder, or none."""
    draft.bottleneck = None if kind == "none" else Bottleneck(kind=kind)


def change_detail(draft: Draft, wanted: bool) -> None:
    """Lead a detail branch beside the last stages into the decoder's first level, or take it away.

    It starts where its resolution is that of the first level; where there is no such stage nothing changes.
    """
    if wanted == (draft.detail is not None) or not draft.levels:
        return
    at = draft.level_resolution(0)
    if not wanted:
        draft.detail = None
        for number, level in enumerate(draft.levels):
            if level.skip is not None and level.skip.source == "detail":
                stage = draft.last_stage_at(draft.level_resolution(number))
                level.skip = None if stage is None else Skip(op=level.skip.op, stage=stage)
        return
    starts = [index for index in range(1, len(draft.stages)) if _entering(draft, index) == at]
    if starts and draft.levels[0].doublings and at < draft.halvings:
        draft.detail = starts[-1]
        draft.levels[0].skip = Skip(op="add", source="detail")


def _entering(draft: Draft, stage: int) -> int:
    """Return how often the resolution is halved where the blocks of ``stage`` begin."""
    return draft.resolution(stage - 1) + (draft.stages[stage].down != "none")


def change_deep_supervision(draft: Draft, wanted: bool) -> None:
    """Let every level but the last have a head of its own in training, or none."""
    draft.deep_supervision = tuple(range(len(draft.levels) - 1)) if wanted else ()


def enlarges(level: DraftLevel) -> bool:
    """Return whether a level doubles the resolution once, before its merge."""
    return sum(doubles(block) for block in level.up) == 1 and not any(doubles(block) for block in level.blocks)
