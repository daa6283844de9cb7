"""AdamW for weights of which every step uses a part: what got no gradient stays exactly as it was."""

from __future__ import annotations

import torch
from torch import Tensor

from ussearch.evaluators.shared.extents import TensorExtent
from ussearch.evaluators.shared.store import WeightStore
from ussearch.evaluators.training.recipe import Recipe

EPSILON = 1e-8
MOMENTUM = 0.9
KINDS = ("first", "second", "average")
"""What is kept of every tensor: both moments of its gradient and the moving average of its values."""


class SliceAdamW:
    """AdamW (Loshchilov & Hutter 2019) with a moving average of the weights, element by element.

    An element without gradient moves neither by momentum nor by decay, and its moments stay: it was not part of any
    slice of that step. Bias is corrected, and the average warmed up, by how often a tensor was used.
    """

    def __init__(self, store: WeightStore, recipe: Recipe) -> None:
        self._store, self._recipe = store, recipe
        self._steps: dict[str, int] = {}
        self._kept: dict[str, dict[str, Tensor]] = {}

    @property
    def averages(self) -> dict[str, Tensor]:
        """The averaged value of every tensor that was ever used, by role."""
        return {role: kept["average"] for role, kept in self._kept.items()}

    def follow(self, former: dict[str, TensorExtent]) -> None:
        """Make room where tensors grew; ``former`` is what ``WeightStore.grow`` returned."""
        for role, extent in former.items():
            if role in self._kept:
                self._kept[role] = {
                    kind: self._grown(role, extent, value, kind) for kind, value in self._kept[role].items()
                }

    def _grown(self, role: str, former: TensorExtent, value: Tensor, kind: str) -> Tensor:
        current = self._store.tensors[role].detach()
        larger = current.clone() if kind == "average" else torch.zeros_like(current)
        former.copy_into(larger, self._store.extents[role], value)
        return larger

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Take a step with the gradients that there are, clipped to the recipe's norm, and forget them."""
        gradients = {role: value.grad for role, value in self._store.tensors.items() if value.grad is not None}
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(gradients.values()))))
        scale = (self._recipe.gradient_norm / (norm + 1e-6)).clamp(max=1.0)
        for role, gradient in gradients.items():
            self._update(role, gradient * scale, learning_rate)
        self._store.zero_grad(gradients)

    def _update(self, role: str, gradient: Tensor, learning_rate: float) -> None:
        value = self._store.tensors[role]
        if role not in self._kept:
            zeros = {kind: torch.zeros_like(value) for kind in ("first", "second")}
            self._kept[role] = {**zeros, "average": value.detach().clone()}
        first, second, average = (self._kept[role][kind] for kind in KINDS)
        self._steps[role] = count = self._steps.get(role, 0) + 1
        decay_of_second = self._recipe.second_moment_decay
        touched = gradient != 0
        first.copy_(torch.where(touched, torch.lerp(first, gradient, 1 - MOMENTUM), first))
        second.copy_(torch.where(touched, torch.lerp(second, gradient.square(), 1 - decay_of_second), second))
        change = (first / (1 - MOMENTUM**count)) / ((second / (1 - decay_of_second**count)).sqrt() + EPSILON)
        if value.ndim > 1:
            change += self._recipe.weight_decay * value
        value.sub_(torch.where(touched, learning_rate * change, 0.0))
        decay = min(self._recipe.average_decay, (1 + count) / (10 + count))
        average.copy_(torch.where(touched, torch.lerp(value.detach(), average, decay), average))

    def state(self) -> dict[str, Tensor]:
        """Return everything that a later run needs to continue, as tensors by name."""
        kept = {f"{kind}/{role}": value for role, values in self._kept.items() for kind, value in values.items()}
        return kept | {f"steps/{role}": torch.tensor(count) for role, count in self._steps.items()}

    def load(self, state: dict[str, Tensor]) -> None:
        """Continue from what ``state`` returned."""
        for name, value in state.items():
            kind, _, role = name.partition("/")
            if kind == "steps":
                self._steps[role] = int(value)
            else:
                self._kept.setdefault(role, {})[kind] = value.to(self._store.device)
