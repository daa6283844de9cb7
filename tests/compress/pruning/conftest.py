"""Networks with a past: no norm and no bias at its first value, since fresh ones hide errors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from ussearch.search_spaces import Architecture, Network, build


def lived_in(architecture: Architecture, seed: int = 0) -> Network:
    """Build a network with random statistics, scales, shifts and biases; λ = 1."""
    torch.manual_seed(seed)
    network = build(architecture)
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(torch.rand(module.num_features, generator=generator) - 0.5)
            module.running_var.copy_(torch.rand(module.num_features, generator=generator) + 0.5)
    for parameter in network.parameters():
        if parameter.ndim <= 1:
            parameter.data.copy_(torch.rand(parameter.shape, generator=generator) + 0.3)
    network.set_schedule(1.0)
    return network.eval()


@pytest.fixture(name="lived_in", scope="session")
def _lived_in() -> Callable[..., Network]:
    return lived_in
