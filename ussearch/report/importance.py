"""Which choices of the search space mattered, by fANOVA (Hutter et al., ICML 2014) on the study's own trials."""

from __future__ import annotations

from dataclasses import dataclass

from ussearch.evaluators.evaluation import highest
from ussearch.report.markup import chart, paragraph, section
from ussearch.report.plotting import LINE, axis, base_layout
from ussearch.report.report_data import ReportData

FEWEST_TRIALS = 30
"""Sampled trials below which a forest on some forty choices tells chance."""
SHOWN = 12
SEED = 0


@dataclass(frozen=True)
class ChoiceImportance:
    """Shares of the variance of the objective and of latency by choice; ``trials`` were learnt from, of ``choices``."""

    trials: int
    choices: int
    objective: dict[str, float]
    latency: dict[str, float]

    @property
    def enough(self) -> bool:
        """Whether anything was computed."""
        return bool(self.objective)


def importance(report_data: ReportData, fewest: int = FEWEST_TRIALS) -> ChoiceImportance:
    """Return how much of the variance over sampled trials each choice explains; empty with fewer than ``fewest``."""
    best = highest(record.evaluation.fidelity for record in report_data.good)
    sampled = [r for r in report_data.good if r.choices and r.evaluation.fidelity == best]
    space = report_data.study.config.space
    if len(sampled) < fewest:
        return ChoiceImportance(len(sampled), len(space), {}, {})
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    from ussearch.studies.suggest import DIRECTIONS, finished_trial, quiet_optuna

    with quiet_optuna():
        study = optuna.create_study(directions=DIRECTIONS)
    study.add_trials([finished_trial(record, space, "edge") for record in sampled])

    def shares(position: int) -> dict[str, float]:
        found = get_param_importances(
            study, evaluator=FanovaImportanceEvaluator(seed=SEED), target=lambda trial: trial.values[position]
        )
        return {name: float(share) for name, share in found.items()}

    return ChoiceImportance(len(sampled), len(space), shares(0), shares(1))


def importance_section(report_data: ReportData) -> str:
    """Return the section."""
    found = importance(report_data)
    if not found.enough:
        few = (
            f"{found.trials} sampled trials of full fidelity are too few to say which of {found.choices} choices "
            f"mattered; at least {FEWEST_TRIALS} are asked for (ussearch run … --resume --trials N goes on)."
        )
        return section("importance", "Importance of choices", paragraph(few))
    names = sorted(found.objective, key=lambda name: -found.objective[name])[:SHOWN][::-1]
    bars = [
        _bars("objective", names, found.objective, LINE),
        _bars("latency", names, found.latency, "#cbd2d9"),
    ]
    layout = {
        **base_layout(),
        "barmode": "group",
        "xaxis": {**axis("share of the variance"), "tickformat": ".0%"},
        "yaxis": {"automargin": True, "tickfont": {"size": 12}},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "reversed"},
        "margin": {"l": 8, "r": 12, "t": 30, "b": 48},
    }
    lead = (
        f"Shares of the variance over {found.trials} sampled trials that each of {found.choices} choices explains "
        "(fANOVA). Trials were steered by the search, so that shares say where differences were seen, not causes."
    )
    figure = {"data": bars, "layout": layout}
    return section(
        "importance", "Importance of choices", chart("importance", figure, 420, "importance of choices"), lead=lead
    )


def _bars(name: str, names: list[str], shares: dict[str, float], colour: str) -> dict[str, object]:
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "y": [each.replace("_", " ") for each in names],
        "x": [shares.get(each, 0.0) for each in names],
        "marker": {"color": colour},
        "hovertemplate": "%{y}: %{x:.1%}<extra></extra>",
    }
