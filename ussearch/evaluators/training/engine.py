"""Training one network by a recipe."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ussearch import accelerators
from ussearch.datasets import Batches, ImageSet, Normalisation, Split
from ussearch.evaluators.metrics.segmentation import Detection, detect
from ussearch.evaluators.prediction import predict
from ussearch.evaluators.pretrained import Landing
from ussearch.evaluators.training.checkpoints import Checkpoint, CheckpointManager, digest_of, moments_of, set_moments
from ussearch.evaluators.training.ema import EMA
from ussearch.evaluators.training.losses import Supervised, TrainingLoss
from ussearch.evaluators.training.optimiser import make_optimiser, set_learning_rate
from ussearch.evaluators.training.recipe import Recipe, identity_of, learning_rate_at, slope_at
from ussearch.evaluators.training.result import EpochRecord, OnEpoch, TrainingFailed, TrainingResult
from ussearch.search_spaces import Network


def train(
    network: Network,
    images: ImageSet,
    split: Split,
    recipe: Recipe,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    initial: Mapping[str, torch.Tensor] | None = None,
    pretrained: Landing | None = None,
    training_loss: TrainingLoss | None = None,
    checkpoint: Path | None = None,
    until_epoch: int | None = None,
    on_epoch: OnEpoch | None = None,
) -> TrainingResult:
    """Train ``network`` in place; it ends with the averaged weights of the best validation epoch, λ = 1.

    It starts from the weights ``initial`` where they are given (a state dict of ``network``), else from those that the
    network has; what ``pretrained`` has for it is then copied into it and learns at
    ``recipe.encoder_learning_rate_factor``. It minimises ``training_loss``, the recipe's loss on the masks where none
    is given, and lasts ``recipe.steps`` optimiser steps, or ``recipe.epochs`` epochs where that is None; learning rate
    and λ end their course exactly there.

    The best epoch has the highest objective (``segmentation.objective_of``) on the validation part;
    networks with fusible blocks choose only among epochs that ended with λ = 1, because only those can be
    deployed exactly. Without validation images the last epoch counts. The same seed on one CPU thread gives
    the same weights.

    Training continues from the file ``checkpoint`` where there is one and keeps it up to date
    (``checkpoints.INTERVAL_S``); whoever keeps the result deletes it. ``until_epoch`` (from 1) stops after so many
    epochs of the same course; where none has ended with λ = 1 the network then has the averaged weights of the last
    one. On one CPU thread a training that was stopped or killed and is continued ends with the very weights of one that
    was not.

    Raises:
        TrainingFailed: the loss or the weights stopped being finite, or the loss rose above
            ``recipe.divergence_factor`` times that of the first epoch.
        UserError: the checkpoint is damaged or belongs to another architecture, recipe, seed, start or data.
    """
    if initial is not None:
        network.load_state_dict(initial)
    if pretrained is not None:
        pretrained.apply(network)
    made_from = {
        "architecture": network.architecture.id,
        "recipe": identity_of(recipe),
        "seed": seed,
        "start": None if initial is None else digest_of(initial),
        "data": [images.fingerprint, images.image_size],
        "split": [list(split.train), list(split.validation)],
        **({} if pretrained is None else {"pretrained": digest_of(pretrained.tensors)}),
        **({} if training_loss is None else {"objective": dict(training_loss.made_from)}),
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        minimised = training_loss or Supervised(recipe)
        slow = frozenset() if pretrained is None else frozenset(pretrained.tensors)
        training = _Training(network, images, split, recipe, seed, torch.device(device), minimised, slow)
        return training.run(CheckpointManager(checkpoint, made_from), until_epoch, on_epoch)


def training_steps(
    network: Network,
    images: ImageSet,
    split: Split,
    recipe: Recipe,
    device: torch.device,
    *,
    training_loss: TrainingLoss | None = None,
) -> Iterator[None]:
    """Train ``network`` in place, as ``train`` does, and yield after each step: for whoever measures them.

    A course longer than an epoch begins again.
    """
    training = _Training(network, images, split, recipe, 0, device, training_loss or Supervised(recipe), frozenset())
    network.train()
    while True:
        for step, batch in enumerate(training.batches.epoch(0)):
            training.step = step
            training._step(*batch)
            yield


@dataclass(frozen=True)
class _Best:
    """The epoch whose weights count so far."""

    objective: float
    epoch: int
    weights: Mapping[str, torch.Tensor]


@dataclass
class _Training:
    """One training in progress."""

    network: Network
    images: ImageSet
    split: Split
    recipe: Recipe
    seed: int
    device: torch.device
    training_loss: TrainingLoss
    pretrained: frozenset[str]
    """Names of what others trained, which learns more slowly."""
    history: list[EpochRecord] = field(default_factory=list)
    step: int = 0
    seconds: float = 0.0
    best: _Best | None = None

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
        # NOTE: channels-last takes 0.6 to 0.85 of the time on CPUs too, most for depthwise networks.
        accelerators.to_channels_last(self.network, self.device)
        self.training_loss.to(self.device)
        self.scheduled = self.network.has_schedule
        self.average = EMA(self.network, recipe.average_decay)
        self.optimiser = make_optimiser(self.network, self.training_loss, self.pretrained, recipe, self.device)

    def run(self, keeper: CheckpointManager, until_epoch: int | None, on_epoch: OnEpoch | None) -> TrainingResult:
        """Train the epochs that are left, up to ``until_epoch`` or until patience ends."""
        if until_epoch is not None and until_epoch < 1:
            raise ValueError(f"training cannot stop after {until_epoch} epochs")
        checkpoint = keeper.read()
        if checkpoint is not None:
            self._restore(checkpoint)
        last = self.epochs if until_epoch is None else min(until_epoch, self.epochs)
        start, before = time.perf_counter(), self.seconds
        while len(self.history) < last and not self._out_of_patience:
            record = self._epoch(len(self.history))
            self.history.append(record)
            self._choose(record)
            self.seconds = before + time.perf_counter() - start
            keeper.write(self._checkpoint, now=len(self.history) == last < self.epochs)
            if on_epoch:
                on_epoch(record)
        return self._result()

    def _choose(self, record: EpochRecord) -> None:
        """Remember the averaged weights if they are the best that can be deployed so far."""
        better = self.best is None or record.objective > self.best.objective or not self.split.validation
        if record.schedule == 1.0 and better:
            self.best = _Best(record.objective, record.epoch, self._averaged_weights())

    def _averaged_weights(self) -> dict[str, torch.Tensor]:
        return {name: value.clone() for name, value in self.average.network.state_dict().items()}

    @property
    def _out_of_patience(self) -> bool:
        waited = len(self.history) - self.best.epoch if self.best else 0
        return self.recipe.patience is not None and waited >= self.recipe.patience

    def _result(self) -> TrainingResult:
        """Give the network its final weights; before λ was 1 those of the last epoch are all there is."""
        epochs, last = len(self.history), self._averaged_weights()
        best = self.best or _Best(self.history[-1].objective, epochs, last)
        self.network.load_state_dict(best.weights)
        self.network.to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
        complete = epochs == self.epochs or self._out_of_patience
        return TrainingResult(
            network=self.network,
            history=tuple(self.history),
            best_epoch=best.epoch,
            seconds=self.seconds,
            normalisation=self.normalisation,
            epochs=self.epochs,
            last_weights=last,
            complete=complete,
        )

    def _checkpoint(self) -> Checkpoint:
        progress = {
            "history": [record.model_dump(mode="json") for record in self.history],
            "step": self.step,
            "updates": self.average.updates,
            "seconds": self.seconds,
            "best": None if self.best is None else [self.best.objective, self.best.epoch],
        }
        groups = {
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "best": {} if self.best is None else self.best.weights,
            "moments": moments_of(self.optimiser),
            "objective": self.training_loss.state_dict(),
            "random": {"cpu": torch.get_rng_state(), **accelerators.random_state(self.device)},
        }
        return Checkpoint(progress, groups)

    def _restore(self, checkpoint: Checkpoint) -> None:
        progress, groups = checkpoint.progress, checkpoint.groups
        self.history = [EpochRecord.model_validate(record) for record in progress["history"]]
        self.step, self.seconds = progress["step"], progress["seconds"]
        self.network.load_state_dict(groups["network"])
        self.average.network.load_state_dict(groups["average"])
        self.average.updates = progress["updates"]
        if progress["best"]:
            objective, epoch = progress["best"]
            self.best = _Best(objective, epoch, groups["best"])
        self.training_loss.load_state_dict(groups.get("objective", {}))
        set_moments(self.optimiser, groups["moments"])
        torch.set_rng_state(groups["random"]["cpu"])
        accelerators.set_random_state(groups["random"], self.device)

    def _epoch(self, epoch: int) -> EpochRecord:
        start = time.perf_counter()
        self.network.train()
        # NOTE: a course that is measured in steps may end within an epoch.
        batches = islice(self.batches.epoch(epoch), self.steps - self.step)
        losses = [self._step(images, masks) for images, masks in batches]
        loss = self._checked(epoch, torch.stack(losses).mean())
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
        set_learning_rate(self.optimiser, learning_rate_at(self.step, self.steps, self.recipe))
        images = images.to(memory_format=torch.channels_last)
        with accelerators.autocast(self.device, wanted=self.recipe.mixed_precision):
            loss: torch.Tensor = self.training_loss(self.network, images, masks, self.step)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.gradient_norm)
        self.optimiser.step()
        self.average.update(self.network)
        self.step += 1
        return loss.detach()

    def _checked(self, epoch: int, mean: torch.Tensor) -> float:
        """Return the loss of this epoch; raises TrainingFailed where it has spoilt the network."""
        # NOTE: one transfer for both, since a card stands still at each.
        extremes = torch._foreach_norm(list(self.average.network.parameters()), math.inf)
        loss, extreme = accelerators.to_host(torch.stack([mean, torch.stack(extremes).max()])).tolist()
        if not np.isfinite(loss):
            raise TrainingFailed(f"the loss became {loss} in epoch {epoch + 1}")
        first = self.history[0].loss if self.history else loss
        if loss > self.recipe.divergence_factor * first:
            raise TrainingFailed(f"training diverged: loss {loss:.3g} in epoch {epoch + 1}, {first:.3g} in the first")
        if not math.isfinite(extreme):
            raise TrainingFailed(f"weights stopped being finite in epoch {epoch + 1}")
        return float(loss)

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
