"""From a base and edits to an architecture; any edits of any base give a legal one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ussearch.search_spaces.architecture import Architecture
from ussearch.search_spaces.edits import decoder, ends, stages
from ussearch.search_spaces.edits.choices import LEVELS, STAGES, changed
from ussearch.search_spaces.edits.draft import Draft, copied
from ussearch.search_spaces.edits.legal import legalise
from ussearch.search_spaces.edits.widths import Factors, rescale

SMALLEST_SIDE = 4
"""Stages are added while the deepest features keep at least this side in pixels."""
SMALLEST_SEEN = 2
"""An image is seen no smaller than leaves the deepest features this side, where they have it at all."""
STEP = 32
"""Images are seen at sides in multiples of this."""


def edited(base: Architecture, choices: Mapping[str, Any], image_size: int) -> Architecture:
    """Return ``base`` with edits for square images of ``image_size`` pixels a side; without any, ``base`` itself.

    Args:
        base: what is edited.
        choices: values of edits by name (see ``edit_choices``); those that are missing change nothing.
        image_size: side of the images that the network is given; ``input_scale`` is the part of it that it sees.
    """
    edits = changed(choices)
    if not edits:
        return base
    draft = Draft.of(base)
    most = _most_halvings(image_size, edits)
    ends.change_deep_end(draft, edits.get("deep_stages", 0), most)
    if "stem_stride" in edits:
        stages.change_stem_stride(draft, edits["stem_stride"], most)
    for index in range(min(STAGES, len(draft.stages))):
        _edit_stage(draft, index, edits)
    _edit_network(draft, edits)
    for number in range(min(LEVELS, len(draft.levels))):
        if f"level_skip_{number}" in edits:
            decoder.change_skip(draft, number, edits[f"level_skip_{number}"])
    if "activation" in edits:
        _change_activation(draft, edits["activation"])
    legalise(draft)
    rescale(draft, _factors(edits))
    legalise(draft)
    if "input_scale" in edits:
        draft.input_size = seen_size(image_size, edits["input_scale"], draft.halvings)
    made = draft.architecture()
    return base if made.id == base.id else made


def _edit_stage(draft: Draft, index: int, edits: Mapping[str, Any]) -> None:
    if (family := edits.get(f"stage_family_{index}")) is not None:
        stages.change_family(draft, index, family)
    if (more := edits.get(f"stage_depth_{index}")) is not None:
        stages.change_depth(draft, index, more)
    if (kernel := edits.get(f"stage_kernel_{index}")) is not None:
        stages.change_kernel(draft, index, kernel)
    if (kind := edits.get(f"stage_attention_{index}")) is not None:
        stages.change_attention(draft, index, kind)


def _edit_network(draft: Draft, edits: Mapping[str, Any]) -> None:
    if "detail" in edits:
        ends.change_detail(draft, edits["detail"] == "on")
    if "bottleneck" in edits:
        ends.change_bottleneck(draft, edits["bottleneck"])
    if "decoder" in edits:
        decoder.change_family(draft, edits["decoder"])
    if "upsampling" in edits:
        decoder.change_upsampling(draft, edits["upsampling"])
    if "deep_supervision" in edits:
        ends.change_deep_supervision(draft, edits["deep_supervision"] == "on")


def _factors(edits: Mapping[str, Any]) -> Factors:
    def by_number(role: str, count: int) -> dict[int, float]:
        return {index: edits[f"{role}_{index}"] for index in range(count) if f"{role}_{index}" in edits}

    return Factors(
        stages=by_number("stage_width", STAGES),
        levels=by_number("level_width", LEVELS),
        expansions=by_number("stage_expansion", STAGES),
        everything=edits.get("width_multiplier", 1.0),
    )


def _change_activation(draft: Draft, activation: str) -> None:
    """Give all blocks another activation, where they have one to choose."""
    for blocks in (stage.blocks for stage in draft.stages):
        blocks[:] = [_activated(block, activation) for block in blocks]
    for level in draft.levels:
        level.up = [_activated(block, activation) for block in level.up]
        level.blocks = [_activated(block, activation) for block in level.blocks]


def _activated(block: Any, activation: str) -> Any:
    if block.activation == "none" or not stages.reads(block, "activation"):
        return block
    return copied(block, activation=activation)


def _most_halvings(image_size: int, edits: Mapping[str, Any]) -> int:
    """Return how often the image, as it is seen, can be halved down to ``SMALLEST_SIDE``."""
    side = seen_size(image_size, edits.get("input_scale", 1.0), 0) or image_size
    halvings = 0
    while side % 2 == 0 and side // 2 >= SMALLEST_SIDE:
        side, halvings = side // 2, halvings + 1
    return halvings


def seen_size(image_size: int, part: float, halvings: int) -> int | None:
    """Return the side at which an image is seen, for a network that halves it so often; None: as it is given.

    A multiple of 32 and of what the halvings ask for, the nearest to ``part`` of ``image_size``.
    """
    step = max(STEP, 1 << halvings)
    side = max(step, SMALLEST_SEEN << halvings, round(image_size * part / step) * step)
    return side if side < image_size else None
