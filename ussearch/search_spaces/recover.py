"""From an architecture back to the choices that compose it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from ussearch.search_spaces.architecture import Architecture, Stage
from ussearch.search_spaces.compose import compose

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
