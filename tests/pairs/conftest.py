"""A data set of small PNG files, two hand-made networks and the bundle made from them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torch import nn

from ussearch.datasets import Normalisation, Split, open_dataset, prepare
from ussearch.hardware_profiles import load_profile
from ussearch.pairs import Bundle, Member, PairData, write_bundle
from ussearch.pairs.bundles.manifest import Cost
from ussearch.pairs.routing.attach_router import RouterSpec
from ussearch.pairs.routing.policies import SharePolicy

SIZE = 32


class Brightness(nn.Module):
    """Calls bright what is bright in the mean over a window: no training needed, masks of every kind."""

    def __init__(self, window: int, level: float, slope: float) -> None:
        super().__init__()
        self.blur = nn.Conv2d(1, 4, window, padding=window // 2)
        self.activation = nn.Hardswish()
        self.head = nn.Conv2d(4, 1, 1)
        with torch.no_grad():
            self.blur.weight.fill_(1 / window**2)
            self.blur.bias.fill_(3.0)  # type: ignore[union-attr]
            self.head.weight.fill_(slope / 4)
            self.head.bias.fill_(-slope * (3.0 + level))  # type: ignore[union-attr]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, 1, H, W] -> logits [B, 1, H, W]."""
        logits: torch.Tensor = self.head(self.activation(self.blur(x)))
        return logits


def draw(random: np.random.Generator, lesion: bool) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return a noisy image with a bright ellipse (or none) and its mask, of an odd size."""
    height, width = (int(side) for side in random.integers(40, 90, 2))
    y, x = np.mgrid[:height, :width]
    centre = random.uniform(0.3, 0.7, 2) * (height, width)
    radius = random.uniform(0.12, 0.25, 2) * (height, width)
    mask = (((y - centre[0]) / radius[0]) ** 2 + ((x - centre[1]) / radius[1]) ** 2 <= 1) & lesion
    image = random.normal(60, 25, (height, width)) + mask * random.uniform(40, 120)
    return np.clip(image, 0, 255).astype(np.uint8), mask.astype(np.uint8)


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """32 images of odd sizes with their masks, every fourth one empty."""
    root = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (root / kind).mkdir()
    for number in range(32):
        image, mask = draw(random, lesion=number % 4 != 0)
        Image.fromarray(image).save(root / "images" / f"{number:02d}.png")
        Image.fromarray(mask * np.uint8(255)).save(root / "masks" / f"{number:02d}.png")
    return root


@pytest.fixture(scope="session")
def pair_data(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> PairData:
    dataset = open_dataset(data_folder)
    images = prepare(dataset, SIZE, tmp_path_factory.mktemp("cache"))
    order = tuple(range(len(images)))
    split = Split(order[:12], order[12:16], order[16:24], order[24:], "by number", images.fingerprint)
    examples = [dataset.source.decode(dataset.samples[index])[0] for index in split.test[:3]]
    return PairData(images, split, Normalisation.fit(images.images, split.train), examples)


@pytest.fixture(scope="session")
def edge_member() -> Member:
    network = Brightness(3, level=0.9, slope=2.0).eval()
    profile = load_profile("jetson-nano")
    costs: dict[str, Cost] = {
        "latency_ms": 1.5,
        "latency_label": "predicted for jetson-nano",
        "latency_interval_ms": (0.5, 4.25),
        "extrapolated": True,
    }
    return Member(network, "brightness-3", "window: 3\n", profile, trial=1, costs=costs)


@pytest.fixture(scope="session")
def cloud_member() -> Member:
    return Member(Brightness(5, level=0.6, slope=4.0).eval(), "brightness-5", "window: 5\n", load_profile("x86-server"))


@pytest.fixture(scope="session")
def finished(
    pair_data: PairData, edge_member: Member, cloud_member: Member, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    """A bundle that no test may change."""
    spec = RouterSpec(SharePolicy(share=0.25))
    return write_bundle(tmp_path_factory.mktemp("bundles") / "bundle", edge_member, cloud_member, pair_data, spec)


@pytest.fixture(scope="session")
def measured(
    pair_data: PairData, edge_member: Member, cloud_member: Member, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    """The same bundle, but every second image tells the size of its pixels; no test may change it either."""
    images = pair_data.images
    spacing_mm = np.where(np.arange(len(images))[:, None] % 2, [[0.2, 0.1]], np.nan)
    known = replace(pair_data, images=replace(images, spacing_mm=spacing_mm))
    spec = RouterSpec(SharePolicy(share=0.25))
    return write_bundle(tmp_path_factory.mktemp("bundles") / "bundle", edge_member, cloud_member, known, spec)


@pytest.fixture
def copy(finished: Bundle, tmp_path: Path) -> Path:
    """A copy of the bundle that a test may damage."""
    path = tmp_path / "bundle"
    shutil.copytree(finished.folder, path)
    return path
