"""Fewer channels, in rounds with training between them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from torch import Tensor

from ussearch.accelerators import state_on_host
from ussearch.compress.candidate import CompressionCandidate
from ussearch.compress.context import Context
from ussearch.compress.retraining import gentle, retrained
from ussearch.compress.steps.base import STEPS, Failure
from ussearch.datasets import Batches
from ussearch.evaluators import costs
from ussearch.evaluators.training.losses import make_loss

LEAST_SHARE = 0.15
MILDER = 0.75
SCORED_BATCHES = 16
"""Batches whose gradients tell which channels matter, where the criterion asks for gradients."""


@STEPS.register("prune")
@dataclass(frozen=True)
class Prune:
    """Remove channels worth a share of the predicted milliseconds in ``rounds``; after each the rest is trained again.

    The control is trained as long and as often, by the same teachers and seed, with all of its channels.
    """

    share_of_latency: float = 0.5
    """Of channels, a half or a quarter would be gone at the bottom of the network, where they cost next to nothing."""
    importance: str = "taylor"
    """Batch norms make magnitudes (l2) arbitrary, gradients see through them: ``benchmarks/importances.py``."""
    rounds: int = 2
    name: ClassVar[str] = "prune"
    retrains: ClassVar[bool] = True

    @property
    def settings(self) -> Mapping[str, Any]:
        """Share, criterion and rounds."""
        return {"share_of_latency": self.share_of_latency, "importance": self.importance, "rounds": self.rounds}

    def skip_reason(self, candidate: CompressionCandidate, context: Context) -> str:
        """Return an empty string: what cannot be pruned says so when it is tried."""
        return ""

    def trainings(self) -> int:
        """Return 2: the rounds share one training's epochs, and the control has as many."""
        return 2

    def apply(self, candidate: CompressionCandidate, context: Context) -> CompressionCandidate:
        """Return the pruned candidate after its last training; raises UserError where so much cannot be removed."""
        if self.rounds > 1:
            self._cut(candidate, context, self.share_of_latency)  # what is out of reach says so before any training
        return self._rounds(candidate, context, self.share_of_latency)

    def control(self, candidate: CompressionCandidate, context: Context) -> CompressionCandidate:
        """Return the candidate after the same trainings with all of its channels."""
        return self._rounds(candidate, context, 0.0)

    def relaxed(self, failure: Failure = "worse") -> Prune | None:
        """Return three quarters of the share, down to LEAST_SHARE: half of it would often pass by what can be had."""
        share = round(MILDER * self.share_of_latency, 2)
        return replace(self, share_of_latency=share) if share >= LEAST_SHARE else None

    def _rounds(self, candidate: CompressionCandidate, context: Context, share: float) -> CompressionCandidate:
        each = 1 - (1 - share) ** (1 / self.rounds)
        for number, epochs in enumerate(_parts(context.epochs, self.rounds), 1):
            if each:
                candidate = self._cut(candidate, context, each)
            what = f"prune {share:.0%}" if share else "prune, control"
            candidate = retrained(candidate, context, epochs, f"{what}, round {number} of {self.rounds}")
        return candidate

    def _cut(self, candidate: CompressionCandidate, context: Context, share: float) -> CompressionCandidate:
        from ussearch.compress.pruning import prune

        pruned = prune(
            candidate.network(),
            context.images.image_size,
            ratio=share,
            importance=self.importance,
            round_to=context.profile.export.channel_multiple,
            batches=_batches(context),
            loss=make_loss(context.recipe),
            seed=context.seed,
            cost=lambda architecture: costs(architecture, context.images.image_size, context.profile).latency_ms,
        )
        weights = state_on_host(pruned.network.state_dict())
        return replace(candidate, architecture=pruned.architecture, weights=weights)


def _parts(epochs: int, rounds: int) -> list[int]:
    """Return the epochs of every round: half of all for the last, the rest in equal parts, at least one each."""
    if rounds == 1:
        return [epochs]
    early = max(1, math.floor(epochs / 2 / (rounds - 1)))
    return [*[early] * (rounds - 1), max(1, epochs - early * (rounds - 1))]


def _batches(context: Context) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield some training batches, the same ones every time, without augmentation."""
    batches = Batches(
        context.images,
        context.split.train,
        context.normalisation,
        gentle(context.recipe, 1).batch_size,
        seed=context.seed,
        augment=False,
    )
    for number, batch in enumerate(batches.epoch(0)):
        if number == SCORED_BATCHES:
            return
        yield batch
