"""A trained network of the study that a candidate starts from, and what of it the candidate took over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from ussearch.accelerators import to_device
from ussearch.datasets import ImageSet, Normalisation, Split
from ussearch.evaluators.inheritance.transfer import inherit, recalibrate
from ussearch.evaluators.pretrained.lineage import Origin
from ussearch.search_spaces import Architecture, Network

RECALIBRATED_ON = 64
"""Training images from which the statistics of norms are taken anew."""
BATCH = 16


class Inheritance(BaseModel):
    """What a candidate started with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    relative: int
    """Trial id of the network that it started from."""
    share: float = Field(ge=0, le=1)
    """Part of its parameters' values that are the relative's."""
    age_epochs: float = Field(ge=0)
    """Epochs that those values were trained before, the relative's age by the share."""


@dataclass(frozen=True)
class Relative:
    """A trained network: ``state`` is that of its training form, ``age_epochs`` how long its weights were trained.

    ``origins`` are what its weights began with that others trained, the latest first.
    """

    trial_id: int
    age_epochs: float
    architecture: Architecture
    state: Mapping[str, Tensor] = field(repr=False, compare=False)
    origins: tuple[Origin, ...] = ()

    def pass_on(
        self, network: Network, images: ImageSet, split: Split, device: torch.device | str = "cpu"
    ) -> Inheritance:
        """Give ``network``, freshly drawn, what it inherits; statistics of norms are those of training images.

        A network of the relative's own architecture goes on exactly where that stands.
        """
        if network.architecture.id == self.architecture.id:
            network.load_state_dict(dict(self.state))
            return Inheritance(relative=self.trial_id, share=1.0, age_epochs=self.age_epochs)
        inherited = inherit(network, self.architecture, self.state)
        inherited.apply(network)
        network.set_schedule(1.0)  # what is inherited has been through deep training
        network.to(device)
        normalisation = Normalisation.fit(images.images, split.train)
        recalibrate(network, _batches(images, split, normalisation, device))
        age_epochs = inherited.share * self.age_epochs
        return Inheritance(relative=self.trial_id, share=inherited.share, age_epochs=age_epochs)


def _batches(images: ImageSet, split: Split, normalisation: Normalisation, device: torch.device | str) -> list[Tensor]:
    """Return training images, evenly chosen, as batches [B, C, H, W]."""
    count = min(RECALIBRATED_ON, len(split.train))
    chosen = np.array(split.train)[np.linspace(0, len(split.train) - 1, count).round().astype(int)]
    pixels = torch.from_numpy(np.array(images.images[chosen]))
    return [normalisation.apply(to_device(part, device).float()) for part in torch.split(pixels, BATCH)]
