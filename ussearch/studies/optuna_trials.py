"""Records as Optuna sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from ussearch.evaluators import Costs, End
from ussearch.studies.records import TrialRecord

Direction = Literal["maximize", "minimize"]
DIRECTIONS: tuple[Direction, Direction, Direction] = ("maximize", "minimize", "minimize")
"""Of Dice, latency and memory."""

Space = Mapping[str, tuple[Any, ...]]


def quiet_optuna() -> None:
    """Silence Optuna's own log: progress is told by events."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def distributions_of(choices: Mapping[str, Any], space: Space) -> dict[str, BaseDistribution]:
    """Return the distributions from which ``choices`` were drawn."""
    return {name: CategoricalDistribution(space[name]) for name in choices}


def finished_trial(record: TrialRecord, space: Space, end: End) -> FrozenTrial:
    """Return a finished Optuna trial: objectives and limits are those of one end."""
    choices = record.choices or {}
    return create_trial(
        state=TrialState.FAIL if record.failed else TrialState.COMPLETE,
        values=record.objectives(end),
        params=choices,
        distributions=distributions_of(choices, space),
        user_attrs=user_attributes(record.slot, record.label, record.role),
        system_attrs=dict(record.sampler_attributes),
        constraints=record.costs(end).excess,
    )


def running_trial(
    slot: int,
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
        user_attrs=user_attributes(slot, label, role),
        system_attrs=dict(attributes),
        constraints=costs.excess,
    )


def user_attributes(slot: int, label: str, role: str) -> dict[str, Any]:
    """Return what a dashboard shows beside a trial; ``slot`` ties it to its record."""
    return {"slot": slot, "label": label, "role": role}
