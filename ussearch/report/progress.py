"""How the search went: the hypervolume of the front after each trial."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from ussearch.evaluators.evaluation import highest
from ussearch.report.markup import chart, paragraph, section
from ussearch.report.plotting import LINE, axis, base_layout
from ussearch.report.report_data import ReportData
from ussearch.studies import TrialRecord, front_hypervolume, non_dominated
from ussearch.studies.front import losses_of


@dataclass(frozen=True)
class ProgressStep:
    """After ``trials`` finished trials, the last of them ``trial_id``, the front dominates this share of the box."""

    trials: int
    trial_id: int
    hypervolume: float


def progress(report_data: ReportData) -> tuple[ProgressStep, ...]:
    """Return the hypervolume over the trials in the order in which they finished.

    Only trials of the highest fidelity count, as in ``front_hypervolume``: the others are not comparable.
    """
    config = report_data.study.config
    records = sorted(report_data.good, key=lambda record: (record.finished, record.trial_id))
    best = highest(record.evaluation.fidelity for record in records)
    kept: list[TrialRecord] = []
    steps: list[ProgressStep] = []
    for record in (each for each in records if each.evaluation.fidelity == best):
        kept.append(record)
        mask = non_dominated(losses_of(kept, "edge"))
        kept = [each for each, stays in zip(kept, mask, strict=True) if stays]
        volume = front_hypervolume(kept, config.edge, config.image_size)
        steps.append(ProgressStep(len(steps) + 1, record.trial_id, volume))
    return tuple(steps)


def progress_section(report_data: ReportData) -> str:
    """Return the section."""
    steps = progress(report_data)
    if not steps:
        return section("progress", "Search progress", paragraph("No trial has finished well yet."))
    trace = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [step.trials for step in steps],
        "y": [step.hypervolume for step in steps],
        "customdata": [step.trial_id for step in steps],
        "line": {"shape": "hv", "color": LINE, "width": 1.6},
        "marker": {"size": 5, "color": LINE},
        "hovertemplate": "after trial %{customdata}: %{y:.4f}<extra></extra>",
    }
    top = max(float(np.max([step.hypervolume for step in steps])) * 1.1, 0.01)
    layout = {
        **base_layout(),
        "showlegend": False,
        "xaxis": {**axis("finished trials"), "dtick": max(1, round(len(steps) / 8))},
        "yaxis": {**axis("hypervolume"), "range": [0, top]},
        "margin": {"l": 56, "r": 12, "t": 8, "b": 48},
    }
    grown = [step for before, step in itertools.pairwise(steps) if step.hypervolume > before.hypervolume]
    last = grown[-1] if grown else steps[0]
    lead = (
        f"Share of the box (Dice 0 to 1, latency and memory up to the device's limits) that the front dominates: "
        f"{steps[-1].hypervolume:.3f} after {len(steps)} trials; trial {last.trial_id} was the last to add to it "
        f"({len(steps) - last.trials} since)."
    )
    return section(
        "progress",
        "Search progress",
        chart("progress", {"data": [trace], "layout": layout}, 260, "hypervolume over finished trials"),
        lead=lead,
    )
