"""What a channel is worth: one score for each channel of a network, from the numbers of all layers that it occurs in.

torch-pruning's importances are written for whole groups of its own layers; these know dynamic convolutions and parts
of concatenated features as well.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ussearch.compress.pruning.channel_groups import ChannelGroup
from ussearch.compress.pruning.channels import Channels
from ussearch.compress.pruning.layers import cells
from ussearch.errors import UserError
from ussearch.evaluators.training.losses import Loss
from ussearch.registry import Registry
from ussearch.search_spaces import Network


@dataclass(frozen=True)
class Evidence:
    """What importances may look at besides the weights: images with masks, the loss, a seed for random ones."""

    batches: Sequence[tuple[Tensor, Tensor]]
    loss: Loss | None
    seed: int

    def demanded_by(self, name: str) -> tuple[Sequence[tuple[Tensor, Tensor]], Loss]:
        """Return batches and loss; raises UserError where one is missing."""
        if not self.batches or self.loss is None:
            raise UserError(
                f"The importance {name!r} was asked for without images: it reads gradients, so give batches and a "
                "loss, or take 'l2', which reads weights only."
            )
        return self.batches, self.loss


class Importance(Protocol):
    """Scores all channels; comparable within a unit, brought to one scale by ``normalised`` afterwards."""

    def __call__(
        self, network: Network, channels: Channels, units: Sequence[ChannelGroup], evidence: Evidence
    ) -> Tensor:
        """Return [channels.number], higher for what should stay; ``network`` may be changed."""


IMPORTANCES: Registry[Importance] = Registry("importance")


def mean_by_channel(network: Network, channels: Channels, values: Mapping[str, Tensor], square: bool = False) -> Tensor:
    """Sum ``values`` (by parameter name) over the numbers of each channel in each parameter, then average these sums.

    ``square`` squares each sum first. Channels without any parameter among ``values`` get 0. Returns [channels.number].
    """
    totals, counts = torch.zeros(channels.number, dtype=torch.float64), torch.zeros(channels.number)
    modules = dict(network.named_modules())
    for (name, side), numbers in channels.axes.items():
        if name not in modules:
            continue
        for parameter, indices in cells(modules[name], side).items():
            value = values.get(f"{name}.{parameter}")
            if value is None or len(indices) != len(numbers):
                continue
            sums = value.detach().reshape(-1)[indices].double().sum(1)
            positions = torch.from_numpy(numbers)
            totals.index_add_(0, positions, sums.square() if square else sums)
            counts.index_add_(0, positions, torch.ones(len(numbers)))
    return totals / counts.clamp(min=1)


def normalised(scores: Tensor, channels: Channels, units: Sequence[ChannelGroup]) -> Tensor:
    """Divide scores by their mean among strands of the same structure, so that unlike layers may be compared.

    Two strands are isomorphic when they occur on the same sides of the same types of layers (Fang et al., Isomorphic
    Pruning, ECCV 2024, whose ranking is within such sets; here the sets then compete with each other).
    """
    places: list[list[str]] = [[] for _ in range(channels.number)]
    for (name, side), numbers in channels.axes.items():
        for channel in numbers:
            places[channel].append(f"{name.rpartition('.')[2]} {side}")
    alike: dict[tuple[str, ...], list[np.ndarray]] = {}
    for unit in units:
        for strand in unit.strands:
            alike.setdefault(tuple(sorted(places[strand[0]])), []).append(strand)
    result = scores.clone()
    for strands in alike.values():
        members = torch.from_numpy(np.concatenate(strands))
        result[members] /= scores[members].mean().clamp(min=torch.finfo(scores.dtype).tiny)
    return result


@IMPORTANCES.register("l2")
def group_l2(network: Network, channels: Channels, units: Sequence[ChannelGroup], evidence: Evidence) -> Tensor:
    """Squared weights of a channel, averaged over the layers that it occurs in (Fang et al., DepGraph, CVPR 2023)."""
    weights = {name: value.detach().square() for name, value in network.named_parameters() if not name.endswith("bias")}
    return mean_by_channel(network, channels, weights)


@IMPORTANCES.register("taylor")
def group_taylor(network: Network, channels: Channels, units: Sequence[ChannelGroup], evidence: Evidence) -> Tensor:
    """Squared first-order change of the loss when a channel goes, mean over batches (Molchanov et al., CVPR 2019)."""
    batches, loss = evidence.demanded_by("taylor")
    scores = torch.zeros(channels.number, dtype=torch.float64)
    for images, masks in batches:
        network.zero_grad()
        loss(network.forward_all(images), masks).backward()  # type: ignore[no-untyped-call]
        products = {
            name: value.detach() * value.grad for name, value in network.named_parameters() if value.grad is not None
        }
        scores += mean_by_channel(network, channels, products, square=True)
    return scores


@IMPORTANCES.register("lamp")
def lamp(network: Network, channels: Channels, units: Sequence[ChannelGroup], evidence: Evidence) -> Tensor:
    """Group L2 as a share of all that is at least as large in the same strand (Lee et al., LAMP, ICLR 2021)."""
    scores = group_l2(network, channels, units, evidence)
    for unit in units:
        for strand in unit.strands:
            ascending = torch.from_numpy(strand)[scores[strand].argsort(stable=True)]
            own = scores[ascending]
            scores[ascending] = own / own.flip(0).cumsum(0).flip(0).clamp(min=torch.finfo(own.dtype).tiny)
    return scores


@IMPORTANCES.register("random")
def random(network: Network, channels: Channels, units: Sequence[ChannelGroup], evidence: Evidence) -> Tensor:
    """Uniform numbers: the baseline that a published pruning must beat."""
    return torch.rand(channels.number, dtype=torch.float64, generator=torch.Generator().manual_seed(evidence.seed))


def scores_of(
    name: str, network: Network, channels: Channels, units: Sequence[ChannelGroup], evidence: Evidence
) -> Tensor:
    """Return the normalised scores of the importance called ``name``; ``network`` is left as it is."""
    raw = IMPORTANCES[name](copy.deepcopy(network).eval().requires_grad_(True), channels, units, evidence)
    return normalised(raw, channels, units)
