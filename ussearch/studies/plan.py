"""Everything that a run will do, decided before it trains anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from ussearch.evaluators import Summary, Tier, TrainEvaluator
from ussearch.evaluators.evaluation import TRAINED
from ussearch.hardware_profiles import Profile
from ussearch.search_spaces import Architecture
from ussearch.search_spaces.free_space import Removal
from ussearch.studies.config import StudyConfig
from ussearch.studies.context import StudyContext
from ussearch.studies.estimates import TrainingSpeed, estimate_training_seconds
from ussearch.studies.planning import Feasibility, SeedPlan
from ussearch.studies.records import TrialRecord
from ussearch.studies.suggest import AnySpace


@dataclass(frozen=True)
class Plan:
    """A resolved configuration with what led to it."""

    config: StudyConfig
    study_context: StudyContext
    space: AnySpace
    removals: tuple[Removal, ...]
    depths_left_out: tuple[int, ...]
    seeds: SeedPlan
    feasibility: Feasibility
    baselines: Mapping[str, Summary]
    search_seconds: float
    final_seconds: float
    speed: TrainingSpeed
    expected_trials: int = 0
    """How many there should be when the time of the search is used up."""
    given_up: tuple[str, ...] = ()
    """What the budget is too short for, in sentences."""
    usual_budget: bool = False
    """Whether nobody asked for the budget."""
    finished: int = 0
    """Trials of a continued study; ``search_seconds`` is what is left then."""

    def trial_seconds(self, architecture: Architecture) -> float:
        """Return how long one worker should train an architecture in the search."""
        return estimate_training_seconds(
            architecture,
            image_size=self.config.image_size,
            images=len(self.study_context.split.train),
            epochs=self.config.recipe.epochs,
            speed=self.speed,
        )

    def continued(self, records: Sequence[TrialRecord]) -> Plan:
        """Return the plan with what is left of it, at the pace of the trials that are finished.

        They know the machine better than a second of timing.
        """
        trained = [r.evaluation for r in records if r.evaluation.fidelity == TRAINED and not r.failed]
        if not trained:
            return self
        seconds = fmean(each.training_seconds for each in trained)
        epochs = sum(each.epochs for each in trained) / len(trained)
        side_by_side = self.config.workers
        full = self.config.final_restarts * 2 * self.config.final_epochs * seconds / epochs / min(side_by_side, 2)
        left = max(self.config.trials - len(records), 0) * seconds / side_by_side
        return replace(self, search_seconds=left, final_seconds=full, finished=len(records))

    @property
    def evaluator(self) -> TrainEvaluator:
        """What the search trains with."""
        return self.study_context.evaluator(self.config.recipe)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON-ready data."""
        config = self.config
        return {
            "edge_profile": config.edge.name,
            "cloud_profile": config.cloud.name,
            "data": config.data.model_dump(mode="json", exclude={"phantoms"}),
            "split": {name: len(part) for name, part in self.study_context.split.parts().items()},
            "image_size": config.image_size,
            "space_log10_combinations": self.space.log10_size,
            "removed_choices": [vars(removal) for removal in self.removals],
            "depths_left_out": list(self.depths_left_out),
            "initial_architectures": list(config.initial_architectures),
            "skipped_presets": dict(self.seeds.skipped),
            "pretrained": config.pretrained.model_dump(mode="json"),
            "budget_seconds": config.run.budget,
            "trials": config.trials,
            "expected_trials": self.expected_trials,
            "given_up": list(self.given_up),
            "workers": config.workers,
            "epochs": config.recipe.epochs,
            "recipe": config.recipe.model_dump(mode="json"),
            "final_epochs": config.final_epochs,
            "final_restarts": config.final_restarts,
            "limits": {tier: self._limits(tier, profile) for tier, profile in config.profiles.items()},
            "baselines": {name: dict(summary) for name, summary in self.baselines.items()},
            "predicted_seconds": {"search": self.search_seconds, "full_training": self.final_seconds},
        }

    def _limits(self, tier: Tier, profile: Profile) -> dict[str, Any]:
        return {
            "latency_ms": profile.network_limit_ms(self.config.image_size),
            "postprocessing_ms": profile.postprocessing_ms(self.config.image_size),
            "memory_mib": profile.limits.memory_mib,
            "share_of_random_architectures_within": self.feasibility.feasible_share[tier],
            "latency_range_ms": list(self.feasibility.latency_range_ms[tier]),
            "latency_source": profile.label,
            "latency_interval_ms": list(self.feasibility.latency_interval_ms[tier]),
            "extrapolated": self.feasibility.extrapolated_share[tier] > 0,
            "share_of_random_architectures_extrapolated": self.feasibility.extrapolated_share[tier],
        }
