"""A small trained network, a stronger one that can teach it, and the context of a chain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.evaluators.conftest import disc_images, disc_split
from ussearch.compress import CompressionCandidate, Context, SpeedSource
from ussearch.datasets import ImageSet, Split
from ussearch.evaluators import Recipe, train
from ussearch.hardware_profiles import Profile, load_profile
from ussearch.search_spaces import Architecture, Block, DecoderLevel, Network, Skip, Stage, build

RECIPE = Recipe(epochs=6, learning_rate=2e-2, augmentation=None)


def unet(width: int, activation: Any = "relu") -> Architecture:
    """Return a U-Net of one level."""
    return Architecture(
        name=f"unet-{width}",
        stages=(
            Stage(blocks=(Block(kind="conv", width=width, activation=activation),)),
            Stage(blocks=(Block(kind="dwsep", width=2 * width, stride=2, activation=activation),)),
        ),
        decoder=(
            DecoderLevel(
                up=(Block(kind="upsample", resample="bilinear"),),
                skip=Skip(op="concat", stage=0),
                blocks=(Block(kind="conv", width=width, activation=activation),),
            ),
        ),
    )


def here(profile: Profile) -> Profile:
    """Return ``profile`` as if this machine ran files as it does."""
    import platform

    return profile.model_copy(update={"name": "here", "runtime": "onnxruntime", "processor": platform.machine()})


@dataclass(frozen=True)
class Trained:
    """Discs, and two networks trained on them."""

    images: ImageSet
    split: Split
    student: Network
    teacher: Network

    @property
    def candidate(self) -> CompressionCandidate:
        """The student as it enters a chain."""
        weights = {name: value.detach().clone() for name, value in self.student.state_dict().items()}
        return CompressionCandidate(self.student.architecture, weights)


@cache
def trained_pair(seed: int = 0) -> Trained:
    """Train both once a session for each seed; nobody may change them."""
    images = disc_images(count=48)
    split = disc_split(images)
    networks = []
    for own_seed, width in ((2 * seed, 16), (2 * seed + 1, 24)):
        torch.manual_seed(own_seed)
        network = build(unet(width))
        train(network, images, split, RECIPE, seed=own_seed)
        networks.append(network)
    return Trained(images, split, *networks)


@pytest.fixture(scope="session")
def trained() -> Trained:
    return trained_pair()


@dataclass(frozen=True)
class TimesBySize(SpeedSource):
    """A device that takes a millisecond for each kilobyte of a file: the same times on every machine."""

    def here(self, *models: Path) -> list[list[float]]:
        return [[model.stat().st_size / 1e3] * self.runs for model in models]


MakeContext = Callable[..., Context]


def context_of(trained: Trained, folder: Path, **changes: Any) -> Context:
    """Return the context of a chain in ``folder``."""
    profile = changes.pop("profile", None) or load_profile("raspberry-pi-4")
    given: dict[str, Any] = {
        "images": trained.images,
        "split": trained.split,
        "profile": profile,
        "recipe": RECIPE,
        "folder": folder / "chain",
        "speed": SpeedSource(profile),
        "epochs": 2,
        "teachers": (trained.teacher,),
    }
    return Context(**given | changes)


@pytest.fixture
def make_context(trained: Trained, tmp_path: Path) -> MakeContext:
    """Return a maker of contexts in a folder of the test's own."""
    return lambda **changes: context_of(trained, tmp_path, **changes)
