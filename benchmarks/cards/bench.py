"""What every measurement on a card needs: data, steps of training, and a clock that waits for the card."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice

import torch
from torch import Tensor

from ussearch.accelerators import synchronize, to_channels_last, to_device
from ussearch.datasets import Batches, ImageSet, Normalisation, PhantomParameters, Split, phantoms_from, prepare, split
from ussearch.evaluators.training.engine import training_steps
from ussearch.evaluators.training.losses import make_loss
from ussearch.evaluators.training.recipe import Recipe
from ussearch.search_spaces import Architecture, Network, build, load_preset

WARM_UP = 10
"""Steps before the clock is read: memory is allocated, kernels are chosen."""


@dataclass(frozen=True)
class Bench:
    """A device, how large images are, and for how long steps are timed."""

    device: torch.device
    side: int = 256
    count: int = 200
    """Phantoms."""
    seconds: float = 1.0
    epochs: int = 10
    warm_up: int = WARM_UP
    clock: Callable[[], float] = time.perf_counter

    @classmethod
    def quick(cls, device: torch.device) -> Bench:
        """Return a bench that shows whether the program runs, and measures nothing worth telling."""
        return cls(device, side=32, count=40, seconds=0.0, epochs=1, warm_up=1)

    @cached_property
    def images(self) -> ImageSet:
        """The phantoms."""
        return prepare(phantoms_from(PhantomParameters(count=self.count, seed=0, image_size=self.side)), self.side)

    @cached_property
    def split(self) -> Split:
        """Which of them are trained on."""
        return split(self.images)

    def names(self, *wanted: str) -> list[str]:
        """Return those of the presets that divide the images."""
        return [name for name in wanted if self.side % preset(name).size_divisor == 0]

    def batch(self, size: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
        """Return training images, normalised, with their masks."""
        normalisation = Normalisation.fit(self.images.images, self.split.train)
        batches = Batches(self.images, self.split.train, normalisation, size, augment=False)
        images, masks = next(batches.epoch(0))
        place = device or self.device
        return to_device(images, place).to(memory_format=torch.channels_last), to_device(masks, place)

    def network(self, name: str, device: torch.device | None = None) -> Network:
        """Return a preset's network with the weights of one seed, in training mode."""
        torch.manual_seed(0)
        return to_channels_last(build(preset(name)), device or self.device).train()

    def loss(self, network: Network, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Return the recipe's loss."""
        return make_loss(Recipe())(network.forward_all(batch[0]), batch[1])

    def steps(self, name: str, batch_size: int, *, mixed_precision: bool = True) -> Iterator[None]:
        """Train a preset as a search does, and yield after each step."""
        recipe = Recipe(batch_size=batch_size, mixed_precision=mixed_precision)
        return training_steps(self.network(name), self.images, self.split, recipe, self.device)

    def step_seconds(self, steps: Iterator[None]) -> float:
        """Return the seconds that a step takes: the mean over ``seconds`` of them, the card waited for at both ends."""
        take = partial(islice, steps)
        list(take(self.warm_up))
        synchronize(self.device)
        start, done = self.clock(), 0
        while not done or self.clock() - start < self.seconds:
            done += len(list(take(4)))
            synchronize(self.device)  # without it a queue of steps would be counted that nobody has computed
        return (self.clock() - start) / done


def preset(name: str) -> Architecture:
    """Return the architecture of a preset."""
    return load_preset(name).architecture.for_task()
