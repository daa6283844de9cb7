"""What a full training would score, foretold from a rung's score and from what is known without any training.

A few steps favour networks that learn fast, which small ones do; how many multiply-accumulates and parameters a network
has says, weakly, the opposite. What weight each deserves is learnt on the architectures that were trained in full.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

Floats = npt.NDArray[np.float64]

PENALTIES = tuple(float(each) for each in np.logspace(-2, 3, 11))
"""Strengths of the ridge that compete by generalised cross-validation."""


class Outlook(BaseModel):
    """A ridge over ranks: places among the samples of the objective on the rung, MACs and parameters.

    Ranks, because objectives of short trainings pile up at 0 and costs spread over orders of magnitude. ``evidence``
    [3, N] and ``trained`` [N] are the samples' figures, sorted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    evidence: tuple[tuple[float, ...], ...]
    trained: tuple[float, ...]
    weights: tuple[float, ...]

    def foretold(self, objective: float, macs: float, parameters: float) -> float:
        """Return the objective that a full training would reach, within what the samples reached."""
        places = [
            _place(np.asarray(known), value)
            for known, value in zip(self.evidence, (objective, macs, parameters), strict=True)
        ]
        place = 0.5 + float(np.dot(self.weights, np.asarray(places) - 0.5))
        return float(np.quantile(self.trained, np.clip(place, 0.0, 1.0)))


def fit_outlook(
    selections: Sequence[float], macs: Sequence[float], parameters: Sequence[float], trained: Sequence[float]
) -> Outlook:
    """Learn from N architectures what ``trained`` (the objective of full training) looks like before it.

    ``selections`` are those of the rung. Raises ValueError for unequal lengths or fewer than 4 architectures.
    """
    from sklearn.linear_model import RidgeCV

    columns = [np.asarray(each, np.float64) for each in (selections, macs, parameters)]
    truth = np.asarray(trained, np.float64)
    if len({len(truth), *map(len, columns)}) != 1 or len(truth) < 4:
        raise ValueError(f"{[len(each) for each in columns]} figures of {len(truth)} trainings tell nothing")
    *known, reached = (np.sort(column) for column in (*columns, truth))
    places = [[_place(ordered, value) for value in column] for ordered, column in zip(known, columns, strict=True)]
    target = [_place(reached, value) for value in truth]
    ridge = RidgeCV(PENALTIES, fit_intercept=False).fit(np.transpose(places) - 0.5, np.asarray(target) - 0.5)
    return Outlook(
        evidence=tuple(tuple(ordered.tolist()) for ordered in known),
        trained=tuple(reached.tolist()),
        weights=tuple(float(each) for each in ridge.coef_),
    )


def foretold_without_itself(
    selections: Sequence[float], macs: Sequence[float], parameters: Sequence[float], trained: Sequence[float]
) -> list[float]:
    """Return what is foretold of each of N architectures by an outlook learnt on the others.

    Of noise it foretells less than nothing (what an outlier leaves behind lies on the other side of the mean), so the
    trust measured on it errs on the safe side.
    """
    columns = [np.asarray(each, np.float64) for each in (selections, macs, parameters)]
    truth = np.asarray(trained, np.float64)
    found = []
    for number in range(len(truth)):
        others = np.arange(len(truth)) != number
        first, second, third, wanted = (column[others].tolist() for column in (*columns, truth))
        outlook = fit_outlook(first, second, third, wanted)
        found.append(outlook.foretold(*(float(column[number]) for column in columns)))
    return found


def _place(known: Floats, value: float) -> float:
    """Return the share of sorted ``known`` values below ``value``, equal ones counting half."""
    below, within = np.searchsorted(known, value, "left"), np.searchsorted(known, value, "right")
    return float(below + within) / 2 / len(known)
