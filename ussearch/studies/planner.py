"""Deciding what a run will do: image size, bases, lengths and trials, by its budget where it has one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch

from ussearch.accelerators import cards_of, choose_device, is_card
from ussearch.datasets import FileProgress
from ussearch.errors import UserError
from ussearch.evaluators import Recipe, Tier
from ussearch.evaluators.pretrained import Pretrained, choose, with_earlier
from ussearch.hardware_profiles import Profile, load_profile
from ussearch.process_settings import intra_op_threads
from ussearch.run_config import ExecutionOptions, RunConfig
from ussearch.search_spaces import Architecture, FreeSpace, SearchSpace
from ussearch.search_spaces.free_space import NETWORK_CHOICES, Removal
from ussearch.storage_url import require_driver
from ussearch.studies.config import StudyConfig
from ussearch.studies.context import StudyContext, open_context
from ussearch.studies.estimates import VALIDATION_FACTOR, TrainingSpeed, measure_card, measure_speed
from ussearch.studies.initial import earlier_weights, initial_candidates, is_own
from ussearch.studies.kept import Kept
from ussearch.studies.lengths import (
    LEAST_EPOCHS,
    SMALLEST_SIZE,
    Lengths,
    Work,
    by_budget,
    by_trials,
    final_epochs,
    given_up,
    predicted,
)
from ussearch.studies.plan import Plan
from ussearch.studies.planning import (
    require_satisfiable,
)
from ussearch.studies.rounds import Rounds
from ussearch.studies.sizes import with_usual_budget, with_usual_sizes, with_usual_workers
from ussearch.studies.suggest import AnySpace

LOG = logging.getLogger(__name__)
MEASURED_S = 1.0
"""How long a processor is timed, and warmed up before; a fourth of it where no budget has to be kept."""


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
    sized = with_usual_budget(with_usual_workers(asked, torch.get_num_threads(), len(cards)), on_cards=bool(cards))
    sized = with_usual_sizes(sized)
    threads = sized.execution.threads or torch.get_num_threads()
    with intra_op_threads(threads):
        return _decided(asked, sized, threads, kept or Kept(), progress)


def _decided(asked: RunConfig, sized: RunConfig, threads: int, kept: Kept, progress: FileProgress | None) -> Plan:
    """Decide everything that is not decided by the sizes; images become smaller where the budget asks for it."""
    prepared = _Prepared.of(asked, sized, threads, kept, progress)
    recipe, work = prepared.recipe, prepared.work
    if sized.budget is None:
        return _made(asked, sized, prepared, by_trials(asked, sized.search.trials or 0, recipe, work))
    lengths, image_size = by_budget(asked, sized.budget, recipe, work), sized.space.image_size or 0
    free = asked.training.epochs is None and asked.space.image_size is None
    if free and lengths.recipe.epochs < LEAST_EPOCHS and image_size > SMALLEST_SIZE:
        return _decided(asked, sized.changed(space={"image_size": image_size // 2}), threads, kept, progress)
    return _made(asked, sized, prepared, lengths)


@dataclass(frozen=True)
class _Prepared:
    """What is known at an image size before lengths are decided."""

    study_context: StudyContext
    recipe: Recipe
    speed: TrainingSpeed
    work: Work
    removals: tuple[Removal, ...]

    @classmethod
    def of(
        cls, asked: RunConfig, sized: RunConfig, threads: int, kept: Kept, progress: FileProgress | None
    ) -> _Prepared:
        """Prepare the data, choose the weights that others trained, and measure this machine."""
        execution, image_size = sized.execution, sized.space.image_size or 0
        candidates = initial_candidates(asked.space.warm_start, kept.architectures, asked.space.base or ())
        pretrained = kept.pretrained or _pretrained(asked, candidates)
        profiles = _profiles(asked, kept)
        own = {each.name: each for name, each in candidates.items() if is_own(name)}
        space, removals = (kept.space or SearchSpace.standard(image_size, own)).restricted(
            profiles["edge"].forbidden_features
        )
        study_context = open_context(asked, image_size, profiles, progress, pretrained=pretrained)
        recipe = _recipe(asked, sized, kept.recipe or Recipe())
        with intra_op_threads(execution.worker_threads(threads)):
            speed = _measured(study_context, recipe, MEASURED_S if sized.budget is not None else MEASURED_S / 4)
        work = Work(
            evaluator=study_context.evaluator(recipe),
            candidates=candidates,
            space=space,
            seed=asked.seed,
            images=VALIDATION_FACTOR * len(study_context.split.train),
            image_seconds=partial(speed.image_seconds, image_size=image_size),
            child=1.0 if kept.space else Rounds(0, recipe.epochs).child_epochs / recipe.epochs,
            side_by_side=_side_by_side(execution, study_context.device),
        )
        return cls(study_context, recipe, speed, work, removals)


def _made(asked: RunConfig, sized: RunConfig, prepared: _Prepared, lengths: Lengths) -> Plan:
    """Return the plan with these lengths; raises UserError where nothing fits the device."""
    work, seeds, context = prepared.work, lengths.seeds, prepared.study_context
    require_satisfiable(work.space, work.seen, seeds, work.evaluator, context.profiles["edge"])
    space = work.space
    if isinstance(space, SearchSpace):  # a child starts from a trained base, so that others are no bases here
        space = space.based_on([each.name for each in seeds.seeds], free=lengths.free)
    context = replace(context, pretrained=context.pretrained.among(seeds.seeds))
    config = StudyConfig(
        run=sized.changed(
            search={"trials": lengths.trials},
            space={"warm_start": seeds.names},
            training={"epochs": lengths.recipe.epochs, "final_epochs": final_epochs(asked, sized, lengths.recipe)},
        ),
        edge=context.profiles["edge"],
        cloud=context.profiles["cloud"],
        recipe=lengths.recipe,
        data=context.source,
        space=dict(space.choices),
        pretrained=context.pretrained,
        own_architectures={name: work.candidates[name] for name in seeds.names if is_own(name)},
        skipped=dict(seeds.skipped),
    )
    search_s, final_s = predicted(config, lengths, work)
    return Plan(
        config=config,
        study_context=context,
        space=space,
        removals=prepared.removals,
        depths_left_out=tuple(sorted(set(NETWORK_CHOICES["stages"]) - set(_free(space).choices["stages"]))),
        seeds=seeds,
        feasibility=work.seen,
        baselines=work.evaluator.baselines(),
        search_seconds=search_s,
        final_seconds=final_s,
        speed=prepared.speed,
        expected_trials=lengths.expected,
        given_up=tuple(given_up(asked, sized, lengths)),
        usual_budget=asked.budget is None and sized.budget is not None,
    )


def _pretrained(asked: RunConfig, candidates: Mapping[str, Architecture]) -> Pretrained:
    """Return what each candidate starts from: what others trained, or the earlier study that it is from."""
    files = {file: candidates[name] for name, file in earlier_weights(asked.space.base or ()).items()}
    presets = tuple(each for name, each in candidates.items() if name not in (asked.space.base or ()))
    return with_earlier(choose(asked.training.pretrained, presets), files)


def _profiles(asked: RunConfig, kept: Kept) -> dict[Tier, Profile]:
    """Return both ends' profiles, those that a study was made with before those of this version."""
    folders = () if asked.profiles_dir is None else (asked.profiles_dir,)
    shipped = [load_profile(name, folders) for name in (asked.profile, asked.cloud_profile)]
    if asked.max_latency_ms is not None:
        shipped[0] = shipped[0].limited_to(asked.max_latency_ms)
    edge, cloud = (kept.profiles.get(profile.name, profile) for profile in shipped)
    for now, before in zip(shipped, (edge, cloud), strict=True):
        if now != before:
            LOG.warning("The study keeps the profile %s that it was made with; this version's differs.", before.name)
    return {"edge": edge, "cloud": cloud}


def _free(space: AnySpace) -> FreeSpace:
    return space.free if isinstance(space, SearchSpace) else space


def _side_by_side(execution: ExecutionOptions, device: torch.device) -> int:
    """Return how many trials a plan counts on to train at a time: one a card, whatever a second one on it may bring."""
    cards = cards_of(device) if execution.ray is None else ()
    return min(execution.trials_at_a_time, len(cards) or execution.trials_at_a_time)


def _measured(study_context: StudyContext, recipe: Recipe, seconds: float) -> TrainingSpeed:
    """Return how fast this process trains what the run will train; a processor is timed for about ``seconds``."""
    images, device = study_context.images, study_context.device
    if is_card(device):
        return measure_card(images, study_context.split, recipe, device)
    return measure_speed(images.image_size, recipe.batch_size, seconds)


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
