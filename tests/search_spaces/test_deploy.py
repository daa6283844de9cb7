"""The deploy form computes what the training form computes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ussearch.search_spaces import Architecture, FreeSpace, build, deploy, load_preset, preset_names

SMALL = [name for name in preset_names() if name not in ("laednet-l", "unet")]
SPACE = FreeSpace.standard(128)


def assert_equal_forms(architecture: Architecture, side: int, randomise, seed: int = 0) -> None:
    torch.manual_seed(seed)
    network = randomise(build(architecture), seed)
    image = torch.randn(2, architecture.image_channels, side, side)
    with torch.no_grad():
        expected, given_ = network(image), deploy(network)(image)
        assert (expected - given_).abs().max() <= 1e-5 * expected.abs().max()
        network.double()
        expected, given_ = network(image.double()), deploy(network)(image.double())
        assert (expected - given_).abs().max() <= 1e-10 * expected.abs().max()


@pytest.mark.parametrize("name", SMALL)
def test_presets(name: str, randomise) -> None:
    architecture = load_preset(name).architecture
    assert_equal_forms(architecture, max(64, architecture.size_divisor), randomise)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["laednet-l", "unet"])
def test_large_presets(name: str, randomise) -> None:
    assert_equal_forms(load_preset(name).architecture, 64, randomise)


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6))
def test_random_architectures(seed: int, randomise) -> None:
    assert_equal_forms(SPACE.sample(seed), 128, randomise, seed)


@pytest.mark.parametrize("name", SMALL)
def test_no_foldable_batch_norm_is_left(name: str) -> None:
    architecture = load_preset(name).architecture
    folded = deploy(build(architecture, device="meta"))
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    kept = sum(block.norm_last for block in architecture.blocks)
    assert norms == kept


def test_lambda_below_one_is_refused_and_not_exact() -> None:
    network = build(load_preset("lv-unet").architecture)
    network.set_schedule(0.9948)
    with pytest.raises(ValueError, match="λ"):
        deploy(network)


def test_lambda_travels_with_the_weights() -> None:
    architecture = load_preset("lv-unet").architecture
    network = build(architecture)
    network.set_schedule(1.0)
    other = build(architecture)
    other.load_state_dict(network.state_dict())
    deploy(other)


def test_deploy_leaves_the_training_form_alone() -> None:
    network = build(load_preset("lv-unet").architecture)
    network.set_schedule(1.0)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    deploy(network)
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_dynamic_kernels_treat_each_image_alone(randomise) -> None:
    network = randomise(build(load_preset("lightawnet").architecture))
    images = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        together = network(images)
        alone = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)


def test_grey_is_repeated_inside_the_network(randomise) -> None:
    architecture = load_preset("unext").architecture
    network = randomise(build(architecture))
    grey = randomise(build(architecture.for_task()))
    grey.load_state_dict(network.state_dict())
    image = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(grey(image), network(image.repeat(1, 3, 1, 1)))
