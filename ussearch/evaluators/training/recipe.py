"""How every candidate is trained, as data in one place, and what changes from step to step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from ussearch import schema
from ussearch.datasets import AugmentationSettings
from ussearch.documents import parse_yaml


class Recipe(BaseModel):
    """Settings of one training; the defaults are chosen for budgets of a few hundred steps."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=30, ge=1)
    steps: int | None = Field(default=None, ge=1)
    """Length in optimiser steps instead of whole epochs; the last epoch then shows a part of the images only."""
    batch_size: int = Field(default=8, ge=1, description="images a step")
    learning_rate: float = Field(default=1e-2, gt=0, description="peak of the cosine")
    final_learning_rate: float = Field(default=1e-4, ge=0, description="end of the cosine")
    warmup_fraction: float = Field(default=0.05, ge=0, lt=1, description="share of all steps with a linear rise")
    encoder_learning_rate_factor: float = Field(
        default=0.3, gt=0, le=1, description="of what others trained, as a share of the learning rate of the rest"
    )
    inherited_learning_rate_factor: float = Field(
        default=0.3, gt=0, le=1, description="of the peak, where a network starts from a trained relative"
    )
    weight_decay: float = Field(default=1e-2, ge=0, description="decoupled (AdamW); not on norms and biases")
    second_moment_decay: float = Field(
        default=0.99, ge=0, lt=1, description="AdamW's second beta; 0.999 remembers more than a short training lasts"
    )
    gradient_norm: float = Field(default=5.0, gt=0, description="gradients are clipped to this norm")
    loss: Literal["dice_focal", "bce_dice"] = "bce_dice"
    dice_over: Literal["image", "batch"] = "image"
    """What the Dice part is taken over: each image, as the metric is, or the batch, where large lesions prevail."""
    dice_smoothing: float = Field(
        default=1.0, gt=0, description="pixels added to both sides of the Dice ratio; what empty images learn from"
    )
    pixel_weight: float = Field(default=1.0, ge=0, description="weight of the focal or cross-entropy part beside Dice")
    focal_gamma: float = Field(default=2.0, ge=0)
    average_decay: float = Field(
        default=0.99, ge=0, lt=1, description="of the moving average of weights; 0: no average"
    )
    schedule: Literal["cosine", "linear"] = "cosine"
    """Rise of λ in deep training (VanillaNet, papers.md 2.2): 0.5 (1 - cos πt) or t."""
    schedule_fraction: float = Field(
        default=0.6, ge=0, le=1, description="share of all steps after which λ is exactly 1"
    )
    deep_supervision_weights: tuple[float, ...] = (0.4, 0.2, 0.1)
    """Weights of the auxiliary outputs, the finest first; those without a weight get the last one."""
    augmentation: AugmentationSettings | None = AugmentationSettings()
    empty_fraction: float | None = Field(default=None, ge=0, le=1, description="share of empty images shown each epoch")
    patience: int | None = Field(default=None, ge=1, description="stop after so many epochs without a better one")
    mixed_precision: bool = Field(default=True, description="bf16 autocast, on CUDA only")
    divergence_factor: float = Field(
        default=3.0, gt=1, description="training has diverged above this multiple of the first epoch's loss"
    )

    def inheriting(self, epochs: int) -> Recipe:
        """Return the course of ``epochs`` of a network that starts from a trained relative.

        λ of deep training stays 1: what is inherited has been through it.
        """
        peak = self.inherited_learning_rate_factor * self.learning_rate
        return self.model_copy(
            update={"epochs": epochs, "steps": None, "learning_rate": peak, "schedule_fraction": 0.0}
        )

    def to_yaml(self) -> str:
        """Return YAML that ``from_yaml`` reads back to an equal value."""
        return yaml.safe_dump(schema.RECIPE.numbered(self.model_dump(mode="json")), sort_keys=False)

    @classmethod
    def from_yaml(cls, text: str, source: str = "recipe") -> Recipe:
        """Read a recipe; raises UserError naming ``source`` and the first field that is wrong."""
        return parse_yaml(cls, text, source, schema.RECIPE)


_LATER: Mapping[str, Any] = {
    "encoder_learning_rate_factor": 0.3,
    "inherited_learning_rate_factor": 0.3,
    "augmentation": {"elastic": 0.0, "shadow": 0.0, "cutout": 0.0, "cutout_side": 0.3},
}
"""Settings that 0.1.0 did not have, with the values by which its trainings are what they were."""


def recipe_of_record(record: Mapping[str, Any]) -> Recipe:
    """Return the recipe of a record, which says everything; settings that came later than it change nothing."""
    return Recipe.model_validate(_with(_LATER, record))


def identity_of(recipe: Recipe) -> dict[str, Any]:
    """Return what tells trainings apart, JSON-ready: the recipe without later settings that change nothing.

    So what an older version trained is found again.
    """
    return _without(_LATER, recipe.model_dump(mode="json"))


def _with(later: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(record)
    for name, value in later.items():
        if not isinstance(value, Mapping):
            found.setdefault(name, value)
        elif isinstance(found.get(name), Mapping):
            found[name] = _with(value, found[name])
    return found


def _without(later: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, value in record.items():
        inner = later.get(name)
        if isinstance(inner, Mapping) and isinstance(value, Mapping):
            found[name] = _without(inner, value)
        elif name not in later or inner != value:
            found[name] = value
    return found


def learning_rate_at(step: int, steps: int, recipe: Recipe) -> float:
    """Return the learning rate of ``step`` (0 to ``steps`` - 1): a linear warm-up, then a cosine."""
    warmup = round(recipe.warmup_fraction * steps)
    if step < warmup:
        return recipe.learning_rate * (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(steps - warmup, 1)
    fall = recipe.learning_rate - recipe.final_learning_rate
    return recipe.final_learning_rate + fall * 0.5 * (1 + math.cos(math.pi * progress))


def slope_at(step: int, steps: int, recipe: Recipe) -> float:
    """Return λ of deep training before ``step``: 0 at first, exactly 1 from ``schedule_fraction`` on.

    The forms are VanillaNet's (papers.md 2.2). LV-UNet's own schedule ends at 0.9948, which cannot be fused
    exactly; here λ is held at 1, so that networks also learn in the form that is deployed.
    """
    end = recipe.schedule_fraction * steps
    if step >= end:
        return 1.0
    progress = step / end
    return progress if recipe.schedule == "linear" else 0.5 * (1 - math.cos(math.pi * progress))
