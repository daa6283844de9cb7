"""AdamW for weights of which every step uses a part: what got no gradient stays exactly as it was."""

from __future__ import annotations

from collections.abc import Mapping

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
        """Take a step with the gradients that there are, clipped to the recipe's norm, and forget them.

        All tensors move together, by operators on lists: one by one they would be thousands of launches on a card.
        """
        used = {role: value for role, value in self._store.tensors.items() if value.grad is not None}
        gradients = [value.grad for value in used.values() if value.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        scale = (self._recipe.gradient_norm / (norm + 1e-6)).clamp(max=1.0)
        self._move(used, torch._foreach_mul(gradients, scale), learning_rate)
        self._store.zero_grad(used)

    def _move(self, used: Mapping[str, Tensor], gradients: tuple[Tensor, ...], learning_rate: float) -> None:
        """Move ``used`` tensors, and what is kept of them, where their ``gradients`` are not 0."""
        values, counts = list(used.values()), [self._count(role) for role in used]
        first, second, average = ([self._kept[role][kind] for role in used] for kind in KINDS)
        touched = torch._foreach_abs(torch._foreach_sign(gradients))  # 1, and 0 where there is no gradient
        beta = self._recipe.second_moment_decay
        torch._foreach_lerp_(first, gradients, torch._foreach_mul(touched, 1 - MOMENTUM))
        torch._foreach_lerp_(second, torch._foreach_mul(gradients, gradients), torch._foreach_mul(touched, 1 - beta))
        change = torch._foreach_div(first, [1 - MOMENTUM**count for count in counts])
        spread = torch._foreach_sqrt(torch._foreach_div(second, [1 - beta**count for count in counts]))
        torch._foreach_add_(spread, EPSILON)
        torch._foreach_div_(change, spread)
        weights = [number for number, value in enumerate(values) if value.ndim > 1]
        decay = torch._foreach_mul([values[number] for number in weights], self._recipe.weight_decay)
        torch._foreach_add_([change[number] for number in weights], decay)
        torch._foreach_mul_(change, learning_rate)
        torch._foreach_mul_(change, touched)
        torch._foreach_sub_(values, change)
        decays = [min(self._recipe.average_decay, (1 + count) / (10 + count)) for count in counts]
        staying = torch._foreach_mul(touched, decays)
        torch._foreach_add_(staying, torch._foreach_add(torch._foreach_neg(touched), 1.0))  # 1 where nothing moved
        torch._foreach_copy_(average, torch._foreach_lerp(values, average, staying))

    def _count(self, role: str) -> int:
        """Return how often a tensor was used, this time included; from the first time on it has moments."""
        value = self._store.tensors[role]
        if role not in self._kept:
            zeros = {kind: torch.zeros_like(value) for kind in ("first", "second")}
            self._kept[role] = {**zeros, "average": value.detach().clone()}
        self._steps[role] = self._steps.get(role, 0) + 1
        return self._steps[role]

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
