"""Probabilities of a network on images that were prepared but not yet normalised."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ussearch.datasets import Normalisation


@torch.no_grad()
def predict(
    network: nn.Module,
    images: npt.NDArray[np.uint8],
    normalisation: Normalisation,
    device: torch.device | str = "cpu",
    batch_size: int = 16,
) -> npt.NDArray[np.float32]:
    """Return probabilities, float32 [N, classes, H, W], of ``images``, uint8 [N, 1, H, W].

    The network is moved to ``device``, runs in evaluation mode and is left in the mode in which it came.
    """
    training = network.training
    network.to(device).eval()
    parts = []
    for start in range(0, len(images), batch_size):
        batch = torch.from_numpy(np.array(images[start : start + batch_size])).to(device).float()
        parts.append(torch.sigmoid(network(normalisation.apply(batch)).float()).cpu().numpy())
    network.train(training)
    return np.concatenate(parts)
