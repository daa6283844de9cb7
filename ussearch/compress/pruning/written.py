"""A pruned network written back as an architecture: every module says the widths that it has now."""

from __future__ import annotations

from typing import Any

from torch import nn

from ussearch.search_spaces import Architecture, Block, Network
from ussearch.search_spaces.attention import AttentionModule
from ussearch.search_spaces.blocks import BlockModule
from ussearch.search_spaces.network import EncoderStage, Level


def architecture_of(network: Network, name: str) -> Architecture:
    """Return the architecture that ``network`` has now, called ``name``; widths and squeezes are explicit.

    Blocks that keep the channels that come in, such as an upsampling, say so (width 0).
    """
    spec = network.architecture
    data = spec.model_dump() | {"name": name}
    for stage, record, module in zip(spec.stages, data["stages"], network.stages, strict=True):
        assert isinstance(module, EncoderStage)
        record["blocks"] = _records(stage.blocks, module.blocks)
    for level, record, module in zip(spec.decoder, data["decoder"], network.levels, strict=True):
        assert isinstance(module, Level)
        record["up"], record["blocks"] = _records(level.up, module.up), _records(level.blocks, module.blocks)
    if network.detail is not None:
        data["detail"]["widths"] = network.detail.widths()
    return Architecture.model_validate(data)


def _records(blocks: tuple[Block, ...], modules: nn.ModuleList) -> list[dict[str, Any]]:
    return [_record(block, module) for block, module in zip(blocks, modules, strict=True)]


def _record(block: Block, module: nn.Module) -> dict[str, Any]:
    """Return the record of one block with the widths of its module."""
    assert isinstance(module, BlockModule)
    record = block.model_dump(exclude_unset=True) | {"width": 0} | module.widths()
    attention = getattr(module, "attention", None)
    if block.attention and isinstance(attention, AttentionModule):
        record["attention"] |= attention.widths()
    return record
