"""What a study has found so far, as losses over choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ussearch.studies.samplers.pricing import Space

Floats = npt.NDArray[np.float64]
LOW_FIDELITY = "low_fidelity"
"""User attribute in which a trial may carry a cheap estimate of its first objective."""


@dataclass(frozen=True)
class History:
    """Finished trials [N] over a space of categorical choices.

    ``losses`` [N, M] are objectives turned so that less is better; ``excess`` [N] the worst constraint (0 or less is
    within limits); ``low_fidelity`` [N] NaN where there is none. ``taken`` are the choices of every trial that was
    ever begun, failed and running ones too.
    """

    space: Space
    choices: list[dict[str, Any]]
    losses: Floats
    signs: Floats
    excess: Floats
    low_fidelity: Floats
    taken: list[dict[str, Any]]

    @classmethod
    def of(cls, study: Study, search_space: Mapping[str, BaseDistribution]) -> History:
        """Read the trials that chose from these distributions; those without a finite result are only taken."""
        trials = [trial for trial in study.get_trials(deepcopy=False) if search_space.keys() <= trial.params.keys()]
        results = [trial for trial in trials if _finished(trial)]
        signs = np.array([1.0 if each == StudyDirection.MINIMIZE else -1.0 for each in study.directions])
        return cls(
            space=categories(search_space),
            choices=[_chosen(trial, search_space) for trial in results],
            losses=np.array([trial.values for trial in results]).reshape(-1, len(signs)) * signs,
            signs=signs,
            excess=np.array([max(trial.constraints.values(), default=0.0) for trial in results]),
            low_fidelity=np.array([trial.user_attrs.get(LOW_FIDELITY, np.nan) for trial in results], np.float64),
            taken=[_chosen(trial, search_space) for trial in trials],
        )

    @property
    def feasible(self) -> npt.NDArray[np.bool_]:
        """Which finished trials keep within every limit, [N]."""
        return self.excess <= 0

    def __len__(self) -> int:
        """Return the number of finished trials."""
        return len(self.choices)


def shared_distributions(trials: Sequence[FrozenTrial]) -> dict[str, BaseDistribution]:
    """Return the categorical distributions that every trial with choices drew from, whatever became of it."""
    found = [trial.distributions for trial in trials if trial.distributions]
    return {
        name: distribution
        for name, distribution in (found[0] if found else {}).items()
        if isinstance(distribution, CategoricalDistribution) and all(each.get(name) == distribution for each in found)
    }


def distributions_of(space: Space) -> dict[str, BaseDistribution]:
    """Return the categorical distributions of a space."""
    return {name: CategoricalDistribution(values) for name, values in space.items()}


def categories(search_space: Mapping[str, BaseDistribution]) -> Space:
    """Return the values of categorical distributions."""
    found = search_space.items()
    return {name: tuple(each.choices) for name, each in found if isinstance(each, CategoricalDistribution)}


def _finished(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.COMPLETE and bool(np.isfinite(trial.values).all())


def _chosen(trial: FrozenTrial, search_space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    return {name: trial.params[name] for name in search_space}
