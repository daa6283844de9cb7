"""What a training tells: of each epoch, in the end, and where it cannot be done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from pydantic import BaseModel, ConfigDict

from ussearch.datasets import Normalisation
from ussearch.evaluators.inheritance import Inheritance
from ussearch.search_spaces import Network


class TrainingFailed(Exception):
    """A candidate could not be trained; the message says why. The search records it and goes on."""


class EpochRecord(BaseModel):
    """What one epoch did; validation figures speak of the averaged weights at its end."""

    model_config = ConfigDict(frozen=True)

    epoch: int
    loss: float
    schedule: float
    """λ of deep training at the end of the epoch; 1 for networks without fusible blocks."""
    objective: float
    lesion_dice: float | None
    false_positive_rate: float | None
    seconds: float


OnEpoch = Callable[[EpochRecord], None]


@dataclass(frozen=True)
class TrainingResult:
    """A trained network and how it went. ``best_epoch`` counts from 1; ``seconds`` are those of all continuations.

    ``epochs`` is the full length; a training that is not ``complete`` was stopped before it and can be continued.
    """

    network: Network = field(compare=False, repr=False)
    """The one that was trained, in evaluation mode, with the weights that count."""
    history: tuple[EpochRecord, ...]
    best_epoch: int
    seconds: float
    normalisation: Normalisation
    epochs: int
    last_weights: Mapping[str, torch.Tensor] = field(compare=False, repr=False)
    """Averaged weights of the last epoch, for judgements that must not select on validation images."""
    complete: bool = True
    inherited: Inheritance | None = None
    """What it started with, where that was a trained relative's."""
