"""A network built in its merged form is the one that building first and merging then gives."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ussearch.hardware_profiles.kernels.trace import trace_kernels
from ussearch.search_spaces import Architecture, FreeSpace, build, deploy, load_preset, preset_names
from ussearch.search_spaces.deploy import merge_
from ussearch.search_spaces.layers import builds_folded
from ussearch.search_spaces.network import build_folded

SIZE = 128


def shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def agree(architecture: Architecture, size: int) -> None:
    merged, folded = deploy(build(architecture, device="meta")), merge_(build_folded(architecture))
    assert shapes(merged) == shapes(folded)
    image = (1, architecture.image_channels, size, size)
    assert trace_kernels(merged, image) == trace_kernels(folded, image)


@pytest.mark.parametrize("name", preset_names())
def test_presets(name: str) -> None:
    architecture = load_preset(name).architecture.for_task()
    agree(architecture, architecture.size_divisor * 4)


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_random_architectures(seed: int) -> None:
    agree(FreeSpace.standard(SIZE).sample(seed), SIZE)


def test_building_as_usual_is_not_changed() -> None:
    architecture = FreeSpace.standard(SIZE).sample(1)
    build_folded(architecture)
    assert not builds_folded()
    assert any(isinstance(module, nn.BatchNorm2d) for module in build(architecture).modules())
