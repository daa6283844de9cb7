"""Training with rounding by the ordinary loop: what post-training quantisation spoils is good again in the file."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from tests.evaluators.conftest import disc_images, disc_split, tiny
from ussearch.compress.quantisation import Settings, converted, prepare, quantise
from ussearch.evaluators import Recipe, train
from ussearch.hardware_profiles import load_profile
from ussearch.hardware_profiles.onnx_files.export import export_module
from ussearch.runtime.masks import dice_and_iou
from ussearch.search_spaces import Network, NormalisedNetwork, build, deploy

IMAGES = disc_images()
SPLIT = disc_split(IMAGES)
VALIDATION = list(SPLIT.validation)


@pytest.fixture(scope="module")
def trained() -> tuple[Network, float, float]:
    """A network in its deploy form, with the mean and deviation of its normalisation."""
    torch.manual_seed(0)
    network = build(tiny())
    result = train(network, IMAGES, SPLIT, Recipe(epochs=40, batch_size=4, augmentation=None))
    return deploy(network), result.normalisation.mean, result.normalisation.std


@torch.no_grad()
def spoilt(network: Network, factor: float = 400.0) -> Network:
    """The same function in float: one channel ``factor`` times as large, and read as much less strongly."""
    network = copy.deepcopy(network)
    first, second = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)][:2]
    assert first.bias is not None
    first.weight[0] *= factor
    first.bias[0] *= factor
    second.weight[:, 0] /= factor
    return network


def test_training_mends_what_quantising_spoils(trained, logits_of, tmp_path: Path) -> None:
    """Better than the network that was given, and than the same training in float, both quantised afterwards."""
    network, mean, std = trained
    network = spoilt(network)
    chosen = IMAGES.images[list(SPLIT.train)]
    images = (torch.from_numpy(chosen).float() - mean) / std
    recipe = Recipe(epochs=25, batch_size=4, augmentation=None, learning_rate=3e-3, average_decay=0.9)

    def file_dice(candidate: Network) -> float:
        source, path = tmp_path / "float.onnx", tmp_path / "int8.onnx"
        export_module(NormalisedNetwork(candidate, mean, std), 32, load_profile("x86-server"), source)
        quantise(source, chosen, Settings("u8s8", "minmax"), path)
        return dice(logits_of(path, IMAGES.images[VALIDATION]))

    ruined = file_dice(network)
    control = copy.deepcopy(network).requires_grad_(True)
    train(control, IMAGES, SPLIT, recipe)
    prepared = prepare(network, "u8s8", images)
    train(prepared, IMAGES, SPLIT, recipe)
    mended = file_dice(converted(prepared))
    simulated = dice(predicted(prepared, mean, std))
    assert ruined < dice(predicted(network, mean, std)) - 0.1
    assert mended > ruined + 0.1
    assert mended > file_dice(deploy(control)) + 0.02
    assert mended == pytest.approx(simulated, abs=0.02), "the file is what was trained"


@torch.no_grad()
def predicted(network: Network, mean: float, std: float) -> npt.NDArray[np.float32]:
    images = (torch.from_numpy(IMAGES.images[VALIDATION]).float() - mean) / std
    return np.asarray(network.eval()(images).numpy(), np.float32)


def dice(logits: npt.NDArray[np.float32]) -> float:
    return float(dice_and_iou(logits >= 0, IMAGES.masks[VALIDATION] > 0)[0].mean())
