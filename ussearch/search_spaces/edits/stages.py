"""Edits of one encoder stage: its family of blocks, how many there are, kernels, attention; and the stem's stride."""

from __future__ import annotations

from ussearch.search_spaces.architecture import Attention, Block
from ussearch.search_spaces.blocks import BLOCKS
from ussearch.search_spaces.edits.draft import (
    Draft,
    DraftStage,
    behind,
    blocks_with_input,
    copied,
    halves,
    is_depthwise,
    keeps_channels,
    stage_channels,
)
from ussearch.search_spaces.families import FAMILIES, BlockPlan, attention_of

MOST_BLOCKS = 4
"""Of a stage that gets another family."""
_GATES_OUTPUT = frozenset({"conv", "dwsep", "asym", "rep"})


def reads(block: Block, field: str) -> bool:
    """Return whether the kind of ``block`` has this field."""
    return field in BLOCKS[block.kind].fields


def input_channels(draft: Draft, stage: int) -> int:
    """Return the channels that reach a stage."""
    return draft.source.input_channels if stage == 0 else stage_channels(draft)[stage - 1]


def change_family(draft: Draft, index: int, family: str) -> None:
    """Make a stage of blocks of another family: as many, with the same width, kernel, attention and activation."""
    stage, channels = draft.stages[index], input_channels(draft, index)
    width = stage_channels(draft)[index]
    main = [block for block in stage.blocks if block.kind not in ("gate", "upsample")]
    like = max(main, key=lambda block: (reads(block, "activation"), block.hidden, block.kernel))
    attention = next((block.attention.kind for block in stage.blocks if block.attention), "none")
    count = min(1 + len(_units(stage, channels)), MOST_BLOCKS)
    halving = any(halves(block) for block in stage.blocks)
    blocks: list[Block] = []
    for position in range(count):
        plan = BlockPlan(
            channels=channels,
            width=width,
            position=position,
            halve=halving,
            kernel=max((block.kernel for block in main), default=3),
            expansion=max(1, round(like.hidden / channels)) if like.hidden and channels > 4 else 4,
            attention=attention.removesuffix("_concat"),
            activation=like.activation if like.activation != "none" else "relu",
        )
        blocks.append(FAMILIES[family](plan))
        channels = width
    stage.blocks = blocks


def change_depth(draft: Draft, index: int, more: int) -> None:
    """Repeat the last blocks of a stage that keep its channels, or leave them out.

    Where a stage has none, one is made like its last block; the only block of a stage stays.
    """
    stage, channels = draft.stages[index], input_channels(draft, index)
    for _ in range(-more):
        units = _units(stage, channels)
        if units and units[-1][1] - units[-1][0] < len(stage.blocks):
            first, end = units[-1]
            del stage.blocks[first:end]
    for _ in range(more):
        units = _units(stage, channels)
        first, end = units[-1] if units else (len(stage.blocks) - 1, len(stage.blocks))
        again = stage.blocks[first:end] if units else _like(stage.blocks[-1], stage_channels(draft)[index])
        stage.blocks[end:end] = again


def _units(stage: DraftStage, channels: int) -> list[tuple[int, int]]:
    """Return [first, end) of the blocks that could stand once more: residual or square, with 1×1 layers behind them.

    CMUNeXt's unit is three convolutions, of which the first is residual and the other two widen and narrow.
    """
    seen = list(blocks_with_input(stage, channels))
    units: list[tuple[int, int]] = []
    position = 0
    while position < len(seen):
        _, block, wide = seen[position]
        end = position + 1
        if block.kind not in ("gate", "upsample") and not _resamples(block) and behind(block, wide) == wide:
            pointwise = end
            while pointwise < len(seen) and _is_pointwise(seen[pointwise][1]):
                pointwise += 1
                if behind(seen[pointwise - 1][1], seen[pointwise - 1][2]) == wide:
                    end = pointwise
                    break
            units.append((position, end))
        position = end
    return units


def _resamples(block: Block) -> bool:
    return block.stride != 1 or block.resample != "none"


def _is_pointwise(block: Block) -> bool:
    return block.kind == "conv" and block.kernel == 1 and not _resamples(block)


def _like(block: Block, channels: int) -> list[Block]:
    """Return a block of the same kind that keeps ``channels``; none where the kind cannot."""
    if block.kind in ("pcdm", "gate", "transposed", "upsample"):
        return []
    hidden = {"hidden": block.hidden} if block.hidden else {}
    residual = {"residual": True} if reads(block, "residual") else {}
    groups = {"groups": channels} if is_depthwise(block) else {}
    return [copied(block, width=channels, stride=1, resample="none", **hidden, **residual, **groups)]


def change_kernel(draft: Draft, index: int, kernel: int) -> None:
    """Give every k×k layer of a stage another kernel; 1×1 layers, and those of a fixed kernel, stay."""
    stage = draft.stages[index]
    stage.blocks = [
        copied(block, kernel=kernel) if block.kernel > 1 and reads(block, "kernel") else block for block in stage.blocks
    ]


def change_attention(draft: Draft, index: int, kind: str) -> None:
    """Give a stage another attention, or none; a gate at its end where its blocks have no place for one."""
    stage = draft.stages[index]
    kept = [block for block in stage.blocks if block.kind != "gate"]
    gated = [_attended(block, wide, kind) for _, block, wide in blocks_with_input(DraftStage(kept), 0)]
    if kind != "none" and gated == [copied(block, attention=None) for block in kept]:
        channels = stage_channels(draft)[index]
        gated.append(Block(kind="gate", attention=attention_of(kind, channels)))
    stage.blocks = gated or stage.blocks


def _attended(block: Block, channels: int, kind: str) -> Block:
    """Return a block with another attention, on what its kind gates; 1×1 and depthwise layers have none."""
    if not reads(block, "attention"):
        return block
    plain = block.kind == "conv" and (block.kernel == 1 or is_depthwise(block) or not keeps_channels(block))
    if kind == "none" or plain:
        return copied(block, attention=None)
    width = (block.width or channels) if block.kind in _GATES_OUTPUT else block.hidden
    concat = block.attention is not None and block.attention.kind == "spatial_gate_concat" and kind == "spatial_gate"
    if concat:
        return block
    gate: Attention | None = attention_of(kind, width) if width else Attention(kind=kind)
    return copied(block, attention=gate)


def change_stem_stride(draft: Draft, stride: int, halvings: int) -> None:
    """Let the first block halve the resolution, or not; the logits are enlarged so much more, or less.

    ``halvings`` is how often the image can be halved. Nothing changes where the first block cannot, or no enlargement
    of the logits could be left out.
    """
    first, head = draft.stages[0].blocks[0], draft.head
    if first.stride == stride or not reads(first, "stride") or first.residual or first.kind == "pcdm":
        return
    if first.resample != "none" or (stride == 2 and draft.halvings >= halvings):
        return
    upsample = head.upsample * 2 if stride == 2 else head.upsample // 2
    if upsample not in (1, 2, 4):
        return
    draft.stages[0].blocks[0] = copied(first, stride=stride)
    draft.head = head.model_copy(update={"upsample": upsample})
