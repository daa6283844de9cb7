"""The same architecture with all widths scaled alike: the plainest way to a smaller network."""

from __future__ import annotations

from typing import Any

from ussearch.search_spaces.architecture import Architecture, Attention, Block

CHANNELS = 8
"""Widths become multiples of this, unless another multiple is asked for; narrower ones stay as they are."""


def scaled(architecture: Architecture, factor: float, multiple: int = CHANNELS) -> Architecture:
    """Return ``architecture`` with every width and squeeze times ``factor``, in multiples of ``multiple``.

    Equal widths stay equal, so that residuals, sums and gates fit; what is narrower than ``multiple`` is not rounded up
    beyond what it was. Raises ValueError for a factor that is not positive.
    """
    if factor <= 0:
        raise ValueError(f"widths cannot be scaled by {factor}")

    def width(channels: int) -> int:
        if not channels or factor == 1:
            return channels
        return min(
            max(round(channels * factor / multiple) * multiple, min(multiple, channels)), _most(channels, factor)
        )

    data = architecture.model_dump()
    for stage, spec in zip(data["stages"], architecture.stages, strict=True):
        stage["blocks"] = [_scaled_block(block, width) for block in spec.blocks]
    for level, level_spec in zip(data["decoder"], architecture.decoder, strict=True):
        level["up"] = [_scaled_block(block, width) for block in level_spec.up]
        level["blocks"] = [_scaled_block(block, width) for block in level_spec.blocks]
    if architecture.detail:
        data["detail"]["widths"] = [width(each) for each in architecture.detail.widths]
    data["name"] = f"{architecture.name or architecture.id} × {factor:.2f}"
    return Architecture.model_validate(data)


def _most(channels: int, factor: float) -> int:
    """Return the widest that scaling may lead to: rounding never widens what is made narrower."""
    return channels if factor <= 1 else 2**31


def _scaled_block(block: Block, width: Any) -> dict[str, Any]:
    depthwise = block.groups == block.width and block.groups > 1
    # NOTE: a gate behind a concatenation is as wide as what was joined, which rounding makes no multiple of the factor.
    kept = block.kind == "gate"
    changes: dict[str, Any] = {"width": 0 if kept else width(block.width), "hidden": width(block.hidden)}
    if depthwise:
        changes["groups"] = changes["width"]
    if block.attention is not None:
        changes["attention"] = _scaled_attention(block.attention, width)
    return {**block.model_dump(), **changes}


def _scaled_attention(attention: Attention, width: Any) -> dict[str, Any]:
    return {**attention.model_dump(), "squeeze": width(attention.squeeze)}
