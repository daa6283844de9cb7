"""Small data sets, drawn for the test that asks for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

Pixels = npt.NDArray[np.uint8]


def picture(seed: int, height: int = 40, width: int = 48) -> Pixels:
    """Return noise that resembles no other seed's."""
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def disc(height: int = 40, width: int = 48, radius: float = 9, row: float = 20, column: float = 24) -> Pixels:
    rows, columns = np.mgrid[:height, :width]
    return (((rows - row) ** 2 + (columns - column) ** 2 < radius**2) * 255).astype(np.uint8)


def save(path: Path, pixels: Pixels) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def busi(tmp_path: Path) -> Path:
    """Six benign, four malignant, two normal images; benign (1) has two masks, normal (2) has no mask file."""
    root = tmp_path / "busi"
    seed = 0
    for label, count in (("benign", 6), ("malignant", 4), ("normal", 2)):
        for number in range(1, count + 1):
            seed += 1
            name = f"{label}/{label} ({number})"
            save(root / f"{name}.png", picture(seed))
            if label != "normal":
                save(root / f"{name}_mask.png", disc())
    save(root / "benign/benign (1)_mask_1.png", disc(radius=4, row=5, column=6))
    save(root / "normal/normal (1)_mask.png", np.zeros((40, 48), np.uint8))
    return root


@pytest.fixture
def plain(tmp_path: Path) -> Callable[[int], Path]:
    """Return a maker of ``images/`` + ``masks/`` with that many pairs; every fourth mask is empty."""

    def make(count: int) -> Path:
        root = tmp_path / "plain"
        for number in range(count):
            save(root / f"images/scan{number:03d}.png", picture(number))
            save(root / f"masks/scan{number:03d}.png", disc() if number % 4 else disc(radius=0))
        return root

    return make
