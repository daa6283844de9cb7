"""What an architecture needs from a device, as names that profiles can refuse (``forbidden_features``)."""

from __future__ import annotations

from ussearch.search_spaces.architecture import Architecture

DYNAMIC_CONV = "dynamic_conv"


def features_of(architecture: Architecture) -> frozenset[str]:
    """Return names such as ``block:mbconv``, ``activation:hswish``, ``attention:se``, ``dynamic_conv``."""
    found: set[str] = {f"head:{architecture.head.kind}"}
    for block in architecture.blocks:
        found |= {f"block:{block.kind}", f"activation:{block.activation}"}
        if block.resample != "none":
            found.add(f"resample:{block.resample}")
        if block.attention:
            found.add(f"attention:{block.attention.kind.removesuffix('_concat')}")
        if block.experts > 1:
            found.add(DYNAMIC_CONV)
        if block.norm == "layer" or block.kind == "shifted_mlp":
            found.add("norm:layer")
    if architecture.head.experts > 1:
        found.add(DYNAMIC_CONV)
    found |= {f"skip:{level.skip.op}" for level in architecture.decoder if level.skip}
    if architecture.bottleneck:
        found.add(f"bottleneck:{architecture.bottleneck.kind}")
    if architecture.detail:
        found.add("detail_branch")
    return frozenset(found)
