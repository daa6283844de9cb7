"""A trained network outside of training: its probabilities on images, and its model file within a device's rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ussearch.accelerators import to_device, to_host
from ussearch.datasets import Normalisation
from ussearch.hardware_profiles import Profile
from ussearch.hardware_profiles.onnx_files.export import ExportRecord, export_module
from ussearch.search_spaces import Ensemble, Network, NormalisedNetwork, deploy


@torch.no_grad()
def predict(
    network: nn.Module,
    images: npt.NDArray[np.uint8],
    normalisation: Normalisation,
    device: torch.device | str = "cpu",
    batch_size: int = 16,
) -> npt.NDArray[np.float32]:
    """Return probabilities, float32 [N, classes, H, W], of ``images``, uint8 [N, 1, H, W].

    The network is moved to ``device``, runs in evaluation mode and is left in the mode in which it came. It computes in
    float32 also where it was trained in bfloat16: what is judged is the network that is exported, on whatever card, and
    a pass over the validation part costs little beside an epoch.
    """
    training = network.training
    network.to(device).eval()
    parts = []
    for start in range(0, len(images), batch_size):
        batch = to_device(torch.from_numpy(np.array(images[start : start + batch_size])), device).float()
        parts.append(to_host(torch.sigmoid(network(normalisation.apply(batch)).float())).numpy())
    network.train(training)
    return np.concatenate(parts)


def deploy_form(network: nn.Module) -> nn.Module:
    """Return the deploy form of a searched network, or of each in an ensemble; others are taken to be in it already."""
    if isinstance(network, Ensemble):
        return Ensemble([deploy_form(member) for member in network.members], network.flips).eval()
    return deploy(network) if isinstance(network, Network) else network


def as_shipped(network: nn.Module, normalisation: Normalisation) -> NormalisedNetwork:
    """Return what a bundle holds: the deploy form with the normalisation in front, on the CPU, in evaluation mode."""
    module = NormalisedNetwork(deploy_form(network), normalisation.mean, normalisation.std)
    return module.cpu().eval()


def export_network(
    network: nn.Module,
    normalisation: Normalisation,
    image_size: int,
    profile: Profile,
    path: Path,
    *,
    image_channels: int = 1,
) -> ExportRecord:
    """Write ``network`` as it is shipped to ``path``; see ``export_module`` for the file and the errors."""
    module = as_shipped(network, normalisation)
    return export_module(module, image_size, profile, path, image_channels=image_channels)
