"""Which candidates cannot be told apart: differences of the objective on validation images against their noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
import numpy.typing as npt

from ussearch.datasets import Normalisation
from ussearch.errors import UserError
from ussearch.evaluators import Summary, predict
from ussearch.evaluators.evaluation import highest
from ussearch.evaluators.metrics.paired_bootstrap import paired_change
from ussearch.evaluators.metrics.scores import score
from ussearch.evaluators.metrics.segmentation import contributions
from ussearch.report.report_data import ReportData
from ussearch.studies import TrialRecord
from ussearch.studies.context import StudyContext
from ussearch.studies.rounds import best_of_each

Floats = npt.NDArray[np.float64]
Method = Literal["paired", "unpaired"]
COMPARED = 8
"""So many of the best are held against the best one, besides the front."""
TOLERANCE = 0.005
"""A stored network scores what its record says within this, or its images are not compared one by one."""
NORMAL_95 = 1.96

METHODS: dict[Method, str] = {
    "paired": "paired bootstrap over patients of the score of each validation image (2000 draws)",
    "unpaired": "SD and number of validation images of each record, as if the two had seen different images",
}


@dataclass(frozen=True)
class Difference:
    """By how much trial ``trial_id`` scores less or more than the best one, with the 95 % interval."""

    trial_id: int
    mean: float
    low: float
    high: float

    @property
    def tie(self) -> bool:
        """Whether the interval holds 0."""
        return self.low <= 0 <= self.high


@dataclass(frozen=True)
class CandidateComparison:
    """The ``best`` trial, and how others differ from it; ``images`` are those of the validation part."""

    best: int
    method: Method
    images: int
    differences: tuple[Difference, ...]

    @property
    def ties(self) -> tuple[int, ...]:
        """The trials that the images cannot tell from the best one."""
        return tuple(each.trial_id for each in self.differences if each.tie)

    @property
    def second(self) -> Difference | None:
        """The runner-up."""
        return max(self.differences, key=lambda each: each.mean, default=None)


def compare(report_data: ReportData) -> CandidateComparison | None:
    """Hold the best candidates within the device's limits, and its front, against the best of them.

    Image by image where the images and the candidates' weights are there and score what the records say, else by what
    the records tell. None where fewer than two can be compared.
    """
    rivals = _rivals(report_data)
    if len(rivals) < 2:
        return None
    images = int(rivals[0].evaluation.metrics.get("images") or 0)
    paired = _paired(report_data, rivals)
    if paired is not None:
        return CandidateComparison(rivals[0].trial_id, "paired", images, paired)
    first = rivals[0].evaluation.metrics
    differences = tuple(_unpaired(record.trial_id, first, record.evaluation.metrics) for record in rivals[1:])
    return CandidateComparison(rivals[0].trial_id, "unpaired", images, differences)


def _rivals(report_data: ReportData) -> list[TrialRecord]:
    """Return the candidates that are compared, the best first; all of one fidelity, each architecture once.

    Those whose weights the search deleted are left out: they were beaten, and nothing tells their single images.
    """
    fidelity = highest(record.evaluation.fidelity for record in report_data.good)
    peers = [record for record in report_data.good if record.evaluation.fidelity == fidelity]
    peers = best_of_each(peers)
    fitting = [record for record in peers if record.feasible("edge")] or peers
    known = [record for record in fitting if report_data.study.has_weights(record.trial_id)]
    fitting = known if len(known) > 1 else fitting
    fitting.sort(key=lambda record: (-(record.objective or 0.0), record.trial_id))
    return [each for rank, each in enumerate(fitting) if rank < COMPARED or each.trial_id in report_data.report.edge]


def _paired(report_data: ReportData, rivals: Sequence[TrialRecord]) -> tuple[Difference, ...] | None:
    if report_data.study_context is None:
        return None
    by_image = [_by_image(report_data, report_data.study_context, record) for record in rivals]
    known = [values for values in by_image if values is not None]
    if len(known) < len(rivals):
        return None
    groups = report_data.study_context.images.groups[list(report_data.study_context.split.validation)].tolist()
    changes = [paired_change(known[0].tolist(), values.tolist(), groups) for values in known[1:]]
    return tuple(
        Difference(record.trial_id, change.mean, change.low, change.high)
        for record, change in zip(rivals[1:], changes, strict=True)
    )


def _by_image(report_data: ReportData, study_context: StudyContext, record: TrialRecord) -> Floats | None:
    """Return what each validation image adds to a trial's objective; None where its weights do not tell."""
    evaluation = record.evaluation
    if evaluation.normalisation is None:
        return None
    try:
        network = report_data.study.network(record.trial_id)
    except UserError:
        return None
    chosen = list(study_context.split.validation)
    normalisation = Normalisation(**evaluation.normalisation)
    probabilities = predict(network, study_context.images.images[chosen], normalisation)
    found = score(probabilities, study_context.images.masks[chosen])
    values = contributions(found.dice, found.has_lesion, found.predicted_any)
    return values if abs(float(values.mean()) - (record.objective or 0.0)) <= TOLERANCE else None


def _unpaired(trial_id: int, first: Summary, other: Summary) -> Difference:
    mean = (other.get("objective") or 0.0) - (first.get("objective") or 0.0)
    half = NORMAL_95 * sqrt(variance(first) + variance(other))
    return Difference(trial_id, mean, mean - half, mean + half)


def variance(metrics: Summary) -> float:
    """Return the variance of an objective, from the SD over lesion images and the rate over empty ones."""
    images, lesions = metrics.get("images") or 0.0, metrics.get("lesion_images") or 0.0
    rate, share = metrics.get("false_positive_rate") or 0.0, metrics.get("empty_share") or 0.0
    found = (metrics.get("lesion_dice_sd") or 0.0) ** 2 / max(lesions, 1.0)
    return found + share**2 * rate * (1 - rate) / max(images - lesions, 1.0)
