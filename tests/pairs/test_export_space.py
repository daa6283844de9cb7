"""Every sampled architecture exports within the rules of every device it was sampled for."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ussearch.datasets import Normalisation
from ussearch.hardware_profiles import check_onnx, load_profile, profile_names
from ussearch.pairs import export_network
from ussearch.pairs.bundles.parity import parity
from ussearch.search_spaces import Architecture, FreeSpace, build, load_preset, preset_names

SIZE = 64
NORMALISATION = Normalisation(90.0, 50.0)
SMALL = [name for name in preset_names() if name not in ("laednet-m", "laednet-l", "unet", "cmunext")]


@functools.cache
def space_for(profile: str) -> FreeSpace:
    space, _ = FreeSpace.standard(SIZE).restricted(load_profile(profile).forbidden_features)
    return space


def assert_exports(architecture: Architecture, profile_name: str, size: int, folder: Path, seed: int) -> None:
    torch.manual_seed(seed)
    network = build(architecture)
    network.set_schedule(1.0)
    with torch.no_grad():  # statistics of a network that has seen images
        network.train()(torch.randn(4, 1, size, size))
    network.eval()
    profile = load_profile(profile_name)
    path = folder / "model.onnx"
    export_network(network, NORMALISATION, size, profile, path)
    assert check_onnx(path, profile) == ()
    images = np.random.default_rng(seed).integers(0, 256, (2, 1, size, size), dtype=np.uint8)
    agreement = parity(path, network, NORMALISATION, images)
    assert agreement.max_abs_difference <= 1e-4 * max(1.0, agreement.max_abs_logit), agreement


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), profile=st.sampled_from(profile_names()))
def test_samples_export(seed: int, profile: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    architecture = space_for(profile).sample(seed)
    assert_exports(architecture, profile, SIZE, tmp_path_factory.mktemp("export"), seed)


@pytest.mark.parametrize("name", SMALL)
def test_presets_export_for_the_nano_or_are_refused_with_a_reason(name: str, tmp_path: Path) -> None:
    architecture = load_preset(name).architecture.for_task()
    refused = architecture.features & load_profile("jetson-nano").forbidden_features.keys()
    profile = "x86-server" if refused else "jetson-nano"
    assert refused == ({"dynamic_conv"} if name == "lightawnet" else set())
    assert_exports(architecture, profile, max(SIZE, architecture.size_divisor), tmp_path, 0)
