"""What a training minimises: the recipe's loss on masks, or something richer that has parameters of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ussearch.evaluators.losses import make_loss
from ussearch.evaluators.recipe import Recipe
from ussearch.search_spaces import Network


class Objective(nn.Module):
    """A loss of a network on a batch. Its parameters are trained beside the network's and are no part of the result."""

    @property
    def made_from(self) -> Mapping[str, Any]:
        """Everything that the loss depends on besides the recipe, JSON-ready; a checkpoint belongs to it."""
        return {}

    def forward(self, network: Network, images: Tensor, masks: Tensor, step: int) -> Tensor:
        """Return the loss, a scalar, of ``network`` on images [B, C, H, W] with masks [B, classes, H, W]."""
        raise TypeError(f"{type(self).__name__} defines no forward")


class Supervised(Objective):
    """The recipe's loss on the masks, with deep supervision."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self._loss = make_loss(recipe)

    def forward(self, network: Network, images: Tensor, masks: Tensor, step: int) -> Tensor:
        """See ``Objective.forward``."""
        return self._loss(network.forward_all(images), masks)
