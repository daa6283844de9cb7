"""Proposing the next architecture: a pure function of seed, trial and finished records."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from ussearch.evaluators import Costs, CostsByTier, Evaluator, Tier
from ussearch.search_spaces import Architecture, FreeSpace, SearchSpace
from ussearch.studies.config import StudyConfig
from ussearch.studies.front import in_steps
from ussearch.studies.records import Role, TrialRecord
from ussearch.studies.rounds import best_of_each
from ussearch.studies.samplers import FIRST_GENERATION, ArchitecturePricing, make_sampler

Direction = Literal["maximize", "minimize"]
DIRECTIONS: tuple[Direction, Direction, Direction] = ("maximize", "minimize", "minimize")
"""Of Dice, latency and memory."""

Space = Mapping[str, tuple[Any, ...]]
AnySpace = SearchSpace | FreeSpace
"""Bases and edits, or what studies of 0.1 searched."""


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Silence Optuna's own log for the block: progress is told by events."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def distributions_of(choices: Mapping[str, Any], space: Space) -> dict[str, BaseDistribution]:
    """Return the distributions from which ``choices`` were drawn."""
    return {name: CategoricalDistribution(space[name]) for name in choices}


def finished_trial(record: TrialRecord, space: Space, tier: Tier) -> FrozenTrial:
    """Return a finished Optuna trial: objectives and limits are those of one end."""
    choices = record.choices or {}
    return create_trial(
        state=TrialState.FAIL if record.failed else TrialState.COMPLETE,
        values=record.objectives(tier),
        params=choices,
        distributions=distributions_of(choices, space),
        user_attrs=user_attributes(record.trial_id, record.label, record.role),
        system_attrs=dict(record.sampler_attributes or FIRST_GENERATION),
        constraints=record.costs(tier).excess,
    )


def running_trial(
    trial_id: int,
    label: str,
    role: str,
    *,
    choices: Mapping[str, Any] | None,
    attributes: Mapping[str, Any],
    space: Space,
    costs: Costs,
) -> FrozenTrial:
    """Return a trial that has begun: what it is and costs is known, its Dice is not."""
    return create_trial(
        state=TrialState.RUNNING,
        params=dict(choices or {}),
        distributions=distributions_of(choices or {}, space),
        user_attrs=user_attributes(trial_id, label, role),
        system_attrs=dict(attributes),
        constraints=costs.excess,
    )


def user_attributes(trial_id: int, label: str, role: str) -> dict[str, Any]:
    """Return what a dashboard shows beside a trial; ``trial_id`` ties it to its record."""
    return {"trial_id": trial_id, "label": label, "role": role}


MAX_SUGGESTIONS = 300
"""Drafts for one slot before the space counts as exhausted; the costs of one take about a tenth of a second."""


@dataclass(frozen=True)
class Suggestion:
    """An architecture with its costs, ready to be evaluated in a slot."""

    trial_id: int
    role: Role
    architecture: Architecture
    costs: CostsByTier
    choices: dict[str, Any] | None = None
    starts_from: TrialRecord | None = None
    """The trained relative; None: from pretrained weights or from chance."""
    sampler_attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def continues(self) -> int | None:
        """The trial that goes on in this one, where the relative is the very network."""
        relative = self.starts_from
        return relative.trial_id if relative and relative.architecture_id == self.architecture.id else None

    @property
    def label(self) -> str:
        """The preset's name or the architecture's id."""
        return self.architecture.name or self.architecture.id


def tier_of(sampled: int, edge_share: float) -> Tier:
    """Return for which end the sampled candidate number ``sampled`` (from 0) is drawn.

    After any number of candidates the edge has had its share of them, rounded up.
    """
    return "edge" if math.ceil((sampled + 1) * edge_share) > math.ceil(sampled * edge_share) else "cloud"


def derived_seed(seed: int, trial_id: int, purpose: int) -> int:
    """Return the 31-bit seed of a slot; ``purpose`` keeps sampling (0) and training (1) apart."""
    return int(np.random.SeedSequence([seed, trial_id, purpose]).generate_state(1)[0] >> 1)


def suggest(
    config: StudyConfig,
    space: AnySpace,
    evaluator: Evaluator,
    records: Sequence[TrialRecord],
    *,
    trial_id: int,
    tier: Tier,
    taken: Collection[str] = (),
) -> Suggestion | None:
    """Return a new architecture for ``trial_id`` that ``tier`` can use; None where ``MAX_SUGGESTIONS`` gave none.

    ``records`` are the finished trials of earlier slots that may be learnt from. Their architectures and those whose
    ids are ``taken`` are not proposed again. Objectives and limits are those of ``tier``, so that each end evolves on
    its own figures.
    """
    trained = frozenset((record.choices or {}).get("base", "") for record in records if not record.failed)
    pricing = ArchitecturePricing(space, evaluator, tier, trained if isinstance(space, SearchSpace) else None)
    sampler = make_sampler(config.sampler, derived_seed(config.seed, trial_id, 0), pricing)
    optuna_study = _replayed(sampler, space, records, tier)
    seen = {record.architecture_id for record in records} | set(taken)
    for _ in range(MAX_SUGGESTIONS):
        trial = optuna_study.ask()
        architecture = space.suggest(trial)
        costs = None if architecture.id in seen else _affordable(evaluator, architecture, tier)
        if costs is not None:
            attributes = dict(optuna_study.get_trials(deepcopy=False)[trial.number].system_attrs)
            choices = dict(trial.params)
            if isinstance(space, SearchSpace):
                architecture = space.told(choices)
            return Suggestion(trial_id, tier, architecture, costs, choices, sampler_attributes=attributes)
        seen.add(architecture.id)
        optuna_study.tell(trial, state=optuna.trial.TrialState.FAIL)
    return None


def _replayed(
    sampler: optuna.samplers.BaseSampler, space: AnySpace, records: Sequence[TrialRecord], tier: Tier
) -> optuna.Study:
    """Return an in-memory study that holds the sampled records as this end sees them."""
    with quiet_optuna():
        study = optuna.create_study(directions=DIRECTIONS, sampler=sampler)
        # NOTE: presets of older studies have no choices; a trial without would leave NSGA-II nothing to cross.
        known = [*best_of_each(records), *(record for record in records if record.failed)]
        study.add_trials([_as_told(record, space.choices, tier) for record in known if record.choices])
    return study


def _as_told(record: TrialRecord, space: Space, tier: Tier) -> FrozenTrial:
    """Return a finished trial as samplers see it: a little less memory is no advantage that any child should have."""
    trial = finished_trial(record, space, tier)
    if trial.values is not None:
        score, latency_ms, memory_mib = trial.values
        trial.values = [score, latency_ms, float(in_steps(memory_mib))]
    return trial


def _affordable(evaluator: Evaluator, architecture: Architecture, tier: Tier) -> CostsByTier | None:
    """Return the costs where the architecture keeps within the limits of ``tier``, cheap checks first."""
    if evaluator.refused(architecture, tier):
        return None
    costs = evaluator.costs(architecture)
    return costs if costs[tier].feasible else None
