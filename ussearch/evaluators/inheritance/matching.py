"""Which part of a network stands for which of its relative's: blocks by their order, levels by their resolution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from ussearch.search_spaces import Architecture, Block
from ussearch.search_spaces.edits.draft import Draft, halves, is_depthwise

Paths = dict[str, str]
"""Of modules, the child's to the parent's."""


def matching_paths(child: Architecture, parent: Architecture) -> Paths:
    """Return the paths of the child's modules that have a counterpart in the parent, with its path.

    Stages are matched by number or, where that finds more, by the resolution that they end with; levels by the
    resolution that they bring features to. Within them blocks of one kind are matched in their order. Widths, kernels
    and expansions may differ.
    """
    mine, others = Draft.of(child), Draft.of(parent)
    by_number = [(index, index) for index in range(min(len(mine.stages), len(others.stages)))]
    by_resolution = _same(_stage_seats(mine), _stage_seats(others))
    stages = max((_stages(mine, others, pairs) for pairs in (by_number, by_resolution)), key=len)
    levels = _same(_level_seats(mine), _level_seats(others))
    return {**stages, **_levels(mine, others, levels), **_rest(child, parent, levels)}


def _stages(mine: Draft, others: Draft, pairs: Sequence[tuple[int, int]]) -> Paths:
    paths: Paths = {}
    for own, other in pairs:
        for position, counterpart in _aligned(mine.stages[own].blocks, others.stages[other].blocks):
            paths[f"stages.{own}.blocks.{position}"] = f"stages.{other}.blocks.{counterpart}"
    return paths


def _levels(mine: Draft, others: Draft, pairs: Sequence[tuple[int, int]]) -> Paths:
    paths: Paths = {}
    for own, other in pairs:
        first, second = mine.levels[own], others.levels[other]
        for part, blocks, counterparts in (
            ("up", first.up, second.up),
            ("blocks", first.blocks, second.blocks),
        ):
            for position, counterpart in _aligned(blocks, counterparts):
                paths[f"levels.{own}.{part}.{position}"] = f"levels.{other}.{part}.{counterpart}"
        if first.skip is not None and second.skip is not None and first.skip.op == second.skip.op:
            paths[f"levels.{own}.merge"] = f"levels.{other}.merge"
    return paths


def _rest(child: Architecture, parent: Architecture, levels: Sequence[tuple[int, int]]) -> Paths:
    paths: Paths = {}
    if child.head.kind == parent.head.kind:
        paths["head"] = "head"
    if child.bottleneck and parent.bottleneck and child.bottleneck.kind == parent.bottleneck.kind:
        paths["bottleneck"] = "bottleneck"
    if child.detail and parent.detail:
        steps = min(len(child.detail.widths), len(parent.detail.widths))
        paths |= {f"detail.convs.{step}": f"detail.convs.{step}" for step in range(steps)}
    for own, other in levels:
        if own in child.deep_supervision and other in parent.deep_supervision:
            paths[f"auxiliary_heads.{own}"] = f"auxiliary_heads.{other}"
    return paths


def _aligned(blocks: Sequence[Block], others: Sequence[Block]) -> Iterator[tuple[int, int]]:
    """Yield the positions of blocks that do the same work, in order."""
    matcher = SequenceMatcher(None, list(map(_work, blocks)), list(map(_work, others)), autojunk=False)
    for first, second, length in matcher.get_matching_blocks():
        yield from ((first + step, second + step) for step in range(length))


def _work(block: Block) -> tuple[str, bool, bool, bool]:
    """Return what tells the work of a block from that of others, whatever its sizes are."""
    return block.kind, halves(block), is_depthwise(block), block.kernel == 1


def _stage_seats(draft: Draft) -> list[tuple[int, int]]:
    return _seats([draft.resolution(index) for index in range(len(draft.stages))])


def _level_seats(draft: Draft) -> list[tuple[int, int]]:
    return _seats([draft.level_resolution(index) for index in range(len(draft.levels))])


def _seats(resolutions: Sequence[int]) -> list[tuple[int, int]]:
    """Return each resolution with how many of the same stand before it."""
    return [(resolution, resolutions[:index].count(resolution)) for index, resolution in enumerate(resolutions)]


def _same(mine: Sequence[tuple[int, int]], others: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(index, others.index(seat)) for index, seat in enumerate(mine) if seat in others]
