"""What changes from step to step: the learning rate and λ of deep training."""

from __future__ import annotations

import math

from ussearch.evaluators.recipe import Recipe


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
