"""A card a candidate: what it is, what it is worth, where its milliseconds go, how it was trained."""

from __future__ import annotations

from typing import Any

from ussearch.evaluators import EpochRecord
from ussearch.report.drawing import draw
from ussearch.report.markup import compact, figure_of, json_script, percent, section, text
from ussearch.report.report_data import ReportData
from ussearch.report.segmentations import Example
from ussearch.report.significance import CandidateComparison
from ussearch.studies.card import TrialCard, trial_card

KERNELS = 6
"""The most expensive kernels that a card names."""


def cards(
    report_data: ReportData, comparison: CandidateComparison | None, examples: dict[int, tuple[Example, ...]]
) -> dict[str, dict[str, Any]]:
    """Return the cards of all trials that finished well, by trial id, as JSON-ready data."""
    finalists = dict(report_data.finalists)
    found = {}
    for record in report_data.good:
        card = trial_card(report_data.study, record.trial_id)
        full = finalists.get(record.trial_id)
        found[str(record.trial_id)] = {
            "title": f"Trial {record.trial_id}: {record.label}",
            "roles": roles(report_data, record.trial_id, comparison),
            "facts": _facts(card),
            "doubts": _doubts(card),
            "drawing": draw(card.architecture),
            "parts": _parts(card),
            "kernels": _kernels(card),
            "curve": curve(record.evaluation.history),
            "full_curve": curve(full.history) if full else None,
            "examples": [example.to_dict() for example in examples.get(record.trial_id, ())],
        }
    return found


def roles(report_data: ReportData, trial_id: int, comparison: CandidateComparison | None) -> list[str]:
    """Return in words what a trial is in this study."""
    record = next(each for each in report_data.good if each.trial_id == trial_id)
    named = {"preset": "published preset", "edge": "sampled for the device", "cloud": "sampled for the cloud"}
    found = [named[record.role]]
    found += [f"{tier} network of the bundle" for tier, trial in report_data.pair.items() if trial == trial_id]
    found += ["on the front"] if trial_id in report_data.report.front else []
    if comparison and trial_id == comparison.best:
        found.append("best by the objective among those compared")
    if comparison and trial_id in comparison.ties:
        found.append(f"tie with trial {comparison.best}: the difference is smaller than the noise")
    return found


def curve(history: tuple[EpochRecord, ...]) -> dict[str, list[float | None]]:
    """Return a training as columns: epoch, loss, and the validation figures of the averaged weights."""
    return {
        "epoch": [each.epoch for each in history],
        "loss": [each.loss for each in history],
        "objective": [each.objective for each in history],
        "lesion_dice": [each.lesion_dice for each in history],
    }


def _facts(card: TrialCard) -> list[tuple[str, str]]:
    record, metrics = card.record, card.record.evaluation.metrics
    edge, cloud = record.costs("edge"), record.costs("cloud")
    low, high = edge.latency_interval_ms
    return [
        ("objective", figure_of(metrics.get("objective"))),
        ("lesion Dice", f"{figure_of(metrics.get('lesion_dice'))} ± {figure_of(metrics.get('lesion_dice_sd'))}"),
        ("false positives", percent(metrics.get("false_positive_rate"))),
        ("HD95", f"{figure_of(metrics.get('hd95'), 1)} px"),
        ("accuracy", f"{record.evaluation.fidelity}, {record.evaluation.epochs} epochs, validation images"),
        ("started from", "pretrained weights" if record.evaluation.pretrained else "scratch"),
        ("latency, device", f"{edge.latency_ms:.1f} ms ({low:.1f} to {high:.1f}), {edge.latency_label}"),
        ("latency, cloud", f"{cloud.latency_ms:.1f} ms, {cloud.latency_label}"),
        ("memory, device", f"{edge.memory_mib:.0f} MiB"),
        ("parameters, MACs", f"{compact(edge.parameters)}, {compact(edge.macs)}"),
        ("fits", ", ".join(tier for tier in ("edge", "cloud") if record.costs(tier).feasible) or "neither"),
    ]


def _doubts(card: TrialCard) -> str:
    prediction = card.prediction
    if not prediction.extrapolated:
        return ""
    share = sum(prediction.uncovered.values()) / prediction.latency_ms if prediction.latency_ms else 0.0
    named = ", ".join(sorted(prediction.uncovered, key=lambda name: -prediction.uncovered[name]))
    return f"Extrapolated: {share:.0%} of the milliseconds lie in kernels that nobody measured there ({named})."


def _parts(card: TrialCard) -> list[tuple[str, float]]:
    return [(name, round(each, 4)) for name, each in card.milliseconds_by_part().items()]


def _kernels(card: TrialCard) -> list[tuple[str, str, str, float]]:
    dearest = sorted(card.kernels, key=lambda item: -item[1])[:KERNELS]
    return [
        (kernel.name, kernel.operator, "×".join(map(str, kernel.output_shape[1:])), round(each, 4))
        for kernel, each in dearest
    ]


def candidates_section(report_data: ReportData, found: dict[str, dict[str, Any]]) -> str:
    """Return the section: a list to choose from, the place of the card, and the cards as data."""
    best = report_data.best
    if best is None:
        return ""
    options = "".join(
        f'<option value="{key}"{" selected" if key == str(best.trial_id) else ""}>{text(card["title"])}</option>'
        for key, card in found.items()
    )
    choice = f'<label class="choose">Candidate <select id="choose">{options}</select></label>'
    return section(
        "candidate",
        "One candidate",
        choice,
        '<div id="card" aria-live="polite"></div>',
        json_script("cards", found),
        lead="Choose one here, or click a point or a line above.",
    )
