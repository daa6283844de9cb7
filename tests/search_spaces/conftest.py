"""Networks whose statistics are not those of a fresh initialisation."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ussearch.search_spaces import Network


def randomise(network: Network, seed: int = 0) -> Network:
    """Give every batch norm random statistics and affine parameters, every attention weight a value; λ = 1."""
    generator = torch.Generator().manual_seed(seed)

    def draw(size: int, low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(size, generator=generator)

    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            size = module.num_features
            module.running_mean.copy_(draw(size, -0.3, 0.3))
            module.running_var.copy_(draw(size, 0.5, 1.5))
            module.weight.data.copy_(draw(size, 0.5, 1.5))
            module.bias.data.copy_(draw(size, -0.3, 0.3))
    for name, parameter in network.named_parameters():
        if "gamma" in name:
            parameter.data.fill_(0.5)
    network.set_schedule(1.0)
    return network.eval()


@pytest.fixture(name="randomise", scope="session")
def _randomise():
    return randomise
