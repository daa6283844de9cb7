"""How long a search trains, and what: by a number of trials, or within a budget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from ussearch.evaluators import Recipe, TrainEvaluator
from ussearch.run_config import RunConfig
from ussearch.search_spaces import Architecture, SearchSpace
from ussearch.studies.budget import SHARES
from ussearch.studies.config import StudyConfig
from ussearch.studies.planning import (
    Feasibility,
    ImageSeconds,
    PricedBases,
    SeedPlan,
    feasibility,
    named_seeds,
    plan_seeds,
)
from ussearch.studies.sizes import with_usual_sizes
from ussearch.studies.suggest import AnySpace

MOST_TRIALS = 1000
LEAST_EPOCHS = 10
"""A budget that leaves the cheapest bases fewer epochs sees smaller images instead."""
SMALLEST_SIZE = 64
FREE_COURSE = 0.05
"""Of a search with a budget: where a free composition usually takes more, none is tried. It has nothing to start from,
hence trains for a whole course, of which four relatives of a published network and more are made."""
FREE_DRAWS = 8
ROOM = 3
"""A search with a budget has numbers for so many times the children that are predicted: the clock ends it."""


@dataclass(frozen=True)
class Work:
    """What trainings of this run take on this machine.

    Attributes:
        evaluator: trains them.
        candidates: networks that may be bases, by what they were asked for.
        space: what is searched, as far as the device allows.
        images: of an epoch, validation included.
        image_seconds: how long one image of an architecture trains.
        child: length of a child's training in courses of a base.
        side_by_side: how many trials train at a time.
    """

    evaluator: TrainEvaluator
    candidates: Mapping[str, Architecture]
    space: AnySpace
    seed: int
    images: float
    image_seconds: ImageSeconds
    child: float
    side_by_side: int

    @cached_property
    def seen(self) -> Feasibility:
        """What random candidates cost; asked for once, where it is needed."""
        return feasibility(self.space, self.evaluator, self.seed)

    @property
    def typical(self) -> float:
        """Median of how long one image of a random candidate trains."""
        return median(map(self.image_seconds, self.seen.fitting))

    def free_course_s(self, epochs: int) -> float:
        """Return how long a free composition usually trains for a whole course; 0 in a space of nothing else."""
        if not isinstance(self.space, SearchSpace):
            return 0.0
        return epochs * self.images * usual_free(self.space, self.seed, self.image_seconds)


def usual_free(space: SearchSpace, seed: int, image_seconds: ImageSeconds) -> float:
    """Return the median of how long one image of a free composition trains."""
    return median(image_seconds(space.free.sample(seed + number)) for number in range(FREE_DRAWS))


@dataclass(frozen=True)
class Lengths:
    """The bases and lengths of a search; ``expected`` trials are predicted, ``trials`` is where it ends at last.

    ``free`` tells whether free compositions are tried.
    """

    recipe: Recipe
    seeds: SeedPlan
    trials: int
    expected: int
    free: bool = True


def given_up(asked: RunConfig, sized: RunConfig, lengths: Lengths) -> Iterator[str]:
    """Yield what the budget is too short for."""
    usual, image_size = with_usual_sizes(asked), sized.space.image_size or 0
    if image_size < (usual.space.image_size or 0):
        yield (
            f"images of {usual.space.image_size} pixels a side: they would leave the published networks fewer than "
            f"{LEAST_EPOCHS} epochs; --image-size asks for them nevertheless"
        )
    if lengths.recipe.epochs < (usual.training.epochs or 0):
        yield f"{usual.training.epochs} epochs for published networks: it allows {lengths.recipe.epochs}"
    if not lengths.free:
        yield f"free compositions, which start from nothing: one takes more than {FREE_COURSE:.0%} of the search"


def by_trials(asked: RunConfig, trials: int, recipe: Recipe, work: Work) -> Lengths:
    """Return the lengths of a search of so many ``trials``, however long they take."""
    seeds = plan_seeds(
        work.evaluator,
        work.evaluator.images.image_size,
        trials,
        work.image_seconds,
        work.candidates,
        typical=work.child * work.typical,
        named=asked.space.warm_start is not None,
        forced=_forced(asked, work),
    )
    return Lengths(recipe, seeds, trials, trials)


def _forced(asked: RunConfig, work: Work) -> frozenset[str]:
    """Return the names of the networks that were asked for as further bases."""
    return frozenset(work.candidates[name].name for name in asked.space.base or ())


def by_budget(asked: RunConfig, budget_s: float, recipe: Recipe, work: Work) -> Lengths:
    """Return the lengths of a search within its share of ``budget_s``."""
    search_s, image_size = SHARES["search"] * budget_s * work.side_by_side, work.evaluator.images.image_size
    started = [each.name for each in work.candidates.values() if work.evaluator.pretrained.of(each)]
    bases = PricedBases.of(work.evaluator, image_size, work.image_seconds, work.candidates, started)
    if asked.training.epochs is None:
        recipe = recipe.model_copy(update={"epochs": bases.epochs_within(work.images, search_s, recipe.epochs)})
    if asked.space.warm_start is not None:
        most = asked.search.trials or MOST_TRIALS
        seeds = named_seeds(work.evaluator, image_size, most, work.image_seconds, work.candidates)
    else:
        seeds = bases.within(work.images, search_s, recipe.epochs, _forced(asked, work))
    left_s = search_s - work.images * recipe.epochs * seeds.image_seconds
    child_s = work.child * recipe.epochs * work.images * seeds.image_seconds / max(len(seeds.seeds), 1)
    children = max(int(left_s / child_s), 0) if child_s else 0
    trials = asked.search.trials or min(MOST_TRIALS, len(seeds.seeds) + max(ROOM * children, 2))
    free = work.free_course_s(recipe.epochs) <= FREE_COURSE * search_s
    return Lengths(recipe, seeds, trials, min(trials, len(seeds.seeds) + children), free)


def final_epochs(asked: RunConfig, sized: RunConfig, recipe: Recipe) -> int:
    """Return the length of the pair's training, which a budget decides anew once the pair is known."""
    usual = sized.training.final_epochs or recipe.epochs
    return usual if sized.budget is None or asked.training.final_epochs is not None else min(usual, 4 * recipe.epochs)


def predicted(config: StudyConfig, lengths: Lengths, work: Work) -> tuple[float, float]:
    """Return the seconds of the search and of the pair's training."""
    if config.run.budget is not None:
        return SHARES["search"] * config.run.budget, SHARES["full training"] * config.run.budget
    children = lengths.trials - len(lengths.seeds.seeds)
    searched = lengths.seeds.image_seconds + work.child * work.typical * children
    finals = config.final_restarts * 2 * work.typical * config.final_epochs / min(work.side_by_side, 2)
    return work.images * searched * config.recipe.epochs / work.side_by_side, work.images * finals
