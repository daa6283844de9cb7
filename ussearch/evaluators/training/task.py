"""One training, as data: what is trained and how; the only place that makes a network from a seed and trains it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from ussearch.accelerators import to_host, watched
from ussearch.datasets import ImageSet, Normalisation, Split
from ussearch.evaluators.inheritance import Relative
from ussearch.evaluators.pretrained import Pretrained
from ussearch.evaluators.training.engine import train
from ussearch.evaluators.training.losses import TrainingLoss
from ussearch.evaluators.training.recipe import Recipe
from ussearch.evaluators.training.result import OnEpoch, TrainingResult
from ussearch.search_spaces import Architecture, Network, build

MakeLoss = Callable[[Network], TrainingLoss | None]
"""What a network minimises besides, or instead of, the recipe's loss on masks; None leaves it at that."""


@dataclass(frozen=True)
class TrainingTask:
    """A training of a trial, of a network at full length, of a fold or of a step of the chain.

    Attributes:
        architecture: what is trained.
        seed: of the random weights, the batches and the augmentation.
        trial_id: the number by which executors tell tasks apart; in a search that of the trial.
        recipe: how it is trained; None: as whoever carries the task out trains everything.
        initial: the weights that it begins with instead of random ones (a state of the training form). λ of deep
            training is then 1 from the first step: they have been through it.
        relative: the trained network of the study that it starts from instead, as far as both have the same parts.
        checkpoint: file that an unfinished training goes on from, and from the start where it cannot be seen.
        until_epoch: how many epochs of the same course it stops after; None: at its end.
        limit_s: the longest it may take from its start; None: as long as it needs.
        make_loss: makes what the network minimises, with the seed's random numbers; None: the recipe's loss.
        title: what it is for, in words.
    """

    architecture: Architecture
    seed: int
    trial_id: int = 0
    recipe: Recipe | None = None
    initial: Mapping[str, Tensor] | None = field(default=None, repr=False, compare=False)
    relative: Relative | None = None
    checkpoint: Path | None = None
    until_epoch: int | None = None
    limit_s: float | None = None
    make_loss: MakeLoss | None = None
    title: str = ""

    def run(
        self,
        images: ImageSet,
        split: Split,
        recipe: Recipe,
        device: torch.device | str = "cpu",
        on_epoch: OnEpoch | None = None,
        *,
        network: Network | None = None,
        pretrained: Pretrained | None = None,
    ) -> TrainingResult:
        """Carry the task out.

        Args:
            images: the data.
            split: which images are trained on and which choose the best epoch.
            recipe: counts where the task has none of its own.
            device: where it is trained.
            on_epoch: is told what every epoch did.
            network: what is trained in place of a new network, such as one that is prepared for rounding.
            pretrained: what others trained, for a task without weights of its own; it may have nothing for this one.

        Raises:
            TrainingFailed: see ``engine.train``.
            UserError: the checkpoint is damaged or belongs to another training; weights are gone or have changed; a
                card is lost to this process (``SpoiltProcess``).
        """
        recipe = self.recipe or recipe
        own = self.initial is not None or self.relative is not None
        start = None if pretrained is None or own else pretrained.of(self.architecture)
        # NOTE: weights of the whole network have been through deep training, as the task's own have.
        if own or (start is not None and start.part == "network"):
            recipe = recipe.model_copy(update={"schedule_fraction": 0.0})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = network or build(self.architecture)
            training_loss = self.make_loss(network) if self.make_loss else None
        initial, inherited = self.initial, None
        if self.relative is not None:
            with watched(device):
                inherited = self.relative.pass_on(network, images, split, device)
            initial = {name: to_host(tensor) for name, tensor in network.state_dict().items()}
        landing = None
        if start is not None:
            landing = start.landing(network, Normalisation.fit(images.images, split.train))
        with watched(device):
            result = train(
                network,
                images,
                split,
                recipe,
                seed=self.seed,
                device=device,
                initial=initial,
                pretrained=landing,
                training_loss=training_loss,
                checkpoint=self.checkpoint,
                until_epoch=self.until_epoch,
                on_epoch=on_epoch,
            )
        return result if inherited is None else replace(result, inherited=inherited)
