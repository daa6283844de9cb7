"""Everything that a run will do, decided before it trains anything."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean, median
from typing import Any

import torch

from ussearch.accelerators import cards_of, choose_device, is_card
from ussearch.datasets import FileProgress
from ussearch.errors import UserError
from ussearch.evaluators import Recipe, Summary, Tier, TrainEvaluator
from ussearch.evaluators.evaluation import TRAINED
from ussearch.evaluators.pretrained import choose
from ussearch.hardware_profiles import Profile, load_profile
from ussearch.process_settings import intra_op_threads
from ussearch.run_config import ExecutionOptions, RunConfig
from ussearch.search_spaces import Architecture, FreeSpace, SearchSpace
from ussearch.search_spaces.free_space import NETWORK_CHOICES, Removal
from ussearch.storage_url import require_driver
from ussearch.studies.config import StudyConfig
from ussearch.studies.context import StudyContext, open_context
from ussearch.studies.estimates import (
    VALIDATION_FACTOR,
    TrainingSpeed,
    estimate_training_seconds,
    measure_card,
    measure_speed,
)
from ussearch.studies.initial import YAML, initial_candidates
from ussearch.studies.kept import Kept
from ussearch.studies.planning import Feasibility, SeedPlan, feasibility, plan_seeds
from ussearch.studies.records import TrialRecord
from ussearch.studies.rounds import Rounds
from ussearch.studies.sizes import with_usual_sizes, with_usual_workers
from ussearch.studies.suggest import AnySpace

LOG = logging.getLogger(__name__)

MOST_TRIALS = 1000
SEARCH_SHARE = 0.6
"""Of what compression leaves of a time budget; the rest is for full training."""
COMPRESSION_SHARE = 0.15
"""Of a time budget."""
ROUTER_SHARE = 0.15
"""Of a time budget: for the out-of-fold trainings that a router learns from."""
PHANTOM_COMPRESSION_S = 40.0
"""Without a budget: phantoms are there to try the program in minutes. What does not fit is named with its command."""
PHANTOM_ROUTER_S = 60.0


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
            "trials": config.trials,
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


def plan(
    asked: RunConfig,
    kept: Kept | None = None,
    progress: FileProgress | None = None,
) -> Plan:
    """Decide everything; prepares (and caches) the data, trains nothing, writes no study.

    ``kept`` is what a study that goes on keeps of its own decisions. ``progress`` is called with how many files were
    read, and of how many.
    """
    if asked.execution.storage is not None:
        require_driver(asked.execution.storage)
    cards = cards_of(choose_device(asked.execution.accelerator, elsewhere=asked.execution.ray is not None))
    sized = with_usual_sizes(with_usual_workers(asked, torch.get_num_threads(), len(cards)))
    threads = sized.execution.threads or torch.get_num_threads()
    with intra_op_threads(threads):
        return _decided(asked, sized, threads, kept or Kept(), progress)


def _decided(
    asked: RunConfig,
    sized: RunConfig,
    threads: int,
    kept: Kept,
    progress: FileProgress | None,
) -> Plan:
    """Decide everything that is not decided by the sizes."""
    execution, image_size = sized.execution, sized.space.image_size or 0
    candidates = initial_candidates(asked.space.warm_start, kept.architectures)
    pretrained = kept.pretrained or choose(asked.training.pretrained, tuple(candidates.values()))
    folders = () if asked.profiles_dir is None else (asked.profiles_dir,)
    shipped = [load_profile(name, folders) for name in (asked.profile, asked.cloud_profile)]
    edge, cloud = (kept.profiles.get(profile.name, profile) for profile in shipped)
    for now, before in zip(shipped, (edge, cloud), strict=True):
        if now != before:
            LOG.warning("The study keeps the profile %s that it was made with; this version's differs.", before.name)
    own = {each.name: each for name, each in candidates.items() if name.endswith(YAML)}
    whole = kept.space or SearchSpace.standard(image_size, own)
    space, removals = whole.restricted(edge.forbidden_features)
    profiles: dict[Tier, Profile] = {"edge": edge, "cloud": cloud}
    study_context = open_context(asked, image_size, profiles, progress, pretrained=pretrained)
    recipe = _recipe(asked, sized, kept.recipe or Recipe())
    evaluator = study_context.evaluator(recipe)
    seen = feasibility(space, evaluator, asked.seed)
    side_by_side = _side_by_side(execution, study_context.device)
    with intra_op_threads(execution.worker_threads(threads)):
        speed = _measured(study_context, recipe)
    epoch_images = VALIDATION_FACTOR * len(study_context.split.train)
    image_seconds = partial(speed.image_seconds, image_size=image_size)
    typical = epoch_images * median(map(image_seconds, seen.fitting))
    child = 1.0 if kept.space else Rounds(0, recipe.epochs).child_epochs / recipe.epochs
    trial_seconds = typical * child * recipe.epochs / side_by_side
    trials = _trials(asked, sized.search.trials or 0, trial_seconds)
    seeds = plan_seeds(
        evaluator,
        image_size,
        trials,
        image_seconds,
        candidates,
        typical=child * typical / epoch_images,
        named=asked.space.warm_start is not None,
    )
    if isinstance(space, SearchSpace):  # a child starts from a trained base, so that others are no bases here
        space = space.based_on([each.name for each in seeds.seeds])
    study_context = replace(study_context, pretrained=pretrained.among(seeds.seeds))
    _require_satisfiable(seen, seeds, evaluator, edge)
    final_seconds = 2 * typical * (sized.training.final_epochs or 0) / min(side_by_side, 2)
    final_restarts = _final_restarts(asked, sized.training.final_restarts or 1, final_seconds)
    resolved = sized.changed(
        search={"trials": trials},
        space={"warm_start": seeds.names},
        training={"epochs": recipe.epochs, "final_restarts": final_restarts},
    )
    config = StudyConfig(
        run=resolved,
        edge=edge,
        cloud=cloud,
        recipe=recipe,
        data=study_context.source,
        space=dict(space.choices),
        pretrained=study_context.pretrained,
        own_architectures={name: candidates[name] for name in seeds.names if name.endswith(YAML)},
        skipped=dict(seeds.skipped),
    )
    search_epoch_seconds = epoch_images * seeds.image_seconds + child * typical * (trials - len(seeds.seeds))
    return Plan(
        config=config,
        study_context=study_context,
        space=space,
        removals=removals,
        depths_left_out=tuple(sorted(set(NETWORK_CHOICES["stages"]) - set(_free(space).choices["stages"]))),
        seeds=seeds,
        feasibility=seen,
        baselines=evaluator.baselines(),
        search_seconds=search_epoch_seconds * recipe.epochs / side_by_side,
        final_seconds=final_restarts * final_seconds,
        speed=speed,
    )


def _free(space: AnySpace) -> FreeSpace:
    return space.free if isinstance(space, SearchSpace) else space


def _side_by_side(execution: ExecutionOptions, device: torch.device) -> int:
    """Return how many trials a plan counts on to train at a time: one a card, whatever a second one on it may bring."""
    cards = cards_of(device) if execution.ray is None else ()
    return min(execution.trials_at_a_time, len(cards) or execution.trials_at_a_time)


def _measured(study_context: StudyContext, recipe: Recipe) -> TrainingSpeed:
    """Return how fast this process trains what the run will train."""
    images, device = study_context.images, study_context.device
    if is_card(device):
        return measure_card(images, study_context.split, recipe, device)
    return measure_speed(images.image_size, recipe.batch_size)


def training_seconds(config: RunConfig) -> float | None:
    """Return what compression and router leave of a budget; None without one."""
    if config.budget is None:
        return None
    return config.budget * (1 - ROUTER_SHARE - (COMPRESSION_SHARE if config.compression.enabled else 0))


def router_seconds(config: RunConfig) -> float | None:
    """Return how long the router's out-of-fold trainings may take; None: as long as they do."""
    if config.budget is not None:
        return ROUTER_SHARE * config.budget
    return PHANTOM_ROUTER_S if config.data.path is None else None


def compression_seconds(config: RunConfig) -> float | None:
    """Return how long compression may take; None: as long as all of its steps do."""
    if config.budget is not None:
        return COMPRESSION_SHARE * config.budget
    return PHANTOM_COMPRESSION_S if config.data.path is None else None


def _recipe(asked: RunConfig, sized: RunConfig, usual: Recipe) -> Recipe:
    """Return the usual recipe, or that of the user's file, at the length asked for."""
    path, epochs = asked.training.recipe, sized.training.epochs or 1
    if path is None:
        return usual.model_copy(update={"epochs": epochs})
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"Cannot read the recipe {path}: expected a YAML file; check --recipe.") from error
    recipe = Recipe.from_yaml(text, str(path))
    keep = asked.training.epochs is None and "epochs" in recipe.model_fields_set
    return recipe if keep else recipe.model_copy(update={"epochs": epochs})


def _trials(config: RunConfig, usual: int, trial_seconds: float) -> int:
    """Return how many trials to ask for: those that were asked for, or as many as the budget allows where it is given.

    One of them ends every ``trial_seconds``.
    """
    budget_s = training_seconds(config)
    if budget_s is None:
        return usual
    return config.search.trials or max(2, min(int(SEARCH_SHARE * budget_s / trial_seconds), MOST_TRIALS))


def _final_restarts(config: RunConfig, usual: int, seconds_per_restart: float) -> int:
    """Return how often the pair is trained: as usual, but within what the search leaves of a budget."""
    budget_s = training_seconds(config)
    if budget_s is None or config.training.final_restarts is not None:
        return usual
    return max(1, min(usual, int((1 - SEARCH_SHARE) * budget_s / seconds_per_restart)))


def _require_satisfiable(seen: Feasibility, seeds: SeedPlan, evaluator: TrainEvaluator, edge: Profile) -> None:
    """Raise UserError where neither a preset nor any random architecture keeps within the device's limits."""
    if seen.feasible_share["edge"] > 0 or any(evaluator.costs(each)["edge"].feasible for each in seeds.seeds):
        return
    low, high = seen.latency_range_ms["edge"]
    image_size = evaluator.images.image_size
    raise UserError(
        f"Nothing fits {edge.name}: its limit is {edge.limits_in_words(image_size)}; random architectures take "
        f"{low:.1f} to {high:.1f} ms at {image_size} pixels; choose a smaller --image-size or another profile."
    )
