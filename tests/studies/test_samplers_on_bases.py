"""The samplers' contract on bases and edits, and what the surrogate's proposals are worth there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FrozenTrial, TrialState, create_trial
from scipy.stats import norm

from tests.studies.conftest import EDGE, FormulaEvaluator
from ussearch.evaluators import TrainingTask, costs
from ussearch.run_config import SamplerName
from ussearch.search_spaces import SearchSpace, count
from ussearch.search_spaces.edits.choices import changed
from ussearch.studies import SamplerSettings, TrialRecord
from ussearch.studies.front import in_steps
from ussearch.studies.rounds import CHILD_SHARE
from ussearch.studies.samplers import (
    FIRST_GENERATION,
    SAMPLERS,
    ArchitecturePricing,
    Cost,
    Description,
    Pricing,
    SurrogateSampler,
    make_sampler,
)
from ussearch.studies.samplers.acquisition import gain_per_training
from ussearch.studies.samplers.architecture_pricing import MACS_BESIDE
from ussearch.studies.samplers.posterior import Prediction
from ussearch.studies.suggest import DIRECTIONS, _as_told, distributions_of

SPACE = SearchSpace.standard(64)
EVALUATOR = FormulaEvaluator()
NAMES: list[SamplerName] = list(SAMPLERS)  # type: ignore[arg-type]
LEARNING = [pytest.param(name, marks=pytest.mark.slow) if name == "gp" else name for name in NAMES]
"""Optuna's Gaussian process takes ten seconds for a proposal among so many choices."""
Floats = npt.NDArray[np.float64]

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True)
class Asked:
    """A candidate that was asked for, and what became of it; ``attributes`` are the sampler's notes."""

    choices: dict[str, Any]
    state: str = "COMPLETE"
    attributes: Mapping[str, Any] | None = None

    @property
    def identity(self) -> str:
        return SPACE.compose(self.choices).id

    def trial(self) -> FrozenTrial:
        """Return what a search replays of its record."""
        architecture = SPACE.compose(self.choices)
        found = EVALUATOR.costs(architecture)["edge"]
        score = 1 - 20 / (20 + sum(block.width for block in architecture.blocks) / len(architecture.blocks))
        return create_trial(
            state=TrialState[self.state],
            values=[score, found.latency_ms, found.memory_mib] if self.state == "COMPLETE" else None,
            params=self.choices,
            distributions=distributions_of(self.choices, SPACE.choices),
            system_attrs=dict(self.attributes or FIRST_GENERATION),
            constraints=found.excess,
        )


def bases() -> list[Asked]:
    """Return every published network as a finished candidate."""
    return [Asked(SPACE.unedited(name)) for name in SPACE.bases]


def propose(name: SamplerName, seed: int, before: Sequence[Asked]) -> Asked:
    """Return the first proposal that was not asked for before, as a search would take it."""
    settings = SamplerSettings(name=name, population=4, startup=4)
    sampler = make_sampler(settings, seed, ArchitecturePricing(SPACE, EVALUATOR, "edge"))
    study = optuna.create_study(directions=DIRECTIONS, sampler=sampler)
    study.add_trials([each.trial() for each in before])
    seen = {each.identity for each in before}
    for _ in range(30):
        trial = study.ask()
        choices = {choice: trial.suggest_categorical(choice, values) for choice, values in SPACE.choices.items()}
        if SPACE.compose(choices).id not in seen:
            notes = study.get_trials(deepcopy=False)[trial.number].system_attrs
            return Asked(choices, attributes=dict(notes))
        study.tell(trial, state=TrialState.FAIL)
    raise AssertionError(f"{name} asked for nothing new")


def searched(name: SamplerName, proposals: int) -> list[Asked]:
    """Return the proposals after all bases, each told to the next by way of a text."""
    asked = bases()
    for number in range(proposals):
        found = propose(name, 100 + number, asked)
        asked.append(Asked(**json.loads(json.dumps(vars(found)))))
    return asked[-proposals:]


def edits(choices: Mapping[str, Any]) -> int:
    return len(changed(choices))


@pytest.mark.parametrize("name", LEARNING)
def test_proposals_are_legal_new_and_the_same_after_a_replay(name: SamplerName) -> None:
    found, again = searched(name, 2), searched(name, 2)
    assert [each.choices for each in found] == [each.choices for each in again]
    assert len({each.identity for each in (*bases(), *found)}) == len(bases()) + 2
    for each in found:
        assert each.choices.keys() == SPACE.choices.keys()
        assert all(each.choices[choice] in values for choice, values in SPACE.choices.items())


@pytest.mark.parametrize("name", NAMES)
def test_what_is_drawn_by_chance_is_a_base_with_few_edits(name: SamplerName) -> None:
    drawn = [propose(name, seed, []).choices for seed in range(16)]
    of_bases = [choices for choices in drawn if choices["base"] != "free"]
    assert len({choices["base"] for choices in drawn}) >= 4
    assert 1 <= np.mean([edits(choices) for choices in of_bases]) <= 6  # one value at a time would be over 80
    assert all(changed(choices).keys() <= set(SPACE.edits_of(choices)) for choices in of_bases)


def test_what_tpe_learns_value_by_value_is_a_base_with_few_edits_too() -> None:
    found = [propose("tpe", seed, bases()).choices for seed in range(8)]
    assert np.mean([edits(choices) for choices in found if choices["base"] != "free"]) <= 6
    assert len({choices["base"] for choices in found}) >= 3


@pytest.mark.parametrize("name", ["nsgaii", "nsgaiii"])
def test_evolution_begins_with_trained_bases(name: SamplerName) -> None:
    parents = [each.choices for each in bases()]
    child = propose(name, 3, bases()).choices
    new = [choice for choice in child if all(child[choice] != parent[choice] for parent in parents)]
    assert len(new) <= 5  # mutations: one in 127 choices, and about one of them


class Alike(Pricing):
    """Candidates are the same where their kind is."""

    def describe(self, choices: Mapping[str, Any]) -> Description:
        return Description(choices["kind"])


@pytest.mark.parametrize("startup", [2, 9])
def test_nothing_is_asked_for_that_is_the_same_as_a_finished_running_or_failed_trial(startup: int) -> None:
    values = {"kind": ("a", "b", "c", "d", "e"), "nothing": tuple(range(9))}
    study = optuna.create_study(direction="minimize", sampler=SurrogateSampler(0, Alike(), startup=startup))
    for kind, state in zip("abcd", ("COMPLETE", "COMPLETE", "RUNNING", "FAIL"), strict=True):
        told = {"value": float(ord(kind))} if state == "COMPLETE" else {}
        params = {"kind": kind, "nothing": 0}
        study.add_trial(
            create_trial(state=TrialState[state], params=params, distributions=distributions_of(params, values), **told)  # type: ignore[arg-type]
        )
    trial = study.ask()
    assert {name: trial.suggest_categorical(name, each) for name, each in values.items()}["kind"] == "e"


def test_gain_per_training_is_expected_improvement_over_the_price() -> None:
    """Without costs among the objectives the improvement is the one of every textbook (Jones et al. 1998)."""
    mean, spread = np.array([0.3, 0.3, 0.5, 0.1]), np.array([0.1, 0.1, 0.3, 0.02])
    within, training = np.array([1.0, 1.0, 0.5, 1.0]), np.array([1.0, 4.0, 2.0, 3.0])
    found = Prediction(mean, spread, np.zeros((4, 0)), within, training)
    best = 0.35
    posterior = SimpleNamespace(predict=lambda _: found, front=np.array([[best], [0.6]]), reference=np.array([0.9]))
    z = (best - mean) / spread
    expected = (spread * (z * norm.cdf(z) + norm.pdf(z))) * within / training
    assert gain_per_training(posterior, []) == pytest.approx(expected)  # type: ignore[arg-type]


class Priced(Pricing):
    """Nothing but the training differs between sizes, and is told beforehand."""

    priced: ClassVar[bool] = True

    def price(self, choices: Mapping[str, Any]) -> Cost:
        return Cost((), True, ({"dear": 8.0, "cheap": 1.0}[choices["size"]],))

    def training(self, features: Floats) -> Floats:
        return features[:, 0]


def test_of_equal_gains_that_of_the_cheaper_training_is_sought() -> None:
    values: dict[str, tuple[Any, ...]] = {"kind": tuple(range(12)), "size": ("dear", "cheap")}
    study = optuna.create_study(direction="maximize", sampler=SurrogateSampler(1, Priced()))
    for kind in (0, 3, 8, 11):
        for size in values["size"]:
            params = {"kind": kind, "size": size}
            study.add_trial(
                create_trial(value=-abs(kind - 6), params=params, distributions=distributions_of(params, values))
            )
    sizes = Counter()  # type: ignore[var-annotated]
    for _ in range(6):
        trial = study.ask()
        chosen = {name: trial.suggest_categorical(name, each) for name, each in values.items()}
        sizes[chosen["size"]] += 1
        study.tell(trial, -abs(chosen["kind"] - 6))
    assert sizes["cheap"] > sizes["dear"]


class Traced(FormulaEvaluator):
    """Costs of real networks."""

    def costs(self, architecture: Any) -> Any:
        return dict.fromkeys(("edge", "cloud"), costs(architecture, 128, EDGE))


def test_a_training_costs_the_arithmetic_at_the_size_at_which_the_network_sees_images() -> None:
    space = SearchSpace.standard(128)
    whole = space.unedited("cea-net-standin")
    half = whole | {"input_scale": 0.5}
    pricing = ArchitecturePricing(space, Traced(), "edge")
    free = space.unedited("free") | {"free_stages": 3}
    prices = [pricing.price(choices) for choices in (whole, half, free)]
    beside = MACS_BESIDE * 128**2
    found = pricing.training(np.array([price.features for price in prices if price])) / CHILD_SHARE - beside
    counted = count(space.compose(whole), 128).macs
    assert found[0] == pytest.approx(counted, rel=0.01)
    assert found[1] == pytest.approx(counted / 4, rel=0.02)
    composed = count(space.compose(free), 128).macs
    assert (found[2] + beside) * CHILD_SHARE == pytest.approx(composed + beside, rel=0.01), "a whole course"
    seen = replace(pricing, relatives=frozenset({"unext"})).price(half)
    assert seen is not None and prices[1] is not None
    assert seen.features[-1] * CHILD_SHARE == prices[1].features[-1], "no relative is there: a whole course"
    assert seen.objectives == prices[1].objectives


@given(memory=st.floats(100, 2000), share=st.floats(0, 0.5))
def test_memory_is_told_in_steps_of_two_percent(memory: float, share: float) -> None:
    more = memory * (1 + share)
    assert abs(float(in_steps(memory)) / memory - 1) <= 0.011
    assert in_steps(more) >= in_steps(memory)
    assert (in_steps(more) > in_steps(memory)) or share < 0.0201
    assert float(in_steps(in_steps(memory))) == pytest.approx(float(in_steps(memory)))


def test_samplers_see_finished_trials_and_candidates_alike() -> None:
    choices = SPACE.unedited("cea-net-standin")
    architecture = SPACE.compose(choices)
    costs = EVALUATOR.costs(architecture)
    evaluation = EVALUATOR.evaluate(TrainingTask(architecture, 0))
    record = TrialRecord(
        trial_id=0,
        role="preset",
        architecture_id=architecture.id,
        choices=choices,
        started="",
        finished="",
        evaluation=evaluation,
    )
    price = ArchitecturePricing(SPACE, EVALUATOR, "edge").price(choices)
    assert price is not None
    told = _as_told(record, SPACE.choices, "edge").values
    assert told[1:] == list(price.objectives)
    assert told[1] == costs["edge"].latency_ms
    assert told[2] != costs["edge"].memory_mib


def test_what_is_finished_is_described_once_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    composed = []
    compose = SearchSpace.compose

    def counting(self: SearchSpace, choices: Mapping[str, Any]) -> Any:
        composed.append(choices)
        return compose(self, choices)

    propose("surrogate", 0, bases())
    monkeypatch.setattr(SearchSpace, "compose", counting)
    sampler = SurrogateSampler(1, ArchitecturePricing(SPACE, EVALUATOR, "edge"))
    study = optuna.create_study(directions=DIRECTIONS, sampler=sampler)
    study.add_trials([each.trial() for each in bases()])
    composed.clear()
    study.ask().suggest_categorical("base", SPACE.choices["base"])
    assert 0 < len(composed) <= ArchitecturePricing.pool_size + ArchitecturePricing.shortlist
