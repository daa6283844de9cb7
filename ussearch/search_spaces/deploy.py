"""From the training form to the deploy form: what merges exactly is merged."""

from __future__ import annotations

import copy
from typing import Literal

from torch import Tensor, nn

from ussearch.search_spaces.blocks.fusible import Fusible
from ussearch.search_spaces.network import Network


def deploy(network: Network, folding: Literal["all", "fusible"] = "all") -> Network:
    """Return a copy in evaluation mode that computes the same with fewer operators.

    Folds batch norms into the convolutions before them, merges the pairs of fusible blocks and drops the heads of
    deep supervision. ``folding="fusible"`` touches fusible blocks only (LV-UNet's ``switch_to_deploy``). A batch norm
    that follows an activation (CMUNeXt) has no convolution to merge into exactly and stays.

    Raises ValueError while deep training has not ended (λ < 1).
    """
    return deploy_(copy.deepcopy(network), folding)


def deploy_(network: Network, folding: Literal["all", "fusible"] = "all") -> Network:
    """Bring ``network`` itself into the deploy form (see ``deploy``); the copy takes longer than the folding."""
    return merge_(network, folding).eval().requires_grad_(False)


def merge_(network: Network, folding: Literal["all", "fusible"] = "all") -> Network:
    """Merge what ``deploy`` merges, in ``network`` itself, and leave its mode and gradients as they are."""
    network.auxiliary_heads.clear()
    for module in list(network.modules()):
        # asking the runtime-checkable protocol Foldable gives the same answer a hundred times slower
        fold = getattr(type(module), "fold_", None)
        if fold is not None and (folding == "all" or isinstance(module, Fusible)):
            fold(module)
    return network


class NormalisedNetwork(nn.Module):
    """A network with the normalisation in front, as it is shipped: grey levels 0..255 [B, C, H, W] to logits.

    ``mean`` and ``std`` are those of the grey levels, in the same unit.
    """

    def __init__(self, network: nn.Module, mean: float, std: float) -> None:
        super().__init__()
        self.network = network
        self.mean = mean
        self.std = std

    def forward(self, image: Tensor) -> Tensor:
        """Return logits [B, classes, H, W]."""
        logits: Tensor = self.network((image - self.mean) / self.std)
        return logits
