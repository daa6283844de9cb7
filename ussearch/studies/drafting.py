"""Proposing the next architecture: a pure function of (seed, slot, finished records).

Optuna does not keep the state of samplers, so a resumed study would go another way. Here every slot gets a
fresh sampler, seeded from (seed, slot), and a fresh in-memory Optuna study made from the records; drafts that
an end cannot use are told as failed there and never reach the study's storage.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna

from ussearch.evaluators import CostsByEnd, End, Evaluator
from ussearch.search_spaces import Architecture, SearchSpace
from ussearch.studies.config import StudyConfig
from ussearch.studies.optuna_trials import DIRECTIONS, finished_trial, quiet_optuna
from ussearch.studies.records import Role, TrialRecord
from ussearch.studies.samplers import make_sampler
from ussearch.studies.surrogate import ArchitecturePricing

MAX_DRAFTS = 300
"""Drafts for one slot before the space counts as exhausted; the costs of one take about a tenth of a second."""


@dataclass(frozen=True)
class Candidate:
    """An architecture with its costs, ready to be evaluated in a slot."""

    slot: int
    role: Role
    architecture: Architecture
    costs: CostsByEnd
    choices: dict[str, Any] | None = None
    sampler_attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The preset's name or the architecture's id."""
        return self.architecture.name or self.architecture.id


def end_of(sampled: int, edge_share: float) -> End:
    """Return for which end the sampled candidate number ``sampled`` (from 0) is drawn.

    After any number of candidates the edge has had its share of them, rounded up.
    """
    return "edge" if math.ceil((sampled + 1) * edge_share) > math.ceil(sampled * edge_share) else "cloud"


def derived_seed(seed: int, slot: int, purpose: int) -> int:
    """Return the 31-bit seed of a slot; ``purpose`` keeps sampling (0) and training (1) apart."""
    return int(np.random.SeedSequence([seed, slot, purpose]).generate_state(1)[0] >> 1)


def draft(
    config: StudyConfig,
    space: SearchSpace,
    evaluator: Evaluator,
    records: Sequence[TrialRecord],
    *,
    slot: int,
    end: End,
    taken: Collection[str] = (),
) -> Candidate | None:
    """Return a new architecture for ``slot`` that ``end`` can use; None where ``MAX_DRAFTS`` gave none.

    ``records`` are the finished trials of earlier slots that may be learnt from. Their architectures and those whose
    ids are ``taken`` are not proposed again. Objectives and limits are those of ``end``, so that each end evolves on
    its own figures.
    """
    sampler = make_sampler(
        config.sampler, derived_seed(config.seed, slot, 0), ArchitecturePricing(space, evaluator, end)
    )
    optuna_study = _replayed(sampler, space, records, end)
    seen = {record.architecture_id for record in records} | set(taken)
    for _ in range(MAX_DRAFTS):
        trial = optuna_study.ask()
        architecture = space.suggest(trial)
        costs = None if architecture.id in seen else _affordable(evaluator, architecture, end)
        if costs is not None:
            attributes = dict(optuna_study.get_trials(deepcopy=False)[trial.number].system_attrs)
            return Candidate(slot, end, architecture, costs, dict(trial.params), attributes)
        seen.add(architecture.id)
        optuna_study.tell(trial, state=optuna.trial.TrialState.FAIL)
    return None


def _replayed(
    sampler: optuna.samplers.BaseSampler, space: SearchSpace, records: Sequence[TrialRecord], end: End
) -> optuna.Study:
    """Return an in-memory study that holds the sampled records as this end sees them."""
    quiet_optuna()
    study = optuna.create_study(directions=DIRECTIONS, sampler=sampler)
    # NOTE: presets have no choices; a trial without parameters would leave NSGA-II nothing to cross.
    study.add_trials([finished_trial(record, space.choices, end) for record in records if record.choices])
    return study


def _affordable(evaluator: Evaluator, architecture: Architecture, end: End) -> CostsByEnd | None:
    """Return the costs where the architecture keeps within the limits of ``end``, cheap checks first."""
    if evaluator.refused(architecture, end):
        return None
    costs = evaluator.costs(architecture)
    return costs if costs[end].feasible else None
