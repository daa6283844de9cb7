"""Bases that are scaled down to a limit, against trying every scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import pytest

from tests.studies.conftest import EDGE, made_costs
from ussearch.evaluators import CostsByTier, Tier
from ussearch.search_spaces import Architecture, SearchSpace, count
from ussearch.studies.samplers import ArchitecturePricing
from ussearch.studies.samplers.within_limits import scales_within

WHOLE = SearchSpace.standard(128)
FEWER = {"width_multiplier": (1.0, 0.25, 0.5, 0.75), "input_scale": (1.0, 0.5, 0.75)}
SPACE = replace(WHOLE, choices={**WHOLE.choices, **FEWER})


@lru_cache
def macs_of(architecture: Architecture) -> int:
    return count(architecture, 128).macs


def macs(choices: Mapping[str, Any]) -> int:
    return macs_of(SPACE.compose(choices))


@pytest.mark.parametrize(
    ("base", "limit"),
    [
        ("cea-net-standin", 10e6),
        pytest.param("mobilenetv2-unet", 25e6, marks=pytest.mark.slow),
        pytest.param("lv-unet", 12e6, marks=pytest.mark.slow),
    ],
)
def test_of_each_image_scale_the_widest_that_fits(base: str, limit: float) -> None:
    found = scales_within(SPACE, base, lambda choices: macs(choices) <= limit)
    widest: dict[str, tuple[float, dict[str, float]]] = {}
    shrunk = [[value for value in SPACE.choices[name] if value <= 1] for name in ("input_scale", "width_multiplier")]
    for image, width in product(*(sorted(values, reverse=True) for values in shrunk)):
        scale = {"width_multiplier": width, "input_scale": image}
        seen = SPACE.compose(SPACE.unedited(base) | {"input_scale": image})
        if macs(SPACE.unedited(base) | scale) <= limit and width > widest.get(seen.id, (0.0, {}))[0]:
            widest[seen.id] = width, scale
    assert list(found) == [scale for _, scale in widest.values()] != []


def test_what_fits_stays_and_what_never_fits_has_no_scale() -> None:
    assert scales_within(SPACE, "unext", lambda choices: True) == ({},)
    assert scales_within(SPACE, "unext", lambda choices: False) == ()


class ByArithmetic:
    """A device of which only the arithmetic counts, in MMACs as ms."""

    def __init__(self, limit_ms: float) -> None:
        self._limit_ms = limit_ms

    def refused(self, architecture: Architecture, tier: Tier) -> tuple[str, ...]:
        return ()

    def costs(self, architecture: Architecture) -> CostsByTier:
        latency_ms = macs_of(architecture) / 1e6
        made = made_costs(EDGE, latency_ms, 1.0)
        return {"edge": made.model_copy(update={"excess": {"latency_ms": latency_ms - self._limit_ms}})}


def test_draws_keep_within_tight_limits_that_next_to_no_edit_reaches() -> None:
    """A quarter of the lightest base: draws as the space makes them hardly ever are."""
    space = SPACE.based_on(("cea-net-standin", "mobilenetv2-unet"))
    limit = min(macs(space.unedited(base)) for base in space.bases) / 4
    pricing = ArchitecturePricing(space, ByArithmetic(limit / 1e6), "edge")
    generators = [np.random.default_rng(0) for _ in range(2)]
    drawn = [pricing.draw(space.choices, generators[0]) for _ in range(14)]
    plain = [space.draw(generators[1]) for _ in range(14)]
    scaled, others = (
        sum(macs(choices) <= limit for choices in each if choices["base"] != "free") for each in (drawn, plain)
    )
    assert scaled >= 4 and scaled > 4 * others
