"""The ladder of fidelities: how accuracy is come by, from a slice of shared weights to a full training.

Every rung is an ``Evaluator`` of its own fidelity. Which of them may select is measured (``trust``); figures of two
rungs are never compared.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from ussearch.accelerators import device_name, state_on_host
from ussearch.datasets import ImageSet, Normalisation, Split
from ussearch.evaluators.evaluation import TRAINED, CostsByTier, Evaluation, Tier
from ussearch.evaluators.evaluator import TrainEvaluator
from ussearch.evaluators.metrics.scores import Summary
from ussearch.evaluators.outlook import Outlook
from ussearch.evaluators.shared.drawing import drawing_of
from ussearch.evaluators.shared.drawn import drawn_network
from ussearch.evaluators.shared.store import UnknownWeights, WeightStore
from ussearch.evaluators.training.recipe import Recipe
from ussearch.evaluators.training.result import OnEpoch
from ussearch.evaluators.training.task import TrainingTask
from ussearch.search_spaces import Architecture, Network


@dataclass(frozen=True)
class Rung:
    """A start (``drawn`` from the shared weights, or random) and a number of steps of own training.

    ``steps`` of None is the whole recipe.
    """

    drawn: bool
    steps: int | None

    @property
    def fidelity(self) -> str:
        """The name under which figures of this rung are kept."""
        if self.steps is None:
            return f"drawn, {TRAINED}" if self.drawn else TRAINED
        if not self.drawn:
            return f"{self.steps} steps"
        return f"drawn + {self.steps} steps" if self.steps else "drawn"

    @classmethod
    def named(cls, fidelity: str) -> Rung:
        """Return the rung of a fidelity; raises ValueError for the fidelity of none."""
        drawn = fidelity.startswith("drawn")
        rest = fidelity.removeprefix("drawn").removeprefix(" + ").removesuffix(" steps")
        rung = cls(drawn, int(rest) if rest.isdigit() else 0 if fidelity == "drawn" else None)
        if rung.fidelity != fidelity:
            raise ValueError(f"{fidelity!r} is the fidelity of no rung")
        return rung


FULL = Rung(drawn=False, steps=None)


def usual_ladder(full_steps: int, *, drawn: bool) -> tuple[Rung, ...]:
    """Return rungs below a full training of so many steps, cheapest first; with shared weights if ``drawn``."""
    lengths = sorted({max(1, full_steps // part) for part in (40, 20, 8)})
    rungs = [Rung(drawn=False, steps=length) for length in lengths]
    if drawn:
        rungs += [Rung(drawn=True, steps=length) for length in (0, *lengths)]
    return tuple(sorted(rungs, key=lambda rung: (rung.steps or 0, not rung.drawn)))


@dataclass(frozen=True)
class RungEvaluator:
    """Judges candidates on one rung; everything else is that of ``trainer``."""

    trainer: TrainEvaluator
    rung: Rung
    store: WeightStore | None = None
    outlook: Outlook | None = None
    """What turns the rung's own objective into the one that full training is foretold to reach."""

    def __post_init__(self) -> None:
        if self.rung.drawn and self.store is None:
            raise ValueError(f"the rung {self.rung.fidelity!r} needs shared weights")

    @property
    def fidelity(self) -> str:
        """The rung's."""
        return self.rung.fidelity

    def refused(self, architecture: Architecture, tier: Tier) -> bool:
        """Return whether an end cannot run the architecture, or the shared weights do not hold it."""
        return self.trainer.refused(architecture, tier) or not self._known(architecture)

    def costs(self, architecture: Architecture) -> CostsByTier:
        """Return the costs of the deploy form under both profiles."""
        return self.trainer.costs(architecture)

    def baselines(self) -> dict[str, Summary]:
        """Return the trivial baselines' figures on the validation part."""
        return self.trainer.baselines()

    def evaluate(self, task: TrainingTask, on_epoch: OnEpoch | None = None) -> Evaluation:
        """Return what a candidate is worth on this rung; weights that the store lacks become a failure.

        With an outlook the metric ``objective`` is what is foretold, ``rung_objective`` what was reached.
        """
        return self._foretold(self._judged(task, on_epoch))

    def _foretold(self, found: Evaluation) -> Evaluation:
        if self.outlook is None or found.objective is None:
            return found
        costs = found.costs["edge"]
        foretold = self.outlook.foretold(found.objective, costs.macs, costs.parameters)
        metrics = {**found.metrics, "objective": foretold, "rung_objective": found.objective}
        return found.model_copy(update={"metrics": metrics})

    def _judged(self, task: TrainingTask, on_epoch: OnEpoch | None) -> Evaluation:
        task = replace(task, recipe=self._shortened(task.recipe or self.trainer.recipe))
        if self.rung.drawn:
            try:
                if self.rung.steps == 0:
                    return self._drawn(task)
                images, split = self.trainer.images, self.trainer.split
                task = replace(task, initial=drawn_weights(self.store, task.architecture, images, split))
            except UnknownWeights as error:
                return Evaluation(**self._common(task), epochs=0, failure=str(error))
        return self._renamed(self.trainer.evaluate(task, on_epoch))

    def _known(self, architecture: Architecture) -> bool:
        if not self.rung.drawn or self.store is None:
            return True
        try:
            return self.store.covers(drawing_of(architecture))
        except ValueError:  # a preset with an operator that has no role in the sampled space
            return False

    def _shortened(self, recipe: Recipe) -> Recipe:
        """Return the recipe with the rung's number of steps."""
        changes: dict[str, Any] = {} if self.rung.steps is None else {"steps": self.rung.steps, "patience": None}
        return recipe.model_copy(update=changes)

    def _renamed(self, found: Evaluation) -> Evaluation:
        """Return an evaluation under the rung's fidelity; one that was stopped early keeps what it says."""
        return found.model_copy(update={"fidelity": self.fidelity}) if found.fidelity == TRAINED else found

    def _network(self, architecture: Architecture) -> tuple[Network, Normalisation]:
        assert self.store is not None  # by __post_init__
        images, split = self.trainer.images, self.trainer.split
        normalisation = Normalisation.fit(images.images, split.train)
        return drawn_network(self.store, architecture, images, split, normalisation), normalisation

    def _drawn(self, task: TrainingTask) -> Evaluation:
        start = time.perf_counter()
        network, normalisation = self._network(task.architecture)
        metrics = self.trainer.scored(network, normalisation)
        return Evaluation(
            **self._common(task),
            epochs=0,
            metrics=metrics,
            training_seconds=time.perf_counter() - start,
            normalisation=normalisation.to_record(),
            weights=state_on_host(network.state_dict()),
        )

    def _common(self, task: TrainingTask) -> dict[str, Any]:
        return {
            "architecture_id": task.architecture.id,
            "seed": task.seed,
            "fidelity": self.fidelity,
            "image_size": self.trainer.images.image_size,
            "accelerator": device_name(self.trainer.device),
            "costs": self.costs(task.architecture),
        }


def drawn_weights(
    store: WeightStore | None, architecture: Architecture, images: ImageSet, split: Split
) -> Mapping[str, Tensor]:
    """Return the state that an architecture draws, statistics included; raises UnknownWeights."""
    if store is None:
        raise UnknownWeights("there are no shared weights")
    normalisation = Normalisation.fit(images.images, split.train)
    return drawn_network(store, architecture, images, split, normalisation).state_dict()
