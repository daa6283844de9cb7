"""Training one network by a recipe."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import nn

from ussearch.datasets import Batches, ImageSet, Normalisation, Split
from ussearch.evaluators.averaging import WeightAverage
from ussearch.evaluators.losses import Loss, make_loss
from ussearch.evaluators.overlap import Detection, detect
from ussearch.evaluators.prediction import predict
from ussearch.evaluators.recipe import Recipe
from ussearch.evaluators.schedules import learning_rate_at, slope_at
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
    selection: float
    lesion_dice: float | None
    false_positive_rate: float | None
    seconds: float


OnEpoch = Callable[[EpochRecord], None]


@dataclass(frozen=True)
class TrainingResult:
    """How a training went. ``best_epoch`` counts from 1; ``seconds`` is wall-clock time."""

    history: tuple[EpochRecord, ...]
    best_epoch: int
    seconds: float
    normalisation: Normalisation


def train(
    network: Network,
    images: ImageSet,
    split: Split,
    recipe: Recipe,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    initial: Mapping[str, torch.Tensor] | None = None,
    on_epoch: OnEpoch | None = None,
) -> TrainingResult:
    """Train ``network`` in place; it ends with the averaged weights of the best validation epoch, λ = 1.

    It starts from the weights ``initial`` where they are given (a state dict of ``network``), else from those that the
    network has. It lasts ``recipe.steps`` optimiser steps, or ``recipe.epochs`` epochs where that is None; learning
    rate and λ end their course exactly there.

    The best epoch has the highest selection score (``overlap.selection_score``) on the validation part;
    networks with fusible blocks choose only among epochs that ended with λ = 1, because only those can be
    deployed exactly. Without validation images the last epoch counts. The same seed on one CPU thread gives
    the same weights.

    Raises:
        TrainingFailed: the loss or the weights stopped being finite, or the loss rose above
            ``recipe.divergence_factor`` times that of the first epoch.
    """
    if initial is not None:
        network.load_state_dict(initial)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _Training(network, images, split, recipe, seed, torch.device(device)).run(on_epoch)


@dataclass
class _Training:
    """One training in progress."""

    network: Network
    images: ImageSet
    split: Split
    recipe: Recipe
    seed: int
    device: torch.device
    history: list[EpochRecord] = field(default_factory=list)
    step: int = 0

    def __post_init__(self) -> None:
        recipe = self.recipe
        self.normalisation = Normalisation.fit(self.images.images, self.split.train)
        self.batches = Batches(
            self.images,
            self.split.train,
            self.normalisation,
            batch_size=recipe.batch_size,
            device=self.device,
            seed=self.seed,
            augment=recipe.augmentation or False,
            empty_fraction=recipe.empty_fraction,
        )
        self.steps = recipe.steps or recipe.epochs * len(self.batches)
        self.epochs = math.ceil(self.steps / len(self.batches))
        self.on_cuda = self.device.type == "cuda" and recipe.mixed_precision
        # NOTE: channels-last takes 0.6 to 0.85 of the time on CPUs too, most for depthwise networks.
        self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.scheduled = self.network.has_schedule
        self.average = WeightAverage(self.network, recipe.average_decay)
        self.optimiser = torch.optim.AdamW(
            _parameter_groups(self.network, recipe),
            lr=recipe.learning_rate,
            betas=(0.9, recipe.second_moment_decay),
            fused=self.device.type in ("cpu", "cuda"),
        )
        self.loss: Loss = make_loss(recipe)

    def run(self, on_epoch: OnEpoch | None) -> TrainingResult:
        """Train all epochs or until patience ends."""
        start = time.perf_counter()
        best: tuple[float, int, dict[str, Any]] | None = None
        for epoch in range(self.epochs):
            record = self._epoch(epoch)
            self.history.append(record)
            if record.schedule == 1.0 and (best is None or record.selection > best[0] or not self.split.validation):
                weights = {name: value.clone() for name, value in self.average.network.state_dict().items()}
                best = (record.selection, record.epoch, weights)
            if on_epoch:
                on_epoch(record)
            if best and self.recipe.patience and record.epoch - best[1] >= self.recipe.patience:
                break
        assert best is not None  # the last epoch always ends with λ = 1
        self.network.load_state_dict(best[2])
        self.network.to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
        return TrainingResult(tuple(self.history), best[1], time.perf_counter() - start, self.normalisation)

    def _epoch(self, epoch: int) -> EpochRecord:
        start = time.perf_counter()
        self.network.train()
        # NOTE: a course that is measured in steps may end within an epoch.
        batches = islice(self.batches.epoch(epoch), self.steps - self.step)
        losses = [self._step(images, masks) for images, masks in batches]
        loss = float(torch.stack(losses).mean())
        self._check(epoch, loss)
        schedule = self._set_schedule(self.average.network)
        validation = self._validate(epoch)
        seconds = time.perf_counter() - start
        return EpochRecord(epoch=epoch + 1, loss=loss, schedule=schedule, seconds=seconds, **validation._asdict())

    def _set_schedule(self, network: Network) -> float:
        if not self.scheduled:
            return 1.0
        slope = slope_at(self.step, self.steps, self.recipe)
        network.set_schedule(slope)
        return slope

    def _step(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        self._set_schedule(self.network)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate_at(self.step, self.steps, self.recipe)
        images = images.to(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.on_cuda):
            outputs = self.network.forward_all(images)
        loss = self.loss(outputs, masks)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.gradient_norm)
        self.optimiser.step()
        self.average.update(self.network)
        self.step += 1
        return loss.detach()

    def _check(self, epoch: int, loss: float) -> None:
        """Raise TrainingFailed where this epoch has spoilt the network."""
        if not np.isfinite(loss):
            raise TrainingFailed(f"the loss became {loss} in epoch {epoch + 1}")
        first = self.history[0].loss if self.history else loss
        if loss > self.recipe.divergence_factor * first:
            raise TrainingFailed(f"training diverged: loss {loss:.3g} in epoch {epoch + 1}, {first:.3g} in the first")
        if not all(bool(torch.isfinite(p).all()) for p in self.average.network.parameters()):
            raise TrainingFailed(f"weights stopped being finite in epoch {epoch + 1}")

    def _validate(self, epoch: int) -> Detection:
        chosen = np.asarray(self.split.validation, np.int64)
        if not len(chosen):
            return Detection(0.0, None, None)
        pixels, masks = self.images.images[chosen], self.images.masks[chosen]
        probabilities = predict(
            self.average.network, pixels, self.normalisation, self.device, 2 * self.recipe.batch_size
        )
        if not np.isfinite(probabilities).all():
            raise TrainingFailed(f"the outputs stopped being finite in epoch {epoch + 1}")
        return detect(probabilities, masks)


def _parameter_groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Return the optimiser's groups: weights decay, norms and biases do not."""
    parameters = list(network.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
