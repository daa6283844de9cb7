"""The last step of every edit: what no longer fits together is made to fit."""

from __future__ import annotations

from math import gcd

from ussearch.search_spaces.architecture import Block
from ussearch.search_spaces.edits.draft import Draft, Features, Place, behind, copied, is_depthwise, walk


def legalise(draft: Draft) -> None:
    """Make residuals, gates, groups and shifted layers of ``draft`` fit the channels that reach them.

    A block whose input has another width is no longer residual, a gate is as wide as its input, a layer that cannot
    change its channels gets a 1×1 convolution before it.
    """
    walk(draft, _fitted)
    levels = len(draft.levels)
    draft.deep_supervision = tuple(level for level in draft.deep_supervision if level < levels - 1)


def _fitted(place: Place, block: Block, features: Features) -> tuple[list[Block], Features]:
    channels = features.channels
    if block.kind in ("gate", "upsample") and block.width not in (0, channels):
        block = copied(block, width=0)
    if block.residual and block.width not in (0, channels):
        block = copied(block, residual=False)
    if is_depthwise(block) and block.width != channels:
        block = copied(block, width=channels, groups=channels)
    elif block.kind == "conv" and block.groups > 1:
        block = copied(block, groups=gcd(gcd(block.groups, channels), block.width or channels))
    if block.kind == "shifted_mlp" and block.width not in (0, channels):
        reduce = Block(kind="conv", width=block.width, kernel=1, activation="none")
        return [reduce, block], Features(block.width)
    if block.kind == "pcdm" and block.width <= channels:
        block = copied(block, width=channels + 8)
    return [block], Features(behind(block, channels))
