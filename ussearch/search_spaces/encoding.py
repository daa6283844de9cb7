"""A fixed-length description of any architecture, by level of resolution, for predictors and surrogates."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from ussearch.search_spaces.architecture import Architecture, Block

LEVELS = 8
_KINDS = ("conv", "dwsep", "mbconv", "convnext", "asym", "fusible", "dynconv", "pcdm", "shifted_mlp", "transposed")
_LIKE = {"rep": "conv"}
"""Kinds that are others in the deploy form."""
_ATTENTIONS = ("se", "eca", "cbam", "spatial_gate", "spatial_gate_concat")
_ACTIVATIONS = ("relu", "relu6", "leaky", "swish", "hswish", "gelu")
_SKIPS = ("concat", "add", "attention_gate")
_SIDES = ("encoder", "decoder")
_STATISTICS = ("blocks", "log2_width", "kernel", "log2_hidden", "dilation")


@cache
def encoding_names() -> tuple[str, ...]:
    """Return the name of every entry of the vector."""
    per_level = (*_STATISTICS, *_KINDS, *_ATTENTIONS)
    names = [f"{side}_{level}_{name}" for side in _SIDES for level in range(LEVELS) for name in per_level]
    names += [f"skip_{level}_{op}" for level in range(LEVELS) for op in _SKIPS]
    names += [f"activation_{name}" for name in _ACTIVATIONS]
    return (*names, "bottleneck", "detail", "head_upsample", "deep_supervision")


def _describe(vector: dict[str, float], prefix: str, block: Block) -> None:
    """Add one block to the sums of its side and level."""
    vector[f"{prefix}_blocks"] += 1
    vector[f"{prefix}_log2_width"] += math.log2(max(block.width, 1))
    vector[f"{prefix}_kernel"] += block.kernel
    vector[f"{prefix}_log2_hidden"] += math.log2(block.hidden) if block.hidden else 0.0
    vector[f"{prefix}_dilation"] += block.dilation
    kind = _LIKE.get(block.kind, block.kind)
    if kind in _KINDS:
        vector[f"{prefix}_{kind}"] += 1
    if block.attention and block.attention.kind in _ATTENTIONS:
        vector[f"{prefix}_{block.attention.kind}"] += 1


def resolution_after(level: int, block: Block) -> int:
    """Return the number of halvings after a block."""
    halves = block.stride == 2 or block.resample == "maxpool"
    doubles = block.kind == "transposed" or block.resample in ("bilinear", "nearest")
    return min(max(level + halves - doubles, 0), LEVELS - 1)


def encode(architecture: Architecture) -> np.ndarray:
    """Return a float64 vector named by ``encoding_names``: sums over the blocks of each side and resolution."""
    vector = dict.fromkeys(encoding_names(), 0.0)
    level = 0
    for stage in architecture.stages:
        level = min(level + (stage.down != "none"), LEVELS - 1)
        for block in stage.blocks:
            level = resolution_after(level, block)
            _describe(vector, f"encoder_{level}", block)
    for decoder_level in architecture.decoder:
        for block in decoder_level.up:
            level = resolution_after(level, block)
            _describe(vector, f"decoder_{level}", block)
        if decoder_level.skip:
            vector[f"skip_{level}_{decoder_level.skip.op}"] += 1
        for block in decoder_level.blocks:
            _describe(vector, f"decoder_{level}", block)
    for name in _ACTIVATIONS:
        vector[f"activation_{name}"] = float(sum(block.activation == name for block in architecture.blocks))
    vector["bottleneck"] = float(architecture.bottleneck is not None)
    vector["detail"] = float(architecture.detail is not None)
    vector["head_upsample"] = float(architecture.head.upsample)
    vector["deep_supervision"] = float(len(architecture.deep_supervision))
    return np.array(list(vector.values()))
