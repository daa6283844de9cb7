"""What a block is: a module built from (input channels, record) that states its output channels."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from ussearch.registry import Registry
from ussearch.search_spaces.architecture import Block

_COMMON = frozenset({"kind", "width"})


class BlockModule(nn.Module):
    """Base of all blocks. ``fields`` are the record's fields that this kind reads; setting another is an error."""

    fields: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, in_channels: int, spec: Block) -> None:
        super().__init__()
        unread = spec.model_fields_set - self.fields - _COMMON
        defaults = {name: type(spec).model_fields[name].default for name in unread}
        changed = sorted(name for name in unread if getattr(spec, name) != defaults[name])
        if changed:
            raise ValueError(f"block {spec.kind!r} does not read {', '.join(changed)}: leave it out")
        self.in_channels = in_channels
        self.out_channels = spec.width
        if spec.residual and (in_channels != spec.width or spec.stride != 1 or spec.resample != "none"):
            raise ValueError(
                f"block {spec.kind!r} cannot be residual from {in_channels} to {spec.width} channels, "
                f"stride {spec.stride}, resampling {spec.resample}"
            )

    def forward(self, x: Tensor) -> Tensor:
        """[B, in_channels, H, W] -> [B, out_channels, H', W']."""
        raise TypeError(f"{type(self).__name__} defines no forward")

    def widths(self) -> dict[str, int]:
        """Return the widths that this block has now, by their names in the record; none if it keeps its channels.

        They differ from the record that it was built from once channels were pruned.
        """
        return {}


BLOCKS: Registry[type[BlockModule]] = Registry("block")


def build_block(in_channels: int, spec: Block) -> BlockModule:
    """Return the block for ``in_channels`` features; a width of 0 keeps them."""
    if spec.width == 0:
        spec = spec.model_copy(update={"width": in_channels})
    return BLOCKS[spec.kind](in_channels, spec)
