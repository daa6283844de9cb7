"""What the evaluation of one candidate found, as a record, and how far its training went."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from ussearch.deprecations import old_attribute
from ussearch.evaluators.costs import Costs
from ussearch.evaluators.inheritance import Inheritance
from ussearch.evaluators.metrics.scores import Summary
from ussearch.evaluators.training.result import EpochRecord

TRAINED = "trained"
_PART = re.compile(r"trained (\d+) of (\d+) epochs")


def trained_part(epochs: int, of: int) -> str:
    """Return the fidelity of a training that was stopped after ``epochs`` of its full course."""
    return f"{TRAINED} {epochs} of {of} epochs"


def standing(fidelity: str) -> float:
    """Return how much of a training on its own a fidelity stands for: 1 for all of it, 0 where there was none."""
    if fidelity == TRAINED:
        return 1.0
    part = _PART.fullmatch(fidelity)
    return int(part[1]) / int(part[2]) if part else 0.0


def highest(fidelities: Iterable[str]) -> str | None:
    """Return the fidelity that stands for most training; None where there is none."""
    return max(set(fidelities), key=lambda each: (standing(each), each), default=None)


Tier = Literal["edge", "cloud"]
"""The two ends of a pair: the device and the cloud."""

CostsByTier = dict[Tier, Costs]


class Evaluation(BaseModel):
    """Metrics on validation images, costs on both ends, and how they were come by.

    ``weights`` (the training form's state) stays out of JSON: it is written as safetensors by whoever keeps
    the record. ``failure`` is the reason where training failed; then there are no metrics and no weights.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    architecture_id: str
    seed: int
    fidelity: str
    """How the accuracy was come by, such as ``trained``; figures of different fidelity are not comparable."""
    epochs: int
    image_size: int
    accelerator: str
    """The hardware that trained it."""
    metrics: Summary = {}
    costs: CostsByTier
    history: tuple[EpochRecord, ...] = ()
    best_epoch: int | None = None
    training_seconds: float = 0.0
    normalisation: dict[str, float] | None = None
    failure: str | None = None
    pretrained: str | None = None
    """The weights that it started from, with licence and digest; None: from scratch, or from weights of the study."""
    inherited: Inheritance | None = None
    """What it took over from a trained relative; None: nothing."""
    weights: dict[str, Tensor] | None = Field(default=None, exclude=True, repr=False)

    @property
    def objective(self) -> float | None:
        """The objective: lesion Dice penalised by false positives (``segmentation.objective_of``)."""
        return self.metrics.get("objective")

    @property
    def age_epochs(self) -> float:
        """How long its weights were trained: its own epochs, and those of its relatives by what it took over."""
        return self.epochs + (self.inherited.age_epochs if self.inherited else 0.0)

    dice = old_attribute("ussearch.evaluators.Evaluation", "dice")
