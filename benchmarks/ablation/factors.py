"""What is varied: the former defaults, one other level of each factor, and the design that mixes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ussearch.datasets import AugmentationSettings
from ussearch.evaluators import Recipe
from ussearch.search_spaces import Architecture

FORMER = Recipe.from_yaml((Path(__file__).parent / "former.yaml").read_text(encoding="utf-8"), "former.yaml")
"""The defaults before this page, written out: what the ablation starts from does not move when defaults do."""


FREE_FIELDS = {"learning_rate", "encoder_learning_rate_factor", "average_decay"}
"""Of the recipe: a step does the same work whatever they are."""


@dataclass(frozen=True)
class Factor:
    """One thing that a recipe may do in two ways: as the former defaults do (level 0), or the other way (level 1)."""

    name: str
    former: str
    other: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the recipe at the other level."""
    augmentation: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the augmentation at the other level."""
    deep_supervision: bool = False
    size: float = 1.0
    """Side of the images at the other level, as a multiple."""
    length: float = 1.0
    """Seconds of training at the other level, as a multiple: the one thing that is not compared at equal seconds."""

    @property
    def costs_nothing(self) -> bool:
        """Whether a step does the same at either level, with other numbers."""
        same_work = self.recipe.keys() <= FREE_FIELDS and not self.augmentation
        return same_work and not self.deep_supervision and self.size == 1.0


FACTORS = (
    Factor("affine", "with probability 0.8", "off", augmentation={"affine": 0.0}),
    Factor("elastic", "off", "up to 3 % of the side", augmentation={"elastic": 0.03}),
    Factor("gain and gamma", "0.2 and 0.25", "off", augmentation={"gain": 0.0, "gamma": 0.0}),
    Factor("speckle", "up to 0.15", "off", augmentation={"speckle": 0.0}),
    Factor("shadow", "off", "with probability 0.3", augmentation={"shadow": 0.3}),
    Factor("cutout", "off", "with probability 0.5", augmentation={"cutout": 0.5}),
    Factor("deep supervision", "off", "three levels", deep_supervision=True),
    Factor("loss", "Dice + cross-entropy", "Dice + focal", recipe={"loss": "dice_focal"}),
    Factor("Dice over", "each image", "the batch", recipe={"dice_over": "batch"}),
    Factor("average of weights", "decay 0.99", "none", recipe={"average_decay": 0.0}),
    Factor("batch size", "4", "8", recipe={"batch_size": 8}),
    Factor("learning rate", "0.01", "0.005", recipe={"learning_rate": 5e-3}),
    Factor("length", "× 1", "× 3", length=3.0),
)
"""Those that are varied together, in a design."""
CURVES = (
    *(Factor(f"length × {factor:g}", "× 1", f"× {factor:g}", length=factor) for factor in (0.5, 2.0, 4.0)),
    *(
        Factor(f"learning rate {rate:g}", "0.01", f"{rate:g}", recipe={"learning_rate": rate})
        for rate in (2.5e-3, 5e-3, 2e-2)
    ),
    *(
        Factor(f"average {decay:g}", "decay 0.99", f"decay {decay:g}", recipe={"average_decay": decay})
        for decay in (0.95, 0.998)
    ),
    *(Factor(f"batch of {size}", "4", f"{size}", recipe={"batch_size": size}) for size in (2, 16)),
    Factor("image side × 2", "× 1", "× 2", size=2.0),
)
"""Those that are varied one at a time, as they have more than two levels."""
ENCODER = tuple(
    Factor(f"encoder's rate × {rate:g}", "× 0.3", f"× {rate:g}", recipe={"encoder_learning_rate_factor": rate})
    for rate in (0.1, 1.0)
)
"""Those of networks that start from weights that others trained, one at a time too."""
BY_NAME = {factor.name: factor for factor in (*FACTORS, *CURVES, *ENCODER)}
RUNS = 16
"""Of one block: a two-level design for up to 15 factors."""
Arm = tuple[str, ...]
"""The names of the factors that are at their other level; none: the former defaults."""


def design(block: int) -> list[Arm]:
    """Return the 16 arms of a block: every factor is at either level half of the time, every pair balanced.

    Columns of a Hadamard matrix are dealt to factors anew for every second block, and a block of odd number mirrors the
    one before: what one block cannot tell from an interaction of two other factors has the other sign in its mirror.
    """
    columns = np.random.default_rng([22, block // 2]).permutation(np.arange(1, RUNS))[: len(FACTORS)]
    signs = hadamard(RUNS)[:, columns] * (-1) ** block
    return [tuple(factor.name for factor, sign in zip(FACTORS, row, strict=True) if sign > 0) for row in signs]


def hadamard(order: int) -> NDArray[np.int64]:
    """Return Sylvester's matrix of ±1 with orthogonal columns; ``order`` is a power of two."""
    matrix = np.ones((1, 1), np.int64)
    while len(matrix) < order:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


def recipe_at(arm: Arm, steps: int) -> Recipe:
    """Return the recipe of an arm, ``steps`` long."""
    factors = [BY_NAME[name] for name in arm]
    augmentation = (FORMER.augmentation or AugmentationSettings()).model_copy(
        update=_merged(factor.augmentation for factor in factors)
    )
    fields = _merged(factor.recipe for factor in factors)
    return FORMER.model_copy(update={**fields, "augmentation": augmentation, "steps": steps})


def architecture_at(arm: Arm, architecture: Architecture) -> Architecture:
    """Return the architecture, with auxiliary outputs where the arm has them.

    They are those of the three finest levels below the output, finest first: as in nnU-Net, it weighs most.
    """
    if not any(BY_NAME[name].deep_supervision for name in arm):
        return architecture
    last = len(architecture.decoder) - 1
    return architecture.model_copy(update={"deep_supervision": tuple(range(last - 1, max(last - 4, -1), -1))})


def image_size_at(arm: Arm, image_size: int) -> int:
    """Return the side of the images in pixels."""
    return round(image_size * float(np.prod([BY_NAME[name].size for name in arm])))


def _merged(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: value for part in parts for name, value in part.items()}
