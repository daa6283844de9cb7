"""Small networks as they are shipped, and phantoms to calibrate on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
import torch
from torch import nn

from ussearch.datasets.phantoms import PhantomParameters, make_phantom
from ussearch.hardware_profiles import load_profile
from ussearch.hardware_profiles.onnx_files.export import export_module
from ussearch.search_spaces import Architecture, Network, NormalisedNetwork, build, deploy

SIZE = 32
MEAN, STD = 80.0, 50.0
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Shipped:
    """A deploy form, its file, and phantoms uint8 [N, 1, S, S]."""

    network: Network
    path: Path
    images: npt.NDArray[np.uint8]

    def normalised(self) -> torch.Tensor:
        return (torch.from_numpy(self.images).float() - MEAN) / STD

    def logits(self, path: Path | None = None) -> Floats:
        return run(path or self.path, self.images)


def run(path: Path, images: npt.NDArray[np.uint8]) -> Floats:
    """Logits in float arithmetic, whatever integer kernels this processor has."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"image": image[None].astype(np.float32)})[0] for image in images])


def block(width: int, kind: str = "conv", **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "width": width, "kernel": 3, **fields}


def unet(activation: str = "relu", kind: str = "conv", width: int = 8) -> Architecture:
    """Two stages with residuals, one decoder level with a concatenated skip."""
    up = {"kind": "upsample", "width": 2 * width, "resample": "bilinear"}
    stages = [
        {"blocks": [block(width, activation=activation)]},
        {"down": "maxpool", "blocks": [block(2 * width, kind, activation=activation)]},
    ]
    decoder = [{"up": [up], "skip": {"op": "concat", "stage": 0}, "blocks": [block(width, activation=activation)]}]
    return Architecture.model_validate({"stages": stages, "decoder": decoder})


def phantoms(count: int, size: int = SIZE) -> npt.NDArray[np.uint8]:
    parameters = PhantomParameters(image_size=size, count=count)
    return np.stack([make_phantom(parameters, index).image for index in range(count)])[:, None]


def with_statistics(network: Network, images: npt.NDArray[np.uint8], seed: int = 0) -> Network:
    """Random affine parameters, and the running statistics that the images give: activations of a sensible size."""
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            module.momentum = 0.3
    if network.has_schedule:
        network.set_schedule(1.0)
    network.train()
    with torch.no_grad():
        for _ in range(12):
            network((torch.from_numpy(images).float() - MEAN) / STD)
    return network.eval()


def shipped(architecture: Architecture, folder: Path, count: int = 6, size: int = SIZE, seed: int = 0) -> Shipped:
    images = phantoms(count, size)
    torch.manual_seed(seed + 1)
    network = deploy(with_statistics(build(architecture), images, seed))
    path = folder / f"{architecture.id}.onnx"
    export_module(NormalisedNetwork(network, MEAN, STD), size, load_profile("x86-server"), path)
    return Shipped(network, path, images)


@pytest.fixture(scope="session")
def ship(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Shipped]:
    """Make a network, export it: ``ship(architecture, count=6, size=32)``."""
    return lambda architecture, **numbers: shipped(architecture, tmp_path_factory.mktemp("shipped"), **numbers)


@pytest.fixture(scope="session")
def small(ship: Callable[..., Shipped]) -> Shipped:
    return ship(unet())


@pytest.fixture(scope="session")
def make_unet() -> Callable[..., Architecture]:
    return unet


@pytest.fixture(scope="session")
def logits_of() -> Callable[[Path, npt.NDArray[np.uint8]], Floats]:
    return run
