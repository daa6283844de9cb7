"""From a trained network to a model file that a device's rules accept."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from ussearch.datasets import Normalisation
from ussearch.hardware_profiles import Profile
from ussearch.hardware_profiles.onnx_files.export import ExportRecord, export_module
from ussearch.search_spaces import Network, NormalisedNetwork, deploy


def deploy_form(network: nn.Module) -> nn.Module:
    """Return the deploy form of a searched network; any other module is taken to be in it already."""
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
