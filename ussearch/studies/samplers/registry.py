"""Samplers by the names that users write."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIIISampler, NSGAIISampler, RandomSampler, TPESampler

from ussearch.registry import Registry
from ussearch.run_config import SamplerSettings
from ussearch.studies.samplers.pricing import Pricing
from ussearch.studies.samplers.surrogate import SurrogateSampler
from ussearch.studies.samplers.whole_draws import WholeDraws

MakeSampler = Callable[[SamplerSettings, int, Pricing], BaseSampler]
"""(settings, seed, pricing) -> sampler; the pricing tells what is known of candidates, to whom it helps."""

SAMPLERS: Registry[MakeSampler] = Registry("sampler")
FIRST_GENERATION = {f"{sampler.__name__}:generation": 0 for sampler in (NSGAIISampler, NSGAIIISampler)}
"""What evolution is to find with a trial that no sampler proposed, such as a preset, so that it may have children."""


@SAMPLERS.register("surrogate")
def _surrogate(settings: SamplerSettings, seed: int, pricing: Pricing) -> BaseSampler:
    return SurrogateSampler(seed, pricing, startup=settings.startup)


@SAMPLERS.register("tpe")
def _tpe(settings: SamplerSettings, seed: int, pricing: Pricing) -> BaseSampler:
    sampler = TPESampler(n_startup_trials=settings.population, multivariate=False, seed=seed)
    return _with_draws(sampler, seed, pricing, startup=settings.population)


@SAMPLERS.register("gp")
def _gp(settings: SamplerSettings, seed: int, pricing: Pricing) -> BaseSampler:
    sampler = GPSampler(n_startup_trials=settings.startup, seed=seed, warn_independent_sampling=False)
    return _with_draws(sampler, seed, pricing)


@SAMPLERS.register("nsgaii")
def _nsgaii(settings: SamplerSettings, seed: int, pricing: Pricing) -> BaseSampler:
    return _with_draws(NSGAIISampler(population_size=settings.population, seed=seed), seed, pricing)


@SAMPLERS.register("nsgaiii")
def _nsgaiii(settings: SamplerSettings, seed: int, pricing: Pricing) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return _with_draws(NSGAIIISampler(population_size=settings.population, seed=seed), seed, pricing)


@SAMPLERS.register("random")
def _random(settings: SamplerSettings, seed: int, pricing: Pricing) -> BaseSampler:
    return _with_draws(RandomSampler(seed=seed), seed, pricing)


def make_sampler(settings: SamplerSettings, seed: int, pricing: Pricing | None = None) -> BaseSampler:
    """Return the sampler of ``settings``; raises UserError for an unknown name."""
    return SAMPLERS[settings.name](settings, seed, pricing or Pricing())


def _with_draws(sampler: BaseSampler, seed: int, pricing: Pricing, *, startup: int | None = None) -> BaseSampler:
    """Return ``sampler`` with draws of the problem, where it has any of its own; see ``WholeDraws``."""
    space = pricing.choices
    return sampler if space is None else WholeDraws(sampler, pricing, space, seed, startup=startup)
