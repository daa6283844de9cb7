"""Scaled widths: every preset and random architectures stay legal networks, smaller ones by about the square."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ussearch.search_spaces import Architecture, FreeSpace, build, load_preset, preset_names
from ussearch.search_spaces.scaling import scaled


def parameters(architecture: Architecture) -> int:
    network = build(architecture, device="meta")
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("name", preset_names())
def test_presets(name: str) -> None:
    architecture = load_preset(name).architecture.for_task()
    whole, half = parameters(architecture), parameters(scaled(architecture, 0.5))
    assert 0.15 < half / whole < 0.6
    assert scaled(architecture, 1.0).id == architecture.id


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), factor=st.floats(0.2, 1.5))
def test_random_architectures(seed: int, factor: float) -> None:
    architecture = FreeSpace.standard(64).sample(seed)
    other = scaled(architecture, factor)
    assert (parameters(other) - parameters(architecture)) * (factor - 1) >= 0
    assert other.features == architecture.features


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), low=st.floats(0.2, 1.0), high=st.floats(0.2, 1.0))
def test_a_larger_factor_is_no_smaller_network(seed: int, low: float, high: float) -> None:
    architecture = FreeSpace.standard(64).sample(seed)
    small, large = sorted((low, high))
    assert parameters(scaled(architecture, small)) <= parameters(scaled(architecture, large))


def test_a_factor_is_positive() -> None:
    with pytest.raises(ValueError, match="scaled by"):
        scaled(load_preset("unext").architecture, 0)
