"""From a trained relative's tensors to those of a candidate: what both have is copied, channel by channel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

import torch
from torch import Tensor, nn

from ussearch.evaluators.inheritance.axes import ParameterLayout, Segments, parameter_layouts
from ussearch.evaluators.inheritance.matching import Paths, matching_paths
from ussearch.search_spaces import Architecture, Network
from ussearch.search_spaces.blocks import BlockModule

Range = tuple[int, int, int]
"""(start in the child, start in the parent, length)."""
NewInputs = Literal["fresh", "zero"]
"""What reads channels that the parent did not have: drawn afresh, or zeros, so that the child computes what it did."""


@dataclass(frozen=True)
class Inherited:
    """What a candidate starts with."""

    tensors: Mapping[str, Tensor] = field(repr=False)
    """The whole state, by name."""
    share: float
    """Part of its parameters' values that come from the parent, 0 to 1."""

    def apply(self, network: Network) -> None:
        """Copy the tensors into ``network``."""
        network.load_state_dict(dict(self.tensors))


def inherit(
    network: Network, parent: Architecture, state: Mapping[str, Tensor], new_inputs: NewInputs = "fresh"
) -> Inherited:
    """Return what ``network``, freshly drawn, starts with where the trained ``state`` of ``parent`` is known.

    Of every tensor that both have, each segment's first channels and a kernel's centre are the parent's; a larger
    kernel has zeros around it. Segments are the parts of a concatenation, so that a skip's channels stay a skip's. A
    residual block that the parent lacks starts as the identity. Whatever is left keeps its fresh start.
    """
    child = network.architecture
    paths = matching_paths(child, parent)
    mine, others = parameter_layouts(child), parameter_layouts(parent)
    tensors = {name: value.detach().clone() for name, value in network.state_dict().items()}
    copied = total = 0
    for name, layout in mine.items():
        total += tensors[name].numel()
        source = _counterpart(name, paths)
        if source in others:
            copied += _copy(tensors[name], layout, state[source], others[source], new_inputs)
    for name in set(tensors) - set(mine):
        source, weight = _counterpart(name, paths), _sibling(name)
        if source in state and not tensors[name].ndim:
            tensors[name].copy_(state[source])  # λ of deep training, batches that a norm has seen
        elif source in state and weight in mine and _counterpart(weight, paths) in others:
            _copy(tensors[name], mine[weight], state[source], others[_counterpart(weight, paths)], new_inputs)
    for name in _new_residual_ends(network, paths):
        tensors[name].zero_()
    return Inherited(tensors, copied / total)


def _counterpart(name: str, paths: Paths) -> str:
    """Return the parent's name of a tensor; empty where there is none."""
    pieces = name.split(".")
    for length in range(len(pieces) - 1, 0, -1):
        path = paths.get(".".join(pieces[:length]))
        if path is not None:
            return ".".join([path, *pieces[length:]])
    return ""


def _sibling(name: str) -> str:
    """Return the name of the norm's weight beside one of its statistics."""
    return name.rpartition(".")[0] + ".weight"


def _copy(
    target: Tensor, layout: ParameterLayout, source: Tensor, other: ParameterLayout, new_inputs: NewInputs
) -> int:
    """Copy what ``target`` and ``source`` both have; returns how many values those are, none where they differ in kind.

    Dimensions are those of their layouts; running statistics have the one of their norm.
    """
    if target.ndim != source.ndim or len(layout.segments) != len(other.segments):
        return 0
    channels = [list(_both(a, b)) for a, b in zip(layout.segments, other.segments, strict=True)]
    kernel = [_centre(a, b) for a, b in zip(layout.kernel, other.kernel, strict=True)]
    values = 0
    if new_inputs == "zero" and len(channels) > 1:
        for mine, _, length in channels[-2]:
            target.narrow(len(channels) - 2, mine, length).zero_()
    for box in product(*channels):
        whole = tuple(slice(mine, mine + length) for mine, _, length in box)
        target[whole] = 0
        at = (*whole, *(slice(mine, mine + length) for mine, _, length in kernel))
        of = tuple(slice(theirs, theirs + length) for _, theirs, length in (*box, *kernel))
        target[at] = source[of].to(target)
        values += target[at].numel()
    return values


def _both(mine: Segments, others: Segments) -> Iterator[Range]:
    """Yield the ranges of channels that both have, segment by segment."""
    start, other_start = 0, 0
    for length, other_length in zip(mine, others, strict=False):
        if min(length, other_length):
            yield start, other_start, min(length, other_length)
        start, other_start = start + length, other_start + other_length


def _centre(side: int, other: int) -> Range:
    """Return the range of a kernel's side that both have."""
    return max(0, (side - other) // 2), max(0, (other - side) // 2), min(side, other)


def _new_residual_ends(network: Network, paths: Paths) -> Iterator[str]:
    """Yield the tensors that end the residual branch of blocks that the parent lacks: without them it adds nothing."""
    for path, block in network.named_modules():
        if not isinstance(block, BlockModule) or path in paths or not getattr(block, "residual", False):
            continue
        branch = [
            (name, module)
            for name, module in block.named_modules()
            if isinstance(module, (nn.Conv2d, nn.BatchNorm2d)) and not name.startswith("attention")
        ]
        if branch:
            name, module = branch[-1]
            yield f"{path}.{name}.weight"
            if module.bias is not None:
                yield f"{path}.{name}.bias"


@torch.no_grad()
def recalibrate(network: Network, images: Iterable[Tensor]) -> None:
    """Take the statistics of all batch norms anew: their mean over ``images``, batches [B, C, H, W] (normalised)."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    was_training = network.training
    network.train()
    for batch in images:
        network.forward_all(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.train(was_training)
