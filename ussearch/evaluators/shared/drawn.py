"""Accuracy from shared weights, with or without a few steps of an architecture's own training."""

from __future__ import annotations

import torch
from torch import nn

from ussearch.accelerators import to_device
from ussearch.datasets import ImageSet, Normalisation, Split
from ussearch.evaluators.shared.drawing import drawing_of
from ussearch.evaluators.shared.store import WeightStore
from ussearch.search_spaces import Architecture, Network

RECALIBRATION_IMAGES = 64
RECALIBRATION_BATCH = 16


def drawn_network(
    store: WeightStore, architecture: Architecture, images: ImageSet, split: Split, normalisation: Normalisation
) -> Network:
    """Return a network with the weights that ``architecture`` draws and batch-norm statistics of training images.

    It is in deployable state (λ = 1) and evaluation mode. Raises UnknownWeights.
    """
    network = store.instantiate(drawing_of(architecture))
    recalibrate(network, images, split, normalisation)
    return network


@torch.no_grad()
def recalibrate(network: nn.Module, images: ImageSet, split: Split, normalisation: Normalisation) -> None:
    """Set the statistics of every batch norm to those of some training images, all of equal weight."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
    device = next(network.parameters()).device
    network.train()
    chosen = list(split.train)[:RECALIBRATION_IMAGES]
    for number, start in enumerate(range(0, len(chosen), RECALIBRATION_BATCH), 1):
        batch = to_device(torch.from_numpy(images.images[chosen[start : start + RECALIBRATION_BATCH]]), device).float()
        if len(batch) > 1:  # a batch norm over a single value knows no variance
            for norm in norms:  # an average of all batches, which torch's own would have the card tell the number of
                norm.momentum = 1 / number
            network(normalisation.apply(batch))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()
