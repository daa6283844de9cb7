"""Fewer channels, in rounds with training between them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from torch import Tensor

from ussearch.compress.candidate import Candidate
from ussearch.compress.context import Context
from ussearch.compress.retraining import gentle, retrained
from ussearch.compress.steps.base import STEPS
from ussearch.datasets import Batches
from ussearch.errors import UserError
from ussearch.evaluators.losses import make_loss

LEAST_RATIO = 0.1
SCORED_BATCHES = 16
"""Batches whose gradients tell which channels matter, where the criterion asks for gradients."""


@STEPS.register("prune")
@dataclass(frozen=True)
class Prune:
    """Remove about ``ratio`` of the prunable channels in ``rounds``; after each the rest is trained again.

    The control is trained as long and as often, by the same teachers and seed, with all of its channels.
    """

    ratio: float = 0.5
    importance: str = "taylor"
    """Batch norms make magnitudes (l2) arbitrary, gradients see through them: ``benchmarks/importances.py``."""
    rounds: int = 2
    name: ClassVar[str] = "prune"
    retrains: ClassVar[bool] = True

    @property
    def settings(self) -> Mapping[str, Any]:
        """Ratio, criterion and rounds."""
        return {"ratio": self.ratio, "importance": self.importance, "rounds": self.rounds}

    def off(self, candidate: Candidate, context: Context) -> str:
        """Return an empty string: what cannot be pruned says so when it is tried."""
        return ""

    def trainings(self) -> int:
        """Return 2: the rounds share one training's epochs, and the control has as many."""
        return 2

    def apply(self, candidate: Candidate, context: Context) -> Candidate:
        """Return the pruned candidate after its last training; unchanged where nothing can be removed."""
        return self._rounds(candidate, context, self.ratio)

    def control(self, candidate: Candidate, context: Context) -> Candidate:
        """Return the candidate after the same trainings with all of its channels."""
        return self._rounds(candidate, context, 0.0)

    def milder(self, *, slower: bool = False) -> Prune | None:
        """Return half the ratio, down to a tenth."""
        return replace(self, ratio=self.ratio / 2) if self.ratio / 2 >= LEAST_RATIO else None

    def _rounds(self, candidate: Candidate, context: Context, ratio: float) -> Candidate:
        each = 1 - (1 - ratio) ** (1 / self.rounds)
        for number, epochs in enumerate(_parts(context.epochs, self.rounds), 1):
            if each:
                candidate = self._cut(candidate, context, each)
            what = f"prune {ratio:.0%}" if ratio else "prune, control"
            candidate = retrained(candidate, context, epochs, f"{what}, round {number} of {self.rounds}")
        return candidate

    def _cut(self, candidate: Candidate, context: Context, ratio: float) -> Candidate:
        from ussearch.compress.pruning import prune

        try:
            pruned = prune(
                candidate.network(),
                context.images.image_size,
                ratio=ratio,
                importance=self.importance,
                round_to=context.profile.export.channel_multiple,
                batches=_batches(context),
                loss=make_loss(context.recipe),
                seed=context.seed,
            )
        except UserError:  # so much cannot be removed; a milder attempt may
            return candidate
        weights = {name: value.detach().cpu() for name, value in pruned.network.state_dict().items()}
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
