"""From a set of choices to an architecture, and back. Every set of choices gives a legal network."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from ussearch.search_spaces.architecture import (
    Architecture,
    Block,
    DecoderLevel,
    DetailBranch,
    Head,
    Skip,
    Stage,
)
from ussearch.search_spaces.families import DECODERS, FAMILIES, BlockPlan, LevelPlan

MAX_STAGES = 6
SMALLEST_SIDE = 4
"""The deepest features keep at least this side in pixels."""

Choices = Mapping[str, Any]


def max_downsamplings(image_size: int) -> int:
    """Return how often an image side can be halved evenly down to ``SMALLEST_SIDE``."""
    halvings = 0
    while image_size % 2 == 0 and image_size // 2 >= SMALLEST_SIDE:
        image_size //= 2
        halvings += 1
    return halvings


def _strides(choices: Choices, image_size: int) -> list[bool]:
    """Return for each stage after the stem whether it halves; flat stages come last."""
    budget = max_downsamplings(image_size) - (choices["stem_stride"] == 2)
    count = int(choices["stages"])
    halving = min(count - int(choices["flat_stages"]), budget)
    return [index < halving for index in range(count)]


def _stem(choices: Choices) -> Stage:
    stem = Block(
        kind="conv", width=choices["stem_width"], stride=choices["stem_stride"], activation=choices["activation"]
    )
    return Stage(blocks=(stem,))


def _stage(choices: Choices, index: int, channels: int, halve: bool) -> Stage:
    blocks = []
    for position in range(int(choices[f"depth_{index}"])):
        plan = BlockPlan(
            channels=channels,
            width=choices[f"width_{index}"],
            position=position,
            halve=halve,
            kernel=choices[f"kernel_{index}"],
            expansion=choices[f"expansion_{index}"],
            attention=choices[f"attention_{index}"],
            activation=choices["activation"],
        )
        blocks.append(FAMILIES[choices[f"family_{index}"]](plan))
        channels = plan.width
    return Stage(blocks=tuple(blocks))


def _detail(choices: Choices, widths: list[int], halvings: list[bool]) -> DetailBranch | None:
    """Return a branch that keeps the resolution before the last halving, beside that stage and what follows."""
    halving = [index for index, halve in enumerate(halvings) if halve]
    if not choices["detail"] or not halving:
        return None
    start = halving[-1] + 1
    return DetailBranch(start=start, widths=tuple(widths[start:]))


def _decoder(
    choices: Choices, widths: list[int], halvings: list[bool], detail: DetailBranch | None
) -> tuple[DecoderLevel, ...]:
    """Return one level for each halving, deepest first."""
    last_at = [0]
    for index, halve in enumerate(halvings, start=1):
        if halve:
            last_at.append(index)
        else:
            last_at[-1] = index
    levels: list[DecoderLevel] = []
    channels = widths[-1]
    for number, stage in enumerate(reversed(last_at[:-1])):
        width = max(8, round(widths[stage] * choices["decoder_ratio"] / 8) * 8)
        op = choices[f"skip_{number}"]
        plan = LevelPlan(
            channels=channels,
            width=width,
            skip=None if op == "none" else Skip(op=op, stage=stage),
            skip_channels=widths[stage],
            upsampling=choices["upsampling"],
            activation=choices["activation"],
            experts=choices["experts"],
        )
        if detail is not None and number == 0:
            plan = LevelPlan(**{**vars(plan), "skip": Skip(op="add", source="detail"), "skip_channels": widths[-1]})
        levels.append(DECODERS[choices["decoder"]](plan))
        channels = _level_width(levels[-1], plan)
    if choices["stem_stride"] == 2 and choices["full_resolution"]:
        plan = LevelPlan(
            channels=channels,
            width=8,
            skip=None,
            skip_channels=0,
            upsampling=choices["upsampling"],
            activation=choices["activation"],
            experts=choices["experts"],
        )
        levels.append(DECODERS[choices["decoder"]](plan))
    return tuple(levels)


def _level_width(level: DecoderLevel, plan: LevelPlan) -> int:
    """Return the channels after a level: those of its last block, or of the merge where none follows."""
    return level.blocks[-1].width if level.blocks else plan.merged(level.up[-1].width)


def compose(choices: Choices, image_size: int) -> Architecture:
    """Return the architecture of a full set of choices for square images of ``image_size`` pixels a side."""
    halvings = _strides(choices, image_size)
    stages, widths = [_stem(choices)], [int(choices["stem_width"])]
    for index, halve in enumerate(halvings):
        stages.append(_stage(choices, index, widths[-1], halve))
        widths.append(int(choices[f"width_{index}"]))
    detail = _detail(choices, widths, halvings)
    decoder = _decoder(choices, widths, halvings, detail)
    enlarge = choices["stem_stride"] == 2 and not choices["full_resolution"]
    return Architecture(
        stages=tuple(stages),
        detail=detail,
        decoder=decoder,
        head=Head(upsample=2 if enlarge else 1),
        deep_supervision=tuple(range(len(decoder) - 1)) if choices["deep_supervision"] else (),
    )


_TRIED = ("decoder", "upsampling", "experts", "decoder_ratio", "full_resolution")
"""Choices of the decoder that are found by trying, since blocks alone do not tell them."""


def _halves(stage: Stage) -> bool:
    first = stage.blocks[0]
    return first.stride == 2 or first.resample == "maxpool"


def _stage_choices(stage: Stage, channels: int, index: int) -> dict[str, Any]:
    first = stage.blocks[0]
    attention = first.attention.kind if first.attention else "none"
    found: dict[str, Any] = {f"family_{index}": first.kind, f"depth_{index}": len(stage.blocks)}
    found[f"width_{index}"] = first.width
    if first.kind != "fusible":
        found |= {f"kernel_{index}": first.kernel, f"attention_{index}": attention}
    if first.hidden:
        found[f"expansion_{index}"] = first.hidden // max(channels, 1)
    return found


def _read(architecture: Architecture) -> dict[str, Any]:
    """Return the choices that the architecture's data tells."""
    stem, *stages = architecture.stages
    found: dict[str, Any] = {
        "stem_width": stem.blocks[0].width,
        "stem_stride": stem.blocks[0].stride,
        "activation": stem.blocks[0].activation,
        "stages": len(stages),
        "flat_stages": int(bool(stages) and not _halves(stages[-1])),
        "detail": architecture.detail is not None,
        "deep_supervision": bool(architecture.deep_supervision),
    }
    channels = stem.blocks[0].width
    for index, stage in enumerate(stages):
        found |= _stage_choices(stage, channels, index)
        channels = stage.blocks[-1].width
    for number, level in enumerate(architecture.decoder):
        found[f"skip_{number}"] = level.skip.op if level.skip else "none"
    return found


def recover(
    architecture: Architecture, choices: Mapping[str, tuple[Any, ...]], image_size: int
) -> dict[str, Any] | None:
    """Return choices from ``choices`` that compose ``architecture`` at ``image_size``, or None."""
    target = architecture.model_copy(update={"name": ""})
    found = {name: value for name, value in _read(target).items() if name in choices}
    if any(value not in choices[name] for name, value in found.items()):
        return None
    base = {name: values[0] for name, values in choices.items()} | found
    for combination in itertools.product(*(choices[name] for name in _TRIED)):
        candidate = base | dict(zip(_TRIED, combination, strict=True))
        if compose(candidate, image_size) == target:
            return candidate
    return None
