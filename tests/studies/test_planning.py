"""What starts a search: presets that divide the image, fit a profile and are within the run's means."""

from __future__ import annotations

from functools import partial
from statistics import median

import pytest

from ussearch.errors import UserError
from ussearch.evaluators import CostsByTier
from ussearch.evaluators.costs import trace
from ussearch.hardware_profiles import Profile, load_profile
from ussearch.search_spaces import Architecture, FreeSpace, load_preset, preset_names
from ussearch.studies.estimates import training_work
from ussearch.studies.initial import initial_candidates
from ussearch.studies.planning import LARGEST_SHARE, feasibility, plan_seeds


class Prices:
    """The part of an evaluator that planning needs."""

    def __init__(self, image_size: int, edge: str = "jetson-nano", **limits: float) -> None:
        self.image_size = image_size
        edge_profile = load_profile(edge)
        if limits:
            edge_profile = edge_profile.model_copy(update={"limits": edge_profile.limits.model_copy(update=limits)})
        self.profiles: dict[str, Profile] = {"edge": edge_profile, "cloud": load_profile("x86-server")}

    def costs(self, architecture: Architecture) -> CostsByTier:
        traced = trace(architecture, self.image_size)
        return {tier: traced.costs(profile) for tier, profile in self.profiles.items()}  # type: ignore[misc]


WORK = partial(training_work, image_size=128)
PRESETS = initial_candidates(None)


def typical_work(image_size: int) -> float:
    space = FreeSpace.standard(image_size)
    return median(training_work(space.sample(seed), image_size) for seed in range(8))


@pytest.mark.parametrize("trials", [2, 8, 12, 30])
def test_presets_are_cheapest_first_and_at_most_half(trials: int) -> None:
    made = plan_seeds(Prices(128), 128, trials, WORK, PRESETS, typical=typical_work(128))  # type: ignore[arg-type]
    work = [training_work(seed, 128) for seed in made.seeds]
    assert work == sorted(work)
    assert len(made.seeds) <= trials // 2
    total = sum(work) + typical_work(128) * (trials - len(work))
    assert all(each <= LARGEST_SHARE * total * 1.01 for each in work)
    assert {seed.name for seed in made.seeds} | made.skipped.keys() == set(preset_names())


def test_seeds_are_built_for_the_study() -> None:
    made = plan_seeds(Prices(128), 128, 12, WORK, PRESETS, typical=typical_work(128))  # type: ignore[arg-type]
    assert all((seed.classes, seed.image_channels) == (1, 1) for seed in made.seeds)
    assert len(made.seeds) >= 4


def test_a_size_that_a_preset_does_not_divide_is_a_reason() -> None:
    made = plan_seeds(Prices(160), 160, 20, partial(training_work, image_size=160), PRESETS, typical=typical_work(160))  # type: ignore[arg-type]
    assert "multiple of 128" in made.skipped["lv-unet"]
    assert all(160 % seed.size_divisor == 0 for seed in made.seeds)


def test_expensive_presets_say_how_to_force_them() -> None:
    made = plan_seeds(Prices(128), 128, 40, WORK, PRESETS, typical=typical_work(128) / 20)  # type: ignore[arg-type]
    assert "naming it with --warm-start forces it" in made.skipped["unet"]


def test_named_presets_are_taken_in_their_order_whatever_they_cost() -> None:
    made = plan_seeds(Prices(128), 128, 3, WORK, initial_candidates(("unet", "lv-unet")), typical=1.0, named=True)  # type: ignore[arg-type]
    assert [seed.name for seed in made.seeds] == ["unet", "lv-unet"]
    assert load_preset("unet").architecture.for_task() in made.seeds


def test_more_named_presets_than_trials_is_an_error() -> None:
    with pytest.raises(UserError, match="2 seed presets do not fit into 1 trials"):
        plan_seeds(Prices(128), 128, 1, WORK, initial_candidates(("unext", "lv-unet")), typical=1.0, named=True)  # type: ignore[arg-type]


def test_the_probe_sees_what_limits_leave() -> None:
    space = FreeSpace.standard(128)
    free = feasibility(space, Prices(128, frames_per_second=1.0), 0)  # type: ignore[arg-type]
    none = feasibility(space, Prices(128, frames_per_second=1000.0), 0)  # type: ignore[arg-type]
    assert free.feasible_share["edge"] > 0.8  # the rest mixes kernels for each image, which the Nano refuses
    assert none.feasible_share["edge"] == 0.0
    assert none.feasible_share["cloud"] == free.feasible_share["cloud"] > 0
    assert 0 < free.latency_range_ms["edge"][0] < free.latency_range_ms["edge"][1]
