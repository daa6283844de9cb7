"""The simulation of FP16 against numpy's float16, step by step."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ussearch.compress.quantisation import fp16_outputs
from ussearch.search_spaces import NormalisedNetwork


class Residual(nn.Module):
    """A 1×1 convolution with a sum that belongs to no module."""

    def __init__(self, channels: int = 5) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)
        self.activation = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.activation(self.conv(x)) * 3.0 + x


def halved(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float16).astype(np.float32)


def test_every_weight_and_activation_is_rounded() -> None:
    torch.manual_seed(0)
    network, x = Residual(), torch.randn(2, 5, 6, 6)
    weight, bias = (halved(p.detach().numpy()) for p in (network.conv.weight, network.conv.bias))
    image = halved(x.numpy())
    product = np.einsum("oi,nihw->nohw", weight[:, :, 0, 0], image).astype(np.float32) + bias[None, :, None, None]
    expected = halved(halved(np.maximum(halved(product), 0) * 3.0) + image)
    found = fp16_outputs(network, x).numpy()
    step = np.spacing(np.abs(expected).max().astype(np.float16)).astype(np.float32)
    np.testing.assert_allclose(found, expected, atol=float(step))
    assert np.mean(found == expected) > 0.98, "the rest are sums that fall between two numbers of float16"
    np.testing.assert_array_equal(found, halved(found))


def test_overflow_is_infinite() -> None:
    network = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.constant_(network.weight, 300.0)
    outputs = fp16_outputs(network, torch.tensor([[[[200.0, 250.0]]]]))
    assert outputs.flatten().tolist() == [60000.0, float("inf")]


def test_the_network_is_left_alone_and_changes_little(small) -> None:
    network = NormalisedNetwork(small.network, 80.0, 50.0)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    images = torch.from_numpy(small.images).float()
    outputs, truth = fp16_outputs(network, images), network(images)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not torch.equal(outputs, truth)
    assert ((outputs >= 0) == (truth >= 0)).float().mean() > 0.995
