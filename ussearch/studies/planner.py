"""Deciding what a run will do: image size, bases, lengths and trials, by its budget where it has one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from statistics import median

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
from ussearch.search_spaces.free_space import NETWORK_CHOICES
from ussearch.storage_url import require_driver
from ussearch.studies.config import StudyConfig
from ussearch.studies.context import StudyContext, open_context
from ussearch.studies.estimates import VALIDATION_FACTOR, TrainingSpeed, measure_card, measure_speed
from ussearch.studies.initial import earlier_weights, initial_candidates, is_own
from ussearch.studies.kept import Kept
from ussearch.studies.lengths import (
    LEAST_EPOCHS,
    SMALLEST_SIZE,
    Work,
    by_budget,
    by_trials,
    final_epochs,
    given_up,
    predicted,
)
from ussearch.studies.plan import Plan
from ussearch.studies.planning import (
    feasibility,
    require_satisfiable,
)
from ussearch.studies.rounds import Rounds
from ussearch.studies.sizes import with_usual_budget, with_usual_sizes, with_usual_workers
from ussearch.studies.suggest import AnySpace

LOG = logging.getLogger(__name__)


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
    """Decide everything that is not decided by the sizes."""
    execution, image_size = sized.execution, sized.space.image_size or 0
    more = asked.space.base or ()
    candidates = initial_candidates(asked.space.warm_start, kept.architectures, more)
    pretrained = kept.pretrained or _pretrained(asked, candidates)
    profiles = _profiles(asked, kept)
    own = {each.name: each for name, each in candidates.items() if is_own(name)}
    whole = kept.space or SearchSpace.standard(image_size, own)
    space, removals = whole.restricted(profiles["edge"].forbidden_features)
    study_context = open_context(asked, image_size, profiles, progress, pretrained=pretrained)
    recipe = _recipe(asked, sized, kept.recipe or Recipe())
    evaluator = study_context.evaluator(recipe)
    seen = feasibility(space, evaluator, asked.seed)
    with intra_op_threads(execution.worker_threads(threads)):
        speed = _measured(study_context, recipe)
    image_seconds = partial(speed.image_seconds, image_size=image_size)
    work = Work(
        evaluator=evaluator,
        candidates=candidates,
        images=VALIDATION_FACTOR * len(study_context.split.train),
        image_seconds=image_seconds,
        typical=median(map(image_seconds, seen.fitting)),
        child=1.0 if kept.space else Rounds(0, recipe.epochs).child_epochs / recipe.epochs,
        side_by_side=_side_by_side(execution, study_context.device),
    )
    if sized.budget is None:
        lengths = by_trials(asked, sized.search.trials or 0, recipe, work)
    else:
        lengths = by_budget(asked, sized.budget, recipe, work)
        too_short = asked.training.epochs is None and lengths.recipe.epochs < LEAST_EPOCHS
        if too_short and asked.space.image_size is None and image_size > SMALLEST_SIZE:
            smaller = sized.changed(space={"image_size": image_size // 2})
            return _decided(asked, smaller, threads, kept, progress)
    seeds = lengths.seeds
    if isinstance(space, SearchSpace):  # a child starts from a trained base, so that others are no bases here
        space = space.based_on([each.name for each in seeds.seeds])
    study_context = replace(study_context, pretrained=pretrained.among(seeds.seeds))
    require_satisfiable(seen, seeds, evaluator, profiles["edge"])
    config = StudyConfig(
        run=sized.changed(
            search={"trials": lengths.trials},
            space={"warm_start": seeds.names},
            training={"epochs": lengths.recipe.epochs, "final_epochs": final_epochs(asked, sized, lengths.recipe)},
        ),
        edge=profiles["edge"],
        cloud=profiles["cloud"],
        recipe=lengths.recipe,
        data=study_context.source,
        space=dict(space.choices),
        pretrained=study_context.pretrained,
        own_architectures={name: candidates[name] for name in seeds.names if is_own(name)},
        skipped=dict(seeds.skipped),
    )
    search_s, final_s = predicted(config, lengths, work)
    return Plan(
        config=config,
        study_context=study_context,
        space=space,
        removals=removals,
        depths_left_out=tuple(sorted(set(NETWORK_CHOICES["stages"]) - set(_free(space).choices["stages"]))),
        seeds=seeds,
        feasibility=seen,
        baselines=evaluator.baselines(),
        search_seconds=search_s,
        final_seconds=final_s,
        speed=speed,
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


def _measured(study_context: StudyContext, recipe: Recipe) -> TrainingSpeed:
    """Return how fast this process trains what the run will train."""
    images, device = study_context.images, study_context.device
    if is_card(device):
        return measure_card(images, study_context.split, recipe, device)
    return measure_speed(images.image_size, recipe.batch_size)


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
