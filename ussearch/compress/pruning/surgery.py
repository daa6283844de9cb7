"""Channels cut off, or set to zero, in a copy of a network."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from ussearch.compress.pruning.channels import IMAGE, Channels, read_channels
from ussearch.compress.pruning.layers import cells, cut
from ussearch.search_spaces import Network


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
