"""Structural pruning: the least important channels leave, and what remains is an architecture of its own."""

from __future__ import annotations

import copy
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ussearch.compress.pruning.channel_groups import channel_groups_of
from ussearch.compress.pruning.channels import IMAGE, Channels, read_channels
from ussearch.compress.pruning.choice import PruningChoice, kept_positions
from ussearch.compress.pruning.importance import Evidence, scores_of
from ussearch.compress.pruning.layers import cells, cut
from ussearch.compress.pruning.rules import rules_of
from ussearch.errors import UserError
from ussearch.evaluators.training.losses import Loss
from ussearch.search_spaces import Architecture, Block, Network, build
from ussearch.search_spaces.attention import AttentionModule
from ussearch.search_spaces.blocks import BlockModule
from ussearch.search_spaces.network import EncoderStage, Level


def without_channels(network: Network, channels: Channels, removed: np.ndarray) -> Network:
    """Return a copy of ``network`` whose layers lack the removed channels; its record is still the old one."""
    smaller = copy.deepcopy(network)
    for (name, side), numbers in channels.axes.items():
        positions = np.flatnonzero(np.isin(numbers, removed)).tolist()
        if positions:
            cut(smaller.get_submodule(name), side, positions)
    return smaller


def masked(network: Network, image_size: int, kept: Mapping[str, Sequence[int]]) -> Network:
    """Return ``network`` at its old widths, with zeros for what ``Pruned.kept`` leaves out.

    Gives the output of the pruned network but for operations that mix over the number of channels: layer norm, ECA,
    the spatial part of CBAM (mean over channels), and the channel affinity of BMIS's bottleneck.
    """
    channels = read_channels(network, image_size)
    gone = [
        np.delete(numbers, kept[name])
        for (name, side), numbers in channels.axes.items()
        if side == "out" and name != IMAGE[0]
    ]
    removed = np.unique(np.concatenate(gone))
    result = copy.deepcopy(network).eval()
    with torch.no_grad():
        for (name, side), numbers in channels.axes.items():
            positions = np.flatnonzero(np.isin(numbers, removed))
            if len(positions) == 0:
                continue
            module = result.get_submodule(name)
            for parameter, indices in cells(module, side).items():
                module.get_parameter(parameter).view(-1)[indices[positions].reshape(-1)] = 0.0
    return result


def to_architecture(network: Network, name: str) -> Architecture:
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


Cost = Callable[[Architecture], float]
"""What an architecture costs on a device, such as its predicted milliseconds."""


@dataclass(frozen=True)
class Pruned:
    """A pruned network, in evaluation mode and training form (its norms are not merged yet: it is trained again)."""

    network: Network
    architecture: Architecture
    """With its exact widths; ``build(architecture)`` takes the network's weights."""
    before: int
    """Channels that could be pruned, those of parallel layers of one width counted each."""
    after: int
    kept: Mapping[str, tuple[int, ...]]
    """By layer of the original network, the positions of its outputs that are still there."""


def prune(
    network: Network,
    image_size: int,
    *,
    ratio: float,
    importance: str = "l2",
    round_to: int = 8,
    batches: Iterable[tuple[Tensor, Tensor]] | None = None,
    loss: Loss | None = None,
    seed: int = 0,
    cost: Cost | None = None,
) -> Pruned:
    """Return ``network`` without at least ``ratio`` (0..1) of the channels that can be pruned; the original stays.

    All channels compete (``choice``), by the importance of that name in ``IMPORTANCES``. With ``cost`` they compete by
    importance for what they save of it, and ``ratio`` is the share of the cost that goes: a channel at full resolution
    costs many times as much as one at the bottom. Widths stay multiples of ``round_to``, except those that are
    below it already, and those of queries and gates that ``build`` derives from other widths. ``image_size``: pixels a
    side, a multiple of the architecture's ``size_divisor``. ``batches`` (images [B, C, H, W], masks [B, classes, H, W])
    and ``loss`` serve the importances that read gradients; ``seed`` the random ones. Everything is computed on the CPU,
    from where the result returns to the network's device.

    Raises UserError for an unknown importance, a network in deploy form, a ratio outside 0..1 or out of reach.
    """
    _check(network, ratio, round_to)
    device = next(network.parameters()).device
    network = copy.deepcopy(network).cpu()
    evidence = Evidence([(images.cpu(), masks.cpu()) for images, masks in batches or ()], loss, seed)
    channels = read_channels(network, image_size)
    rules = rules_of(network, channels)
    units = channel_groups_of(channels, rules)
    scores = scores_of(importance, network, channels, units, evidence).numpy()
    choice = PruningChoice(channels, rules, units, scores, round_to)
    removed = choice.removed(_chunks(network, choice, ratio, cost))
    smaller = without_channels(network, channels, removed)
    architecture = to_architecture(
        smaller, f"{network.architecture.name.removesuffix('pruned').strip()} pruned".strip()
    )
    rebuilt = build(architecture)
    rebuilt.load_state_dict(smaller.state_dict())
    before = sum(unit.strands.size for unit in units)
    lost = sum(int(torch.isin(torch.from_numpy(unit.strands), torch.from_numpy(removed)).sum()) for unit in units)
    return Pruned(rebuilt.to(device).eval(), architecture, before, before - lost, kept_positions(channels, removed))


def _chunks(network: Network, choice: PruningChoice, ratio: float, cost: Cost | None) -> Sequence[int]:
    """Return the fewest chunks, in the order in which they go, with which ``ratio`` of channels or cost is gone.

    Raises UserError where more is asked for than can go, naming the largest ratio that can be reached.
    """
    lost: Callable[[Sequence[int]], float] = choice.share if cost is None else _share_of(cost, network, choice)
    order = choice.order(None if cost is None else choice.savings(lost))
    most = lost(order)
    if most < ratio:
        raise UserError(
            f"A pruning ratio of {ratio:.3g} leaves too little of this network: with widths in multiples of "
            f"{choice.round_to} it can lose {np.floor(100 * most) / 100:g} of its "
            f"{'channels' if cost is None else 'cost'}; give that or less."
        )
    return order[: bisect_left(range(len(order)), ratio, key=lambda count: lost(order[:count]))]


def _share_of(cost: Cost, network: Network, choice: PruningChoice) -> Callable[[Sequence[int]], float]:
    """Return a function of chunks: the share of the cost that goes with them."""
    whole = cost(network.architecture)

    def saved(places: Sequence[int]) -> float:
        smaller = without_channels(network, choice.channels, choice.removed(places))
        return 1 - cost(to_architecture(smaller, "")) / whole

    return saved


def _check(network: Network, ratio: float, round_to: int) -> None:
    if not 0.0 <= ratio < 1.0:
        raise UserError(
            f"A pruning ratio of {ratio:g} was given: it is the share of channels or of cost to remove, 0 to below 1."
        )
    if round_to < 1:
        raise UserError(f"Widths were to be multiples of {round_to}: give 1 or more, best 8 or 16.")
    if set(network.state_dict()) != set(build(network.architecture, device="meta").state_dict()):
        raise UserError(
            "The network to prune is in its deploy form, whose norms are merged: give the network in training form."
        )
