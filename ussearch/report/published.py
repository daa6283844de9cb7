"""The edge network against the best preset of the same run, on the same images, with how long each was trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ussearch.datasets import Normalisation
from ussearch.errors import UserError
from ussearch.evaluators import Evaluation, predict, score
from ussearch.evaluators.metrics.paired_bootstrap import Change, paired_change
from ussearch.report.markup import figure_of, paragraph, section, table
from ussearch.report.report_data import ReportData
from ussearch.report.segmentations import trained_network
from ussearch.search_spaces import Network
from ussearch.studies import TrialRecord
from ussearch.studies.context import StudyContext
from ussearch.studies.rounds import best_of_each

TITLE = "Against the best preset"
PARTS = ("validation", "test")
HEAD = ("network", "part", "images", "epochs", "ms", "lesion Dice", "points over the preset", "95 % interval")
LONGER = 1.1
"""Trained for so many times the preset's epochs, a network has an advantage that is no merit of the search."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Rival:
    """One network; ``epochs`` is how long its weights were trained, through all of its relatives."""

    title: str
    epochs: float
    latency_ms: float
    answers: dict[str, Floats]
    """Dice of each image with a lesion, by part of the split."""


def published_section(report_data: ReportData) -> str:
    """Return the section."""
    preset = best_preset(report_data)
    if preset is None:
        return section("published", TITLE, paragraph("No preset within the device's limits has kept its weights."))
    if report_data.study_context is None or report_data.bundle is None:
        reason = report_data.about_images or report_data.told(report_data.without_bundle)
        return section("published", TITLE, paragraph(reason))
    found = rivals(report_data, report_data.study_context, preset)
    if len(found) < 2:
        return section("published", TITLE, paragraph("The weights of the full trainings are not there any more."))
    lead = (
        "Mean Dice of images with a lesion, at a threshold of 0.5 and without post-processing; differences are paired "
        "by image, their intervals a bootstrap over groups of images that belong together."
    )
    parts = [table(HEAD, _rows(report_data.study_context, found), numbers=range(2, 8)), paragraph(lengths(*found))]
    if report_data.best is not None and report_data.best.architecture_id == preset.architecture_id:
        parts.append(
            paragraph("The edge network is this very preset: the search found none that the choice preferred.")
        )
    return section("published", TITLE, *parts, lead=lead)


def best_preset(report_data: ReportData) -> TrialRecord | None:
    """Return the preset within the device's limits that validated best, in the trial in which it came furthest."""
    published = {record.architecture_id for record in report_data.good if record.role == "preset"}
    known = [
        record
        for record in best_of_each([each for each in report_data.good if each.architecture_id in published])
        if record.feasible("edge") and report_data.study.has_weights(record.trial_id)
    ]
    return max(known, key=lambda record: (record.objective or 0.0, -record.trial_id), default=None)


def lengths(preset: Rival, *others: Rival) -> str:
    """Return whether the comparison is like for like in how long networks were trained."""
    edge = others[0]
    told = f"{preset.title} was trained for {preset.epochs:.0f} epochs, the edge network for {edge.epochs:.0f}"
    if edge.epochs <= LONGER * preset.epochs:
        return f"{told}, all that it took over from relatives included: it had no more of them."
    return (
        f"{told}, all that it took over from relatives included; a chain's own trainings come on top. This is not like "
        "for like: longer training alone may explain a lead, and the run's time went to the pair. ussearch export "
        "STUDY --edge N, with the number of the preset's trial and --out for another folder, trains the preset at full "
        "length; the report then compares that."
    )


def rivals(report_data: ReportData, context: StudyContext, preset: TrialRecord) -> list[Rival]:
    """Return the preset, then the edge network before and after the chain; what has no weights is left out."""
    assert report_data.bundle is not None
    finalists, edge = dict(report_data.finalists), report_data.pair.get("edge")
    evaluation, network = preset.evaluation, _of_trial(report_data, preset)
    title = f"{preset.label} (trial {preset.trial_id})"
    if preset.trial_id in finalists and preset.trial_id != edge:
        evaluation, network = finalists[preset.trial_id], trained_network(report_data, preset.trial_id)
        title += ", at full length"
    found = [] if network is None else [_rival(context, title, evaluation, network)]
    if edge not in finalists or not found or edge is None:
        return found
    whole, trained = finalists[edge], trained_network(report_data, edge)
    if trained is not None:
        found.append(_rival(context, f"edge (trial {edge}), after full training", whole, trained))
    shipped, running = report_data.bundle.manifest.edge, report_data.bundle.predictor().edge
    answers = {
        part: _dice(context, part, running.probabilities(np.asarray(context.images.images[_lesions(context, part)])))
        for part in PARTS
        if _lesions(context, part)
    }
    told = shipped.costs.get("latency_ms")
    latency_ms = told if isinstance(told, float) else whole.costs["edge"].latency_ms
    title = f"edge as it ships ({shipped.compression or 'not compressed'})"
    found.append(Rival(title, whole.age_epochs, latency_ms, answers))
    return found


def _of_trial(report_data: ReportData, record: TrialRecord) -> Network | None:
    try:
        return report_data.study.network(record.trial_id)
    except UserError:
        return None


def _rival(context: StudyContext, title: str, evaluation: Evaluation, network: Network) -> Rival:
    normalisation = Normalisation.from_record(evaluation.normalisation or {})
    answers = {
        part: _dice(context, part, predict(network, context.images.images[_lesions(context, part)], normalisation))
        for part in PARTS
        if _lesions(context, part)
    }
    return Rival(title, evaluation.age_epochs, evaluation.costs["edge"].latency_ms, answers)


def _lesions(context: StudyContext, part: str) -> list[int]:
    """Return the images of a part that show a lesion."""
    return [index for index in context.split.parts()[part] if context.images.has_lesion[index]]


def _dice(context: StudyContext, part: str, probabilities: npt.NDArray[np.float32]) -> Floats:
    return score(probabilities, np.asarray(context.images.masks[_lesions(context, part)])).dice


def _rows(context: StudyContext, compared: list[Rival]) -> Iterator[tuple[object, ...]]:
    for part in compared[0].answers:
        groups = context.images.groups[_lesions(context, part)].tolist()
        for rival in compared:
            dice = rival.answers[part]
            change = None
            if rival is not compared[0]:
                change = paired_change(compared[0].answers[part].tolist(), dice.tolist(), groups)
            figures = f"{rival.epochs:.0f}", f"{rival.latency_ms:.1f}", figure_of(float(dice.mean()))
            yield rival.title, part, len(dice), *figures, *_told(change)


def _told(change: Change | None) -> tuple[str, str]:
    if change is None:
        return "", ""
    return f"{100 * change.mean:+.1f}", f"{100 * change.low:+.1f} to {100 * change.high:+.1f}"
