"""What leaves the chain runs on the device: fused and pruned, exported, loaded, the same answer, no rule broken.

For every published network on every device that it fits, and ten drawn ones on every device that can run them at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from tests.compress.pruning.conftest import lived_in
from ussearch.compress.pruning import prune
from ussearch.datasets import Normalisation
from ussearch.errors import UserError
from ussearch.evaluators import costs
from ussearch.evaluators.costs import refusals
from ussearch.evaluators.prediction import export_network
from ussearch.hardware_profiles import Profile, check_onnx, load_profile, profile_names
from ussearch.search_spaces import Architecture, FreeSpace, Network, count, load_preset, preset_names

JUDGED_SIZE = 256
"""Pixels a side at which a network has to fit a device."""
EXPORTED_SIZE = 64
RATIOS = (0.4, 0.2, 0.1)
"""Tried in turn, as the chain does: few channels in large multiples cannot lose as many."""
NANO = load_profile("jetson-nano")
NORMALISATION = Normalisation(mean=80.0, std=50.0)
BEYOND_LITERT = {"attention:cbam", "bottleneck:dual_affinity"}
"""What no INT8 file of LiteRT holds, though the ONNX file beside it does (``coral-edge-tpu.yaml``)."""
RULES = {"opset", "ir_version", "parser", "static_shapes", "external_data", "allowed_operators", "forbidden_operators"}
"""What decides an FP32 file and the checks that it must pass."""


def devices() -> Iterator[Profile]:
    """Every runtime of every device."""
    for name in profile_names():
        first = load_profile(name)
        yield first
        yield from (load_profile(f"{name}@{variant}") for variant in first.variants[1:])


def fitting(architecture: Architecture) -> list[Profile]:
    return [device for device in devices() if costs(architecture, JUDGED_SIZE, device).feasible]


def able(architecture: Architecture) -> list[Profile]:
    return [device for device in devices() if not architecture.features & device.forbidden_features.keys()]


def distinct(profiles: list[Profile]) -> list[Profile]:
    """One profile for each set of export rules and multiple of channels."""
    rules = RULES | {"channel_multiple"}
    return list({profile.export.model_dump_json(include=rules): profile for profile in profiles}.values())


def answer(path: Path, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(["logits"], {"image": image[None]})[0] for image in images])


def expected(network: Network, images: np.ndarray) -> np.ndarray:
    """The training form in torch, its input normalised by hand."""
    with torch.no_grad():
        return network.eval()((torch.from_numpy(images) - NORMALISATION.mean) / NORMALISATION.std).numpy()


def check(network: Network, profile: Profile, size: int, path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 1, size, size)).astype(np.float32)
    export_network(network, NORMALISATION, size, profile, path)
    assert check_onnx(path, profile) == ()
    wanted = expected(network, images)
    np.testing.assert_allclose(answer(path, images), wanted, rtol=1e-3, atol=1e-3 * float(np.abs(wanted).max()))


def pruned_network(network: Network, size: int, multiple: int) -> Network:
    for ratio in RATIOS:
        with suppress(UserError):
            return prune(network, size, ratio=ratio, round_to=multiple, importance="l2").network
    raise AssertionError(f"nothing can be pruned in multiples of {multiple}")


def check_everywhere(architecture: Architecture, profiles: list[Profile], folder: Path) -> None:
    """Whole and pruned, for each set of export rules."""
    size = max(EXPORTED_SIZE, architecture.size_divisor)
    network = lived_in(architecture)
    smaller = {
        multiple: pruned_network(network, size, multiple)
        for multiple in {profile.export.channel_multiple for profile in profiles}
    }
    for number, profile in enumerate(distinct(profiles)):
        pruned = smaller[profile.export.channel_multiple]
        assert count(pruned.architecture, size).parameters_deploy < count(architecture, size).parameters_deploy
        check(network, profile, size, folder / f"{number}.onnx")
        check(pruned, profile, size, folder / f"{number}-pruned.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("name", preset_names())
def test_every_preset_on_every_device_that_it_fits(name: str, tmp_path: Path) -> None:
    architecture = load_preset(name).architecture.for_task()
    profiles = fitting(architecture)
    assert profiles, "it fits no device at all"
    check_everywhere(architecture, profiles, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_drawn_networks_on_every_device(seed: int, tmp_path: Path) -> None:
    architecture = FreeSpace.standard(EXPORTED_SIZE).sample(seed)
    profiles = able(architecture)
    check_everywhere(architecture, profiles, tmp_path)
    for device in devices():
        if device not in profiles:
            assert refusals(architecture, device)
            if architecture.features & device.forbidden_features.keys() <= BEYOND_LITERT:
                continue  # a search keeps it away; the ONNX file could be written
            with pytest.raises(UserError, match="cannot be exported for"):
                export_network(lived_in(architecture), NORMALISATION, EXPORTED_SIZE, device, tmp_path / "no.onnx")
            assert not (tmp_path / "no.onnx").exists()


def test_a_preset_on_the_nano(tmp_path: Path) -> None:
    architecture = load_preset("lv-unet").architecture.for_task()
    assert NANO in fitting(architecture)
    check_everywhere(architecture, [NANO], tmp_path)


def test_a_drawn_network_on_the_nano(tmp_path: Path) -> None:
    space, _ = FreeSpace.standard(EXPORTED_SIZE).restricted(NANO.forbidden_features)
    check_everywhere(space.sample(0), [NANO], tmp_path)
