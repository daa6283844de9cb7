"""The samplers' contract, over the registry; and that the surrogate is worth its name."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from tests.margins import above, reaches
from tests.studies.conftest import SPACE, FormulaEvaluator, outcome, run_search
from ussearch.errors import UserError
from ussearch.run_config import SamplerName
from ussearch.studies import SamplerSettings, hypervolume
from ussearch.studies.samplers import SAMPLERS, Cost, Pricing, SurrogateSampler, make_sampler

CHOICES: dict[str, tuple[Any, ...]] = {
    "family": ("slow", "plain", "good", "best"),
    "width": (8, 16, 24, 32, 48),
    "depth": (1, 2, 3),
    "skip": ("none", "add", "concat"),
    "noise": ("a", "b", "c"),
}
SMALL = {"family": CHOICES["family"], "skip": CHOICES["skip"]}
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name == "gp" else name for name in SAMPLERS]
"""Optuna's Gaussian process takes seconds for a proposal."""

optuna.logging.set_verbosity(optuna.logging.WARNING)


def cost(choices: Mapping[str, Any]) -> float:
    return float(choices.get("width", 8) * choices.get("depth", 1) * (1 + 0.3 * CHOICES["skip"].index(choices["skip"])))


def accuracy(choices: Mapping[str, Any]) -> float:
    family, skip = CHOICES["family"].index(choices["family"]), CHOICES["skip"].index(choices["skip"])
    size = 1 - math.exp(-choices.get("width", 8) * choices.get("depth", 1) / 30)
    bad_pair = 0.2 if choices["family"] == "best" and choices["skip"] == "concat" else 0.0
    return 0.3 * family / 3 + 0.2 * skip / 2 + 0.4 * size - bad_pair


class Prices(Pricing):
    """Exact costs and a limit, as a search would know them."""

    priced: ClassVar[bool] = True

    def __init__(self, limit: float = math.inf) -> None:
        self.limit = limit

    def price(self, choices: Mapping[str, Any]) -> Cost:
        return Cost((cost(choices),), cost(choices) <= self.limit)


def searched(
    sampler: optuna.samplers.BaseSampler,
    trials: int,
    choices: Mapping[str, tuple[Any, ...]] = CHOICES,
    score: Callable[[Mapping[str, Any]], float | None] = accuracy,
) -> optuna.Study:
    """Return a study of so many trials of (accuracy, cost); a score of None fails."""
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    for _ in range(trials):
        trial = study.ask()
        chosen = {name: trial.suggest_categorical(name, values) for name, values in choices.items()}
        value = score(chosen)
        if value is None:
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, [value, cost(chosen)])
    return study


def proposals(study: optuna.Study) -> list[tuple[Any, ...]]:
    return [tuple(trial.params.values()) for trial in study.trials]


def settings_of(name: SamplerName) -> SamplerSettings:
    return SamplerSettings(name=name, population=4, startup=4)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_legal_proposals(name: SamplerName) -> None:
    found = [proposals(searched(make_sampler(settings_of(name), seed), 12)) for seed in (3, 3, 4)]
    assert found[0] == found[1] != found[2]
    legal = set(product(*CHOICES.values()))
    assert set(found[0]) <= legal


@pytest.mark.parametrize("name", NAMES)
def test_a_search_repeats_nothing_keeps_limits_and_comes_out_the_same(name: SamplerName, tmp_path: Path) -> None:
    searches = []
    for number in range(2):
        evaluator = FormulaEvaluator()
        _, records = run_search(tmp_path / str(number), evaluator, trials=9, sampler=settings_of(name))
        assert len(set(evaluator.trained)) == len(evaluator.trained) == 9
        assert all(record.feasible(record.role) for record in records if record.role != "preset")
        for record in records:
            assert record.choices is not None
            assert all(record.choices[choice] in values for choice, values in SPACE.choices.items())
        searches.append(outcome(records))
    assert searches[0] == searches[1]


def test_an_unknown_sampler_is_named() -> None:
    with pytest.raises(UserError, match="Unknown sampler 'nsga'"):
        make_sampler(SamplerSettings.model_construct(name="nsga"), 0)


@pytest.mark.parametrize("pricing", [None, Prices()])
def test_surrogate_asks_for_every_point_once_before_it_repeats(pricing: Pricing | None) -> None:
    size = math.prod(len(values) for values in SMALL.values())
    study = searched(SurrogateSampler(0, pricing, startup=3), size, SMALL)
    assert len(set(proposals(study))) == size
    again = study.ask()  # nothing is left; it must not hang or break
    assert again.suggest_categorical("family", SMALL["family"]) in SMALL["family"]


def test_surrogate_never_proposes_what_exceeds_a_known_limit() -> None:
    """The first trial shows what there is to choose, hence it alone is drawn blindly."""
    limit = float(
        np.quantile([cost(dict(zip(CHOICES, each, strict=True))) for each in product(*CHOICES.values())], 0.2)
    )
    study = searched(SurrogateSampler(1, Prices(limit), startup=4), 14)
    assert all(cost(trial.params) <= limit for trial in study.trials[1:])


class Lengthy(Prices):
    """One family takes nine times as long to be trained as the others."""

    def price(self, choices: Mapping[str, Any]) -> Cost:
        return Cost((cost(choices),), True, features=(9.0 if choices["family"] == "slow" else 1.0,))

    def training(self, features: Any) -> Any:
        return np.asarray(features)[:, 0]


def test_while_nothing_is_learnt_what_takes_long_is_rarely_drawn() -> None:
    """Of four families one would be a quarter of the draws; by lot among eight it is about a twenty-eighth."""
    sampler = SurrogateSampler(0, Lengthy(), startup=40)
    drawn = [dict(trial.params)["family"] for trial in searched(sampler, 40).trials[1:]]
    assert drawn.count("slow") <= 5 and len(set(drawn)) >= 3


@reaches(feasible=above(0.8))
def limits_learnt(seed: int, folder: Path) -> dict[str, float]:
    """The share of proposals behind the first eight that keep a limit of which only trials tell."""
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=SurrogateSampler(seed, startup=8))
    for _ in range(24):
        trial = study.ask()
        chosen = {name: trial.suggest_categorical(name, values) for name, values in CHOICES.items()}
        trial.set_constraint("latency", cost(chosen) - 40.0)
        study.tell(trial, [accuracy(chosen), cost(chosen)])
    feasible = [cost(trial.params) <= 40 for trial in study.trials]
    return {"feasible": float(np.mean(feasible[8:]))}


def test_surrogate_learns_limits_of_which_only_trials_tell(tmp_path: Path) -> None:
    limits_learnt.check(2, tmp_path)


def test_failed_trials_are_not_repeated() -> None:
    def broken(choices: Mapping[str, Any]) -> float | None:
        return None if choices["family"] == "best" else accuracy(choices)

    study = searched(SurrogateSampler(5, Prices(), startup=4), 20, score=broken)
    assert len(set(proposals(study))) == 20
    assert any(trial.state == TrialState.FAIL for trial in study.trials)


@pytest.mark.parametrize("score", [lambda choices: 0.0, lambda choices: float(zlib.crc32(str(choices).encode()) % 2)])
def test_ties_and_noise_do_not_break_the_surrogate(score: Callable[[Mapping[str, Any]], float]) -> None:
    assert len(set(proposals(searched(SurrogateSampler(0, Prices(), startup=3), 12, score=score)))) == 12


@pytest.mark.parametrize("directions", [["minimize"], ["minimize", "maximize"], ["maximize", "minimize", "minimize"]])
def test_surrogate_takes_one_to_three_objectives_in_any_direction(directions: list[str]) -> None:
    study = optuna.create_study(directions=directions, sampler=SurrogateSampler(0, startup=3))
    for _ in range(8):
        trial = study.ask()
        chosen = {name: trial.suggest_categorical(name, values) for name, values in CHOICES.items()}
        study.tell(trial, [accuracy(chosen), -cost(chosen), cost(chosen) ** 0.5][: len(directions)])
    assert len(set(proposals(study))) == 8


def test_more_objectives_than_the_surrogate_can_take_are_refused() -> None:
    study = optuna.create_study(directions=["minimize"] * 4, sampler=SurrogateSampler(0))
    with pytest.raises(ValueError, match="at most 3 objectives"):
        study.ask().suggest_categorical("skip", CHOICES["skip"])


def test_choices_that_are_not_categorical_are_drawn_beside() -> None:
    study = optuna.create_study(directions=["maximize"], sampler=SurrogateSampler(0, startup=2))
    for _ in range(6):
        trial = study.ask()
        study.tell(trial, trial.suggest_float("x", 0, 1) + len(trial.suggest_categorical("family", CHOICES["family"])))
    assert all(0 <= trial.params["x"] <= 1 for trial in study.trials)


@pytest.mark.slow
@pytest.mark.parametrize("pricing", [None, Prices()])
def test_surrogate_beats_random_search(pricing: Pricing | None) -> None:
    """Compared by hypervolume after 24 trials with noise in the score, seed by seed."""
    reference = np.array([0.0, 200.0, 1.0])

    def volume(sampler: optuna.samplers.BaseSampler, seed: int) -> float:
        noise = np.random.default_rng(seed)
        study = searched(sampler, 24, score=lambda choices: accuracy(choices) + 0.02 * noise.standard_normal())
        return hypervolume(np.array([(-accuracy(t.params), cost(t.params), 0.0) for t in study.trials]), reference)

    ours = [volume(SurrogateSampler(seed, pricing), seed) for seed in range(4)]
    others = [volume(make_sampler(SamplerSettings(name="random"), seed), seed) for seed in range(4)]
    everything = [dict(zip(CHOICES, values, strict=True)) for values in product(*CHOICES.values())]
    best = hypervolume(np.array([(-accuracy(each), cost(each), 0.0) for each in everything]), reference)
    assert best - np.mean(ours) < 0.65 * (best - np.mean(others))


def test_where_nothing_has_a_price_none_is_told() -> None:
    with pytest.raises(NotImplementedError):
        Pricing().price({})


def test_surrogate_prices_few_of_the_candidates_it_considers(tmp_path: Path) -> None:
    """What a real latency model takes tens of milliseconds for is done for a shortlist and the probes only."""

    class Counting(FormulaEvaluator):
        priced = 0

        def costs(self, architecture: Any) -> Any:
            self.priced += 1
            return super().costs(architecture)

    evaluator = Counting()
    run_search(tmp_path / "study", evaluator, trials=6, sampler=SamplerSettings(name="surrogate", startup=3))
    assert evaluator.priced < 6 * 60
