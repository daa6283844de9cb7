"""Everything that a run will do, decided before it trains anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import torch
from pydantic import TypeAdapter

from ussearch.errors import UserError
from ussearch.evaluators import End, Recipe, Summary, TrainEvaluator
from ussearch.evaluators.evaluation import TRAINED
from ussearch.hardware_profiles import Profile, load_profile
from ussearch.search_spaces import Architecture, SearchSpace
from ussearch.search_spaces.space import NETWORK_CHOICES, Removal
from ussearch.studies.allotment import (
    MOST_TRIALS,
    BudgetSplit,
    TrialThroughput,
    allotment_within,
    search_trainings,
    usual_allotment,
)
from ussearch.studies.config import EvaluatorName, SamplerSettings, StudyConfig
from ussearch.studies.context import StudyContext, choose_device, open_context
from ussearch.studies.estimates import TrainingSpeed, estimate_training_seconds, measure_speed
from ussearch.studies.halving import Halving
from ussearch.studies.ladder import SAMPLES
from ussearch.studies.planning import Feasibility, SeedPlan, plan_seeds, probe
from ussearch.studies.records import TrialRecord
from ussearch.studies.request import RunRequest, Sizes, check_request, sizes_for, with_usual_workers

SEARCH_SHARE = 0.6
"""Of what compression leaves of a time budget; the rest is for full training."""
COMPRESSION_SHARE = 0.15
"""Of a time budget."""
ROUTER_SHARE = 0.15
"""Of a time budget: for the out-of-fold trainings that a router learns from."""
PHANTOM_COMPRESSION_S = 40.0
"""Without a budget: phantoms are there to try the program in minutes. What does not fit is named with its command."""
PHANTOM_ROUTER_S = 60.0
VALIDATION_FACTOR = 1.1
"""Training takes about a tenth longer for the validation after each epoch."""


@dataclass(frozen=True)
class Plan:
    """A resolved configuration with what led to it."""

    request: RunRequest
    """With the workers decided."""
    config: StudyConfig
    study_context: StudyContext
    space: SearchSpace
    removals: tuple[Removal, ...]
    depths_left_out: tuple[int, ...]
    seeds: SeedPlan
    probe: Feasibility
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

        They know the machine better than a second of timing. Where cheaper rungs may judge the rest, the plan stays.
        """
        trained = [r.evaluation for r in records if r.evaluation.fidelity == TRAINED and not r.failed]
        if self.config.evaluator != "train" or not trained:
            return self
        seconds = fmean(each.training_seconds for each in trained)
        epochs = sum(each.epochs for each in trained) / len(trained)
        side_by_side = self.config.workers
        full = self.config.final_seeds * 2 * self.config.final_epochs * seconds / epochs / min(side_by_side, 2)
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
            "seed_presets": list(config.seeds),
            "skipped_presets": dict(self.seeds.skipped),
            "trials": config.trials,
            "workers": config.workers,
            "epochs": config.recipe.epochs,
            "recipe": config.recipe.model_dump(mode="json"),
            "final_epochs": config.final_epochs,
            "final_seeds": config.final_seeds,
            "halving": _rungs(config),
            "evaluator": config.evaluator,
            "shared_epochs": config.shared_epochs if config.evaluator != "train" else None,
            "limits": {end: self._limits(end, profile) for end, profile in config.profiles.items()},
            "baselines": {name: dict(summary) for name, summary in self.baselines.items()},
            "predicted_seconds": {"search": self.search_seconds, "full_training": self.final_seconds},
        }

    def _limits(self, end: End, profile: Profile) -> dict[str, Any]:
        return {
            "latency_ms": profile.limits.latency_target_ms,
            "memory_mib": profile.limits.memory_mib,
            "share_of_random_architectures_within": self.probe.feasible_share[end],
            "latency_range_ms": list(self.probe.latency_range_ms[end]),
            "latency_source": profile.label,
            "latency_interval_ms": list(self.probe.latency_interval_ms[end]),
            "extrapolated": self.probe.extrapolated_share[end] > 0,
            "share_of_random_architectures_extrapolated": self.probe.extrapolated_share[end],
        }


def _rungs(config: StudyConfig) -> dict[str, Any] | None:
    if config.halving is None:
        return None
    return {"bracket": config.halving.bracket, "epochs": list(config.halving.epochs(config.recipe.epochs))}


def plan(request: RunRequest) -> Plan:
    """Decide everything; prepares (and caches) the data, trains nothing, writes no study."""
    check_request(request)
    on_gpu = choose_device(request.device).type == "cuda"
    request = with_usual_workers(request, torch.get_num_threads(), on_gpu=on_gpu)
    threads = request.threads or torch.get_num_threads()
    torch.set_num_threads(threads)
    folders = () if request.profiles_dir is None else (request.profiles_dir,)
    edge, cloud = (load_profile(name, folders) for name in (request.profile, request.cloud_profile))
    sizes = sizes_for(request)
    space, removals = SearchSpace.standard(sizes.image_size).restricted(edge.forbidden_features)
    study_context = open_context(request, sizes.image_size, {"edge": edge, "cloud": cloud})
    recipe = _recipe(request, sizes)
    evaluator = study_context.evaluator(recipe)
    seen = probe(space, evaluator, request.seed)
    with _threads(request.worker_threads(threads)):
        speed = measure_speed(sizes.image_size, recipe.batch_size, study_context.device)
    epoch_seconds = VALIDATION_FACTOR * speed.seconds_per_unit * len(study_context.split.train)
    halving = _halving(request, recipe)
    search_epochs = recipe.epochs * (1.0 if halving is None else halving.share(recipe.epochs))
    trial_seconds = seen.typical_work * epoch_seconds * search_epochs / request.trials_at_a_time
    pace = TrialThroughput(trial_seconds, recipe.epochs, request.trials_at_a_time)
    allotment = _allotment(request, sizes.trials, pace)
    trials, shared_epochs = allotment.trials, allotment.shared_epochs
    seeds = plan_seeds(evaluator, sizes.image_size, trials, seen.typical_work, request.seed_presets)
    _require_satisfiable(seen, seeds, evaluator, edge)
    side_by_side = min(request.trials_at_a_time, 2)
    final_seconds = 2 * seen.typical_work * epoch_seconds * sizes.final_epochs / side_by_side
    final_seeds = _final_seeds(request, sizes.final_seeds, final_seconds)
    config = StudyConfig(
        trials=trials,
        image_size=sizes.image_size,
        edge=edge,
        cloud=cloud,
        recipe=recipe,
        final_epochs=sizes.final_epochs,
        final_seeds=final_seeds,
        halving=halving,
        data=study_context.source,
        space=dict(space.choices),
        seeds=tuple(architecture.name for architecture in seeds.seeds),
        skipped=dict(seeds.skipped),
        edge_share=request.edge_share,
        sampler=SamplerSettings.model_validate({"name": request.sampler}),
        evaluator=_evaluator(request, trials, len(seeds.seeds)),
        shared_epochs=shared_epochs,
        seed=request.seed,
        workers=request.trials_at_a_time,
    )
    search_work = seeds.work + seen.typical_work * (trials - len(seeds.seeds))
    if config.evaluator != "train":
        trainings = search_trainings(trials, len(seeds.seeds), shared_epochs, pace)
        search_work = seeds.work + seen.typical_work * (trainings - len(seeds.seeds))
    return Plan(
        request=request,
        config=config,
        study_context=study_context,
        space=space,
        removals=removals,
        depths_left_out=tuple(sorted(set(NETWORK_CHOICES["stages"]) - set(space.choices["stages"]))),
        seeds=seeds,
        probe=seen,
        baselines=evaluator.baselines(),
        search_seconds=search_work * epoch_seconds * search_epochs / request.trials_at_a_time,
        final_seconds=final_seeds * final_seconds,
        speed=speed,
    )


def training_seconds(request: RunRequest) -> float | None:
    """Return what compression and router leave of a budget; None without one."""
    if request.budget_seconds is None:
        return None
    return request.budget_seconds * (1 - ROUTER_SHARE - (COMPRESSION_SHARE if request.compress else 0))


def router_seconds(request: RunRequest) -> float | None:
    """Return how long the router's out-of-fold trainings may take; None: as long as they do."""
    if request.budget_seconds is not None:
        return ROUTER_SHARE * request.budget_seconds
    return PHANTOM_ROUTER_S if request.data is None else None


def compression_seconds(request: RunRequest) -> float | None:
    """Return how long compression may take; None: as long as all of its steps do."""
    if request.budget_seconds is not None:
        return COMPRESSION_SHARE * request.budget_seconds
    return PHANTOM_COMPRESSION_S if request.data is None else None


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Use this number of intra-op threads for the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _recipe(request: RunRequest, sizes: Sizes) -> Recipe:
    """Return the usual recipe, or that of the user's file, at the length asked for."""
    if request.recipe is None:
        return Recipe(epochs=sizes.epochs)
    try:
        text = request.recipe.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"Cannot read the recipe {request.recipe}: expected a YAML file; check --recipe.") from error
    recipe = Recipe.from_yaml(text, str(request.recipe))
    keep = request.epochs is None and "epochs" in recipe.model_fields_set
    return recipe if keep else recipe.model_copy(update={"epochs": sizes.epochs})


def _allotment(request: RunRequest, usual: int, pace: TrialThroughput) -> BudgetSplit:
    """Return how many trials to ask for, and how many epochs of shared weights.

    As many as the budget allows where it is given; of trials as many as were asked for where they are.
    """
    budget_s = training_seconds(request)
    if budget_s is None:
        return usual_allotment(usual, pace.epochs)
    if request.evaluator != "train":
        return allotment_within(SEARCH_SHARE * budget_s, pace, request.trials)
    affordable = int(SEARCH_SHARE * budget_s / pace.trial_seconds)
    return usual_allotment(request.trials or max(2, min(affordable, MOST_TRIALS)), pace.epochs)


def _evaluator(request: RunRequest, trials: int, seeds: int) -> EvaluatorName:
    """Return how candidates are judged; raises UserError where there are too few to measure trust on."""
    needed = seeds + SAMPLES + 1
    if request.evaluator == "train" or trials >= needed:
        name: EvaluatorName = TypeAdapter(EvaluatorName).validate_python(request.evaluator)
        return name
    raise UserError(
        f"--evaluator {request.evaluator} trains {SAMPLES} random candidates to measure which cheaper accuracy may be "
        f"trusted, besides {seeds} presets; {trials} trials are too few: ask for --trials {needed} or more, or "
        "--evaluator train."
    )


def _halving(request: RunRequest, recipe: Recipe) -> Halving | None:
    """Return how brackets are halved; raises UserError where the recipe's course cannot be cut into rungs."""
    if not request.halving:
        return None
    if recipe.steps is not None:
        raise UserError(
            f"--halving cuts a course of epochs, the recipe has {recipe.steps} steps: give it epochs instead."
        )
    halving = Halving()
    halving.epochs(recipe.epochs)
    return halving


def _final_seeds(request: RunRequest, usual: int, seconds_per_seed: float) -> int:
    """Return how often the pair is trained: as usual, but within what the search leaves of a budget."""
    budget_s = training_seconds(request)
    if budget_s is None or request.final_seeds is not None:
        return usual
    return max(1, min(usual, int((1 - SEARCH_SHARE) * budget_s / seconds_per_seed)))


def _require_satisfiable(seen: Feasibility, seeds: SeedPlan, evaluator: TrainEvaluator, edge: Profile) -> None:
    """Raise UserError where neither a preset nor any random architecture keeps within the device's limits."""
    if seen.feasible_share["edge"] > 0 or any(evaluator.costs(each)["edge"].feasible for each in seeds.seeds):
        return
    low, high = seen.latency_range_ms["edge"]
    raise UserError(
        f"Nothing fits {edge.name}: its limit is {edge.limits.latency_target_ms:.1f} ms and "
        f"{edge.limits.memory_mib:.0f} MiB, random architectures take {low:.1f} to {high:.1f} ms at "
        f"{evaluator.images.image_size} pixels; choose a smaller --image-size or another profile."
    )
