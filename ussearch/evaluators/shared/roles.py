"""The role of a parameter: what stays the same of its path when architectures differ.

A role names side, resolution, place, kind of block and operator. It never contains a width, kernel size, expansion or
depth: those are the sizes of slices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ussearch.search_spaces import Architecture, Block
from ussearch.search_spaces.architecture import DecoderLevel
from ussearch.search_spaces.encoding import resolution_after


def role_of(name: str, prefixes: dict[str, str]) -> str:
    """Return the role of the parameter ``name``; raises ValueError where no prefix fits it.

    ``prefixes`` are those of ``role_prefixes`` for the network's architecture.
    """
    pieces = name.split(".")
    for length in range(len(pieces) - 1, 0, -1):
        role = prefixes.get(".".join(pieces[:length]))
        if role is not None:
            return ".".join([role, *pieces[length:]])
    raise ValueError(f"no role is known for the parameter {name}: weights of this network cannot be shared")


def role_prefixes(architecture: Architecture) -> dict[str, str]:
    """Return the role of every module path that owns parameters: blocks, their attention, merges, heads, branches."""
    return dict([*_encoder(architecture), *_decoder(architecture)])


def _encoder(architecture: Architecture) -> Iterator[tuple[str, str]]:
    """Yield roles of the encoder: resolution, stage among those that end there, position in the stage, kind."""
    resolution, seats = 0, Counter[int]()
    for index, stage in enumerate(architecture.stages):
        resolution += stage.down != "none"
        resolutions = []
        for block in stage.blocks:
            resolution = resolution_after(resolution, block)
            resolutions.append(resolution)
        seat = seats[resolution]
        seats[resolution] += 1
        for position, (block, at) in enumerate(zip(stage.blocks, resolutions, strict=True)):
            yield from _block(f"stages.{index}.blocks.{position}", f"encoder.{at}.{seat}.{position}", block)
    if architecture.bottleneck:
        yield "bottleneck", f"bottleneck.{resolution}.{architecture.bottleneck.kind}"
    if architecture.detail:
        for step in range(len(architecture.detail.widths)):
            yield f"detail.convs.{step}", f"detail.{architecture.detail.start}.{step}"


def _decoder(architecture: Architecture) -> Iterator[tuple[str, str]]:
    """Yield roles of the decoder, by the resolution that a level works at and by what the level is made of."""
    resolution, made_by = architecture.downsamplings, "encoder"
    for index, level in enumerate(architecture.decoder):
        for block in level.up:
            resolution = resolution_after(resolution, block)
        family = _family(level)
        role = f"decoder.{resolution}.{family}"
        yield f"levels.{index}.merge", f"{role}.merge"
        for part, blocks in (("up", level.up), ("blocks", level.blocks)):
            for position, block in enumerate(blocks):
                yield from _block(f"levels.{index}.{part}.{position}", f"{role}.{part}.{position}", block)
        made_by = "_".join(block.kind for block in level.blocks) or family
        yield f"auxiliary_heads.{index}", f"auxiliary.{resolution}.{made_by}"
    yield "head", f"head.{resolution}.{architecture.head.kind}.{made_by}"


def _block(path: str, role: str, block: Block) -> Iterator[tuple[str, str]]:
    yield path, f"{role}.{block.kind}"
    if block.attention:
        yield f"{path}.attention", f"{role}.{block.kind}.attention.{block.attention.kind}"


def _family(level: DecoderLevel) -> str:
    """Return a word for what a level is made of: two levels that merge differently share no weights."""
    skip = "none" if level.skip is None else f"{level.skip.source}_{level.skip.op}"
    up, blocks = ("_".join(block.kind for block in part) or "nothing" for part in (level.up, level.blocks))
    return f"{up}-{skip}-{blocks}"
