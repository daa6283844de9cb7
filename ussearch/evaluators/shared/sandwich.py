"""Training of shared weights by the sandwich rule, one family of blocks at a time.

Each step trains the largest architecture of one family on the masks, the smallest of that family and one drawn from the
whole space also on what the largest predicts (in-place distillation; Yu et al., Universally Slimmable Networks, 2019,
and BigNAS, 2020). Families take turns in random order, so that each has as many steps as any other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional

from ussearch import accelerators, schema
from ussearch.datasets import Batches, ImageSet, Normalisation, Split
from ussearch.errors import UserError
from ussearch.evaluators.shared.drawing import Drawing, drawing_of
from ussearch.evaluators.shared.extremes import Fits, families_of, largest, mixed, smallest
from ussearch.evaluators.shared.optimiser import SliceAdamW
from ussearch.evaluators.shared.store import WeightStore
from ussearch.evaluators.training.losses import Loss, make_loss
from ussearch.evaluators.training.recipe import Recipe, learning_rate_at, slope_at
from ussearch.evaluators.training.result import TrainingFailed
from ussearch.files import write_atomically
from ussearch.search_spaces import FreeSpace

HARD_SHARE = 0.5
"""Of the loss of distilled networks: the masks; the rest is what the largest network predicts."""


@dataclass(frozen=True)
class SharedEpoch:
    """What one epoch of shared training did; ``losses`` are those of largest, smallest and mixed networks."""

    epoch: int
    epochs: int
    losses: tuple[float, float, float]
    seconds: float


OnSharedEpoch = Callable[[SharedEpoch], None]


@dataclass
class SandwichTraining:
    """Training of one store in progress; the same seed gives the same weights, interrupted or not."""

    store: WeightStore
    space: FreeSpace
    images: ImageSet
    split: Split
    recipe: Recipe
    fits: Fits
    seed: int = 0
    checkpoint: Path | None = None
    """File that is written after every epoch and continued from."""

    def __post_init__(self) -> None:
        self.device = self.store.device
        self.normalisation = Normalisation.fit(self.images.images, self.split.train)
        self.batches = Batches(
            self.images,
            self.split.train,
            self.normalisation,
            batch_size=self.recipe.batch_size,
            device=self.device,
            seed=self.seed,
            augment=self.recipe.augmentation or False,
            empty_fraction=self.recipe.empty_fraction,
        )
        self.families = families_of(self.space)
        self.steps = self.recipe.epochs * len(self.batches)
        self.optimiser = SliceAdamW(self.store, self.recipe)
        self.loss: Loss = make_loss(self.recipe)

    def run(self, on_epoch: OnSharedEpoch | None = None) -> None:
        """Train all epochs that are left; the store ends with the averaged weights."""
        with torch.random.fork_rng(devices=[]), accelerators.watched(self.device):
            for epoch in range(self._continued(), self.recipe.epochs):
                start = time.perf_counter()
                losses = self._epoch(epoch)
                self._keep(epoch + 1)
                if on_epoch:
                    on_epoch(SharedEpoch(epoch + 1, self.recipe.epochs, losses, time.perf_counter() - start))
        with torch.no_grad():
            for role, average in self.optimiser.averages.items():
                self.store.tensors[role].copy_(average)

    def _epoch(self, epoch: int) -> tuple[float, float, float]:
        steps = enumerate(self.batches.epoch(epoch), epoch * len(self.batches))
        losses = [self._step(step, images, masks) for step, (images, masks) in steps]
        totals = np.zeros(3)
        for row in accelerators.to_host(torch.stack(losses)).numpy():
            totals += row
        if not np.isfinite(totals).all():
            raise TrainingFailed(f"the loss of the shared weights stopped being finite in epoch {epoch + 1}")
        largest_loss, smallest_loss, mixed_loss = totals / len(self.batches)
        return float(largest_loss), float(smallest_loss), float(mixed_loss)

    def _step(self, step: int, images: Tensor, masks: Tensor) -> Tensor:
        """Train the three networks of one step and return their losses; gradients add up, what was used moves once."""
        torch.manual_seed(int(np.random.SeedSequence([self.seed, step, 1]).generate_state(1)[0]))
        slope = slope_at(step, self.steps, self.recipe)
        images = images.to(memory_format=torch.channels_last)
        teacher: Tensor | None = None
        losses = []
        drawings = self.architectures(step)
        for drawing in drawings:
            self.optimiser.follow(self.store.grow(drawing))
        for drawing in drawings:
            with accelerators.autocast(self.device, wanted=self.recipe.mixed_precision):
                outputs = self.store.forward_all(drawing, images, slope=slope)
            loss = self.loss(outputs, masks)
            if teacher is None:
                teacher = torch.sigmoid(outputs[0].detach().float())
            else:
                soft = functional.binary_cross_entropy_with_logits(outputs[0].float(), teacher)
                loss = HARD_SHARE * loss + (1 - HARD_SHARE) * soft
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
        self.optimiser.step(learning_rate_at(step, self.steps, self.recipe))
        return torch.stack(losses)

    def architectures(self, step: int) -> tuple[Drawing, Drawing, Drawing]:
        """Return the largest and the smallest network of the step's family and one of the whole space."""
        turn, place = divmod(step, len(self.families))
        order = np.random.default_rng([self.seed, turn, 2]).permutation(len(self.families))
        family = self.families[int(order[place])]
        generator = np.random.default_rng([self.seed, step, 3])
        chosen = (
            largest(self.space, family, generator, self.fits),
            smallest(self.space, family, generator),
            mixed(self.space, generator),
        )
        first, second, third = (drawing_of(architecture) for architecture in chosen)
        return first, second, third

    def _keep(self, epoch: int) -> None:
        if self.checkpoint is None:
            return
        tensors = {f"store:{role}": value.detach() for role, value in self.store.tensors.items()}
        tensors |= {f"optimiser:{name}": value for name, value in self.optimiser.state().items()}
        header = schema.SHARED_WEIGHTS.header({**self.store.metadata(), "epoch": str(epoch)})
        write_atomically(self.checkpoint, save(accelerators.state_on_host(tensors), header))

    def _continued(self) -> int:
        """Return how many epochs are done already, with their weights in place."""
        if self.checkpoint is None or not self.checkpoint.exists():
            return 0
        try:
            with safe_open(self.checkpoint, "pt") as file:
                metadata = schema.SHARED_WEIGHTS.from_header(file.metadata(), str(self.checkpoint))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            epoch = int(metadata["epoch"])
            restored = WeightStore.restored(metadata, _under("store:", tensors), self.device)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{self.checkpoint} cannot be continued ({str(error).splitlines()[0][:200]}): delete it to train the "
                "shared weights anew."
            ) from error
        self.store.extents, self.store.tensors = restored.extents, restored.tensors
        self.optimiser.load(_under("optimiser:", tensors))
        return epoch


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose name begins with ``prefix``, by the rest of it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
