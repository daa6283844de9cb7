"""Training with rounding by the ordinary loop: what post-training quantisation spoils is good again in the file."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from tests.compress.quantisation.conftest import run
from tests.evaluators.conftest import disc_images, disc_split, tiny
from tests.margins import above, below, reaches
from ussearch.compress.quantisation import Settings, converted, prepare, quantise
from ussearch.evaluators import Recipe, train
from ussearch.hardware_profiles import load_profile
from ussearch.hardware_profiles.onnx_files.export import export_module
from ussearch.runtime.masks import dice_and_iou
from ussearch.search_spaces import Network, NormalisedNetwork, build, deploy

pytestmark = pytest.mark.training
IMAGES = disc_images()
SPLIT = disc_split(IMAGES)
VALIDATION = list(SPLIT.validation)


def trained(seed: int) -> tuple[Network, float, float]:
    """A network in its deploy form, with the mean and deviation of its normalisation."""
    torch.manual_seed(seed)
    network = build(tiny())
    result = train(network, IMAGES, SPLIT, Recipe(epochs=40, batch_size=4, augmentation=None), seed=seed)
    return deploy(network), result.normalisation.mean, result.normalisation.std


@torch.no_grad()
def spoilt(network: Network, channel: int, factor: float = 500.0) -> Network:
    """The same function in float: one channel ``factor`` times as large, and read as much less strongly."""
    network = copy.deepcopy(network)
    first, second = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)][:2]
    assert first.bias is not None
    first.weight[channel] *= factor
    first.bias[channel] *= factor
    second.weight[:, channel] /= factor
    return network


@reaches(lost_by_quantising=above(0.1), mended=above(0.1), beyond_float_training=above(0), off_file=below(0.1))
def mending(seed: int, folder: Path) -> dict[str, float]:
    """Differences of Dice, in files of INT8: see the test."""
    network, mean, std = trained(seed)
    chosen = IMAGES.images[list(SPLIT.train)]
    images = (torch.from_numpy(chosen).float() - mean) / std
    recipe = Recipe(epochs=25, batch_size=4, augmentation=None, learning_rate=3e-5, average_decay=0.9)

    def file_dice(candidate: Network) -> float:
        source, path = folder / "float.onnx", folder / "int8.onnx"
        export_module(NormalisedNetwork(candidate, mean, std), 32, load_profile("x86-server"), source)
        quantise(source, chosen, Settings("u8s8", "minmax"), path)
        return dice(run(path, IMAGES.images[VALIDATION]))

    width = network.architecture.stages[0].blocks[0].width
    network = min((spoilt(network, channel) for channel in range(width)), key=file_dice)  # some are hardly missed
    ruined = file_dice(network)
    control = copy.deepcopy(network).requires_grad_(True)
    train(control, IMAGES, SPLIT, recipe, seed=seed)
    prepared = prepare(network, "u8s8", images)
    train(prepared, IMAGES, SPLIT, recipe, seed=seed)
    mended = file_dice(converted(prepared))
    simulated = dice(predicted(prepared, mean, std))
    return {
        "lost_by_quantising": dice(predicted(network, mean, std)) - ruined,
        "mended": mended - ruined,
        "beyond_float_training": mended - file_dice(deploy(control)),
        "off_file": abs(mended - simulated),
    }


def test_training_mends_what_quantising_spoils(tmp_path: Path) -> None:
    """Better than the network that was given, and than the same training in float, both quantised afterwards;
    and the file is what was trained.
    """
    mending.check(0, tmp_path)


@torch.no_grad()
def predicted(network: Network, mean: float, std: float) -> npt.NDArray[np.float32]:
    images = (torch.from_numpy(IMAGES.images[VALIDATION]).float() - mean) / std
    return np.asarray(network.eval()(images).numpy(), np.float32)


def dice(logits: npt.NDArray[np.float32]) -> float:
    return float(dice_and_iou(logits >= 0, IMAGES.masks[VALIDATION] > 0)[0].mean())
