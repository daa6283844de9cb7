"""Is there a lesion at all: sensitivity and specificity by image, the ROC of presence, and what removes false
alarms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ussearch.pairs.bundles.manifest import Manifest, MetricsEntry
from ussearch.pairs.bundles.model_card_tables import FIGURES, RATES, WHO, estimate
from ussearch.report.markup import chart, facts, paragraph, section, table
from ussearch.report.plotting import LINE, MUTED, axis, base_layout
from ussearch.report.report_data import ReportData

COLOURS = {"edge": LINE, "cloud": "#d9480f"}


def presence_section(report_data: ReportData) -> str:
    """Return the section."""
    bundle = report_data.bundle
    if bundle is None:
        return section("presence", "False alarms", paragraph(report_data.told(report_data.without_bundle)))
    metrics = bundle.manifest.metrics
    if metrics.presence is None:
        words = "The format of this bundle tells nothing of it: ussearch export STUDY makes it again."
        return section("presence", "False alarms", paragraph(words))
    parts = [_rates(metrics)]
    if any(metrics.presence.values()):
        parts.append(chart("roc", roc_figure(metrics), 360, "sensitivity over false positives, by image"))
    else:
        parts.append(paragraph("There is no curve: all test images have a lesion, or none has.", "note"))
    parts += ["<h3>From probabilities to the mask</h3>", facts(list(steps(bundle.manifest)))]
    lead = (
        f"By image, on {metrics.images} test images. Found: what is marked covers the lesion with an IoU of 0.1. "
        "The curve is that of each network's surest lesion; a circle is where its masks stand."
    )
    return section("presence", "False alarms", *parts, lead=lead)


def _rates(metrics: MetricsEntry) -> str:
    """Return the rates of both networks and the pair, each with its interval over groups."""
    everything = next(each for each in metrics.subgroups if each.kind == "all")
    rows = [
        (who, *(estimate(getattr(everything, tier).get(name), name) for name in RATES)) for tier, who in WHO.items()
    ]
    return table(("", *(FIGURES[name] for name in RATES)), rows, numbers=range(1, len(RATES) + 1))


def roc_figure(metrics: MetricsEntry) -> dict[str, Any]:
    """Return the plotly figure of the ROC of both networks, with the point where each stands."""
    chance = {"color": MUTED, "width": 1, "dash": "dot"}
    traces: list[dict[str, Any]] = [
        {"type": "scatter", "mode": "lines", "name": "chance", "x": [0, 1], "y": [0, 1], "line": chance}
    ]
    for tier, roc in (metrics.presence or {}).items():
        if roc is None:
            continue
        x, y = zip(*roc.curve, strict=True)
        line = {"color": COLOURS[tier], "width": 1.8}
        name = f"{tier}, area {roc.auc:.2f}"
        traces.append({"type": "scatter", "mode": "lines", "name": name, "x": [*x], "y": [*y], "line": line})
        marker = {"size": 11, "color": COLOURS[tier], "symbol": "circle-open", "line": {"width": 2}}
        point = {"x": [roc.operating_point[0]], "y": [roc.operating_point[1]], "marker": marker, "showlegend": False}
        traces.append({"type": "scatter", "mode": "markers", "name": f"{tier}, its masks", **point})
    layout = {
        **base_layout(),
        "xaxis": {**axis("images without a lesion that are marked"), "tickformat": ".0%", "range": [-0.02, 1.02]},
        "yaxis": {**axis("images with a lesion that are marked"), "tickformat": ".0%", "range": [-0.02, 1.02]},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "margin": {"l": 62, "r": 12, "t": 36, "b": 48},
    }
    return {"data": traces, "layout": layout}


def steps(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Yield, for each network, what happens and why each step does or does not."""
    for tier in ("edge", "cloud"):
        if manifest.postprocessing is not None:
            yield tier, getattr(manifest.postprocessing, tier).sentence
        if manifest.postprocessing_choice is not None:
            for step in getattr(manifest.postprocessing_choice, tier).steps:
                yield f"{tier}, {step.step.replace('_', ' ')}", step.sentence
