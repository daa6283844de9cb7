"""``benchmarks/inheritance.py``: channels in another order leave a network what it was."""

from __future__ import annotations

import pytest
import torch

from ussearch.search_spaces import build, load_preset

pytestmark = pytest.mark.usefixtures("benchmarks_importable")


@pytest.mark.parametrize("name", ["cea-net-standin", "mobilenetv2-unet", "cmunext-s"])
def test_channels_in_order_of_importance_compute_the_same(name: str) -> None:
    from inherited.ordering import ordered

    torch.manual_seed(0)
    network = build(load_preset(name).architecture.for_task()).eval()
    for value in network.state_dict().values():
        if value.is_floating_point() and value.ndim:
            value.copy_(torch.rand_like(value) + 0.2 if value.ndim == 1 else 0.15 * torch.randn_like(value))
    state = {key: value.clone() for key, value in network.state_dict().items()}
    found = ordered(network.architecture, state)
    moved = [key for key, value in state.items() if not torch.equal(found[key], value)]
    assert len(moved) > len(state) / 2
    assert all(torch.equal(found[key].flatten().sort().values, state[key].flatten().sort().values) for key in moved)
    image = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        expected = network(image)
        network.load_state_dict(found)
        torch.testing.assert_close(network(image), expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def test_what_readers_make_most_of_comes_first() -> None:
    from inherited.ordering import ordered

    torch.manual_seed(1)
    network = build(load_preset("mobilenetv2-unet").architecture.for_task())
    state = {key: value.clone() for key, value in network.state_dict().items()}
    name = next(key for key, value in state.items() if key.startswith("stages.2.blocks.1") and value.ndim == 4)
    state[name][:, -1] *= 100  # its reader makes most of the last channel
    found = ordered(network.architecture, state)
    assert torch.equal(found[name][:, 0].flatten().sort().values, state[name][:, -1].flatten().sort().values)
