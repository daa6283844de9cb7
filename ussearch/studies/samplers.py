"""Optuna's samplers by the names that users write."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, NSGAIIISampler, NSGAIISampler, RandomSampler, TPESampler

from ussearch.registry import Registry
from ussearch.run_config import SamplerSettings
from ussearch.studies.surrogate import Pricing, SurrogateSampler

MakeSampler = Callable[[SamplerSettings, int, Pricing | None], BaseSampler]
"""(settings, seed, pricing) -> sampler; the pricing tells what candidates cost before training, to whom it helps."""

SAMPLERS: Registry[MakeSampler] = Registry("sampler")


@SAMPLERS.register("nsgaii")
def _nsgaii(settings: SamplerSettings, seed: int, pricing: Pricing | None) -> BaseSampler:
    return NSGAIISampler(population_size=settings.population, seed=seed)


@SAMPLERS.register("nsgaiii")
def _nsgaiii(settings: SamplerSettings, seed: int, pricing: Pricing | None) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return NSGAIIISampler(population_size=settings.population, seed=seed)


@SAMPLERS.register("tpe")
def _tpe(settings: SamplerSettings, seed: int, pricing: Pricing | None) -> BaseSampler:
    return TPESampler(n_startup_trials=settings.population, multivariate=False, seed=seed)


@SAMPLERS.register("random")
def _random(settings: SamplerSettings, seed: int, pricing: Pricing | None) -> BaseSampler:
    return RandomSampler(seed=seed)


@SAMPLERS.register("surrogate")
def _surrogate(settings: SamplerSettings, seed: int, pricing: Pricing | None) -> BaseSampler:
    return SurrogateSampler(seed, pricing, startup=settings.startup)


def make_sampler(settings: SamplerSettings, seed: int, pricing: Pricing | None = None) -> BaseSampler:
    """Return the sampler of ``settings``; raises UserError for an unknown name."""
    return SAMPLERS[settings.name](settings, seed, pricing)
