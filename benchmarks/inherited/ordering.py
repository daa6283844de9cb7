"""Channels of a trained network in order of importance, so that a narrower child takes the ones that matter most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ussearch.evaluators.inheritance.axes import ParameterLayout, parameter_layouts
from ussearch.search_spaces import Architecture, Network, build

LEAST = 4
"""Axes with fewer channels (the image, the classes) stay as they are."""
TOLERANCE = 1e-3
"""What an answer may change by, in the largest logit: orders of float sums."""


class _Use(NamedTuple):
    name: str
    dimension: int
    start: int
    length: int


def ordered(architecture: Architecture, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state of a trained network with the channels of each axis in order of importance, most first.

    The network computes what it did: whatever makes or reads an axis is permuted alike. Where a block tells channels by
    their number (shifts, shuffles), its axes stay as they are, which is found by asking the network.
    """
    layouts = parameter_layouts(architecture)
    uses = _uses(layouts)
    orders = {leaf: _order(state, found) for leaf, found in uses.items() if found[0].length >= LEAST}
    network = build(architecture).eval()
    side = max(2 * architecture.size_divisor, 32)
    image = torch.randn(1, architecture.image_channels, side, side, generator=torch.Generator().manual_seed(0))
    kept: dict[int, Tensor] = {}
    asked = _Asked(network, state, layouts, uses, image, _answer(network, state, image))
    asked.keep(orders, kept, sorted(orders))
    return _permuted(state, layouts, uses, kept)


@dataclass(frozen=True)
class _Asked:
    """A network that says whether an order of channels changes its answer."""

    network: Network
    state: Mapping[str, Tensor]
    layouts: Mapping[str, ParameterLayout]
    uses: Mapping[int, list[_Use]]
    image: Tensor
    expected: Tensor

    def keep(self, orders: Mapping[int, Tensor], kept: dict[int, Tensor], leaves: Sequence[int]) -> None:
        """Add the orders of ``leaves`` that change nothing, found by halving."""
        tried = {**kept, **{leaf: orders[leaf] for leaf in leaves}}
        found = _answer(self.network, _permuted(self.state, self.layouts, self.uses, tried), self.image)
        if torch.allclose(found, self.expected, atol=TOLERANCE * float(self.expected.abs().max())):
            kept.update(tried)
        elif len(leaves) > 1:
            middle = len(leaves) // 2
            self.keep(orders, kept, leaves[:middle])
            self.keep(orders, kept, leaves[middle:])


@torch.no_grad()
def _answer(network: Network, state: Mapping[str, Tensor], image: Tensor) -> Tensor:
    network.load_state_dict(dict(state))
    return torch.cat([each.flatten() for each in network.forward_all(image)])


def _uses(layouts: Mapping[str, ParameterLayout]) -> dict[int, list[_Use]]:
    """Return where each axis is used."""
    uses: dict[int, list[_Use]] = {}
    for name, layout in layouts.items():
        for dimension, (segments, leaves) in enumerate(zip(layout.segments, layout.leaves, strict=True)):
            start = 0
            for length, leaf in zip(segments, leaves, strict=True):
                uses.setdefault(leaf, []).append(_Use(name, dimension, start, length))
                start += length
    return uses


def _order(state: Mapping[str, Tensor], uses: list[_Use]) -> Tensor:
    """Return the channels of an axis by what readers make of them times what norms let through, [length]."""
    norms, readers = torch.ones(uses[0].length), torch.zeros(uses[0].length)
    for use in uses:
        weight = state[use.name]
        if weight.ndim == 1 and use.name.endswith("weight"):
            norms = norms * weight.narrow(0, use.start, use.length).abs().cpu()
        elif weight.ndim > 1 and use.dimension == 1:
            part = weight.narrow(1, use.start, use.length).transpose(0, 1).flatten(1)
            readers = readers + part.float().pow(2).sum(1).cpu()
    return torch.argsort(norms * (readers.sqrt() if readers.any() else 1.0), descending=True, stable=True)


def _permuted(
    state: Mapping[str, Tensor],
    layouts: Mapping[str, ParameterLayout],
    uses: Mapping[int, list[_Use]],
    orders: Mapping[int, Tensor],
) -> dict[str, Tensor]:
    made = {name: value.clone() for name, value in state.items()}
    for leaf, order in orders.items():
        for name, dimension, start, length in uses[leaf]:
            statistics = (f"{name.removesuffix('weight')}running_{each}" for each in ("mean", "var"))
            for tensor in [name, *(each for each in statistics if name.endswith("weight") and each in state)]:
                part = made[tensor].narrow(dimension, start, length)
                part.copy_(part.index_select(dimension, order.to(part.device)))
    return made
