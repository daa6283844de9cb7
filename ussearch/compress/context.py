"""What every step of a chain knows: data, device, teacher, recipe, and where its results are kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ussearch.compress.speed import SpeedSource
from ussearch.datasets import ImageSet, Normalisation, Split
from ussearch.evaluators import EpochRecord, Recipe, TrainingResult, TrainingTask
from ussearch.evaluators.training.checkpoints import digest_of
from ussearch.evaluators.training.recipe import identity_of
from ussearch.events import OnEvent, TrainingEpoch, ignore
from ussearch.hardware_profiles import Profile
from ussearch.search_spaces import Network


@dataclass(frozen=True)
class Context:
    """``recipe`` is that of the full training; steps train again with ``epochs`` of it, more gently."""

    images: ImageSet
    split: Split
    profile: Profile
    recipe: Recipe
    folder: Path
    speed: SpeedSource
    epochs: int
    teachers: tuple[Network, ...] = ()
    unlabelled: npt.NDArray[np.uint8] | None = field(default=None, repr=False)
    max_drop: float = 0.01
    """Mean Dice that a step that trains again may lose."""
    asked: frozenset[str] = frozenset()
    """Steps that were asked for by name."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    seed: int = 0
    on_event: OnEvent = ignore

    @cached_property
    def normalisation(self) -> Normalisation:
        """That of the training images, as in every network of the study."""
        return Normalisation.fit(self.images.images, self.split.train)

    @cached_property
    def origin(self) -> dict[str, Any]:
        """Everything that a step's outcome depends on besides the candidate and the step's settings."""
        return {
            "data": [self.images.fingerprint, self.images.image_size],
            "split": [list(self.split.train), list(self.split.validation)],
            "profile": self.profile.digest,
            "recipe": identity_of(self.recipe),
            "epochs": self.epochs,
            "teachers": [digest_of(teacher.state_dict()) for teacher in self.teachers],
            "unlabelled": None if self.unlabelled is None else hashlib.sha256(self.unlabelled.tobytes()).hexdigest(),
            "seed": self.seed,
            "device": self.device.type,
        }

    def train(self, task: TrainingTask, network: Network | None = None) -> TrainingResult:
        """Carry a task out with the context's data; ``network``: what is trained instead of a new one."""
        epochs = (task.recipe or self.recipe).epochs

        def tell(record: EpochRecord) -> None:
            self.on_event(TrainingEpoch(task.title, record, epochs))

        return task.run(self.images, self.split, self.recipe, self.device, tell, network=network)

    def place(self, title: str, *parts: Any) -> Path:
        """Return the folder of what is made from ``parts`` (JSON-ready) in this context."""
        content = json.dumps([self.origin, title, *parts], sort_keys=True)
        return self.folder / "steps" / f"{title}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"

    @property
    def groups(self) -> Sequence[int]:
        """The group of every validation image, whose members are no independent evidence."""
        return [int(number) for number in self.images.groups[list(self.split.validation)]]
