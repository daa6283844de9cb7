"""What the pair's router does, what it is worth, and what both networks score on the test images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ussearch.pairs.bundles.manifest import Manifest
from ussearch.pairs.bundles.route_report import RouteReport, route_report
from ussearch.pairs.routing.curves import curve
from ussearch.pairs.routing.router_comparison import LEARNED, ORACLE, RANDOM, SDC
from ussearch.report.cloud import cloud_parts
from ussearch.report.markup import chart, facts, figure_of, paragraph, percent, section, table
from ussearch.report.plotting import LINE, MUTED, axis, base_layout
from ussearch.report.report_data import ReportData

METRICS = {"lesion_dice": "lesion Dice", "dice_all": "Dice, all", "iou": "IoU", "hd95": "HD95 px", "auc": "AUC"}
IN_MM = {"hd95_mm": "HD95 mm"}
STYLES = {LEARNED: (LINE, "solid"), SDC: ("#d9480f", "solid"), ORACLE: (MUTED, "dot"), RANDOM: (MUTED, "dash")}
"""Of the routers that are drawn."""


def decision(manifest: Manifest) -> list[tuple[str, str]]:
    """Return what the manifest records of the router, as names with values."""
    router, found = manifest.router, []
    found.append(("score", router.score.replace("_", " ") + (" (in the network's file)" if router.in_graph else "")))
    found.append(("threshold", f"{router.threshold:.4f}: below it the image goes to the cloud"))
    share = f"{router.requested_share:.0%} requested, {manifest.metrics.offload_share:.0%} of the test images sent"
    found.append(("offload", share))
    found.append(("calibrated on", f"{router.calibration_images} images"))
    sentences = {
        "worth": router.routing_gain and router.routing_gain.sentence,
        "why this score": router.score_reason,
        "why this threshold": router.reason,
    }
    found += [(name, sentence) for name, sentence in sentences.items() if sentence]
    if router.out_of_fold:
        lesson = router.out_of_fold
        words = f"edge {lesson.edge_dice:.3f} (in sample {lesson.in_sample_edge_dice:.3f}), cloud "
        words += f"{lesson.cloud_dice:.3f} ({lesson.in_sample_cloud_dice:.3f}); {lesson.images} images"
        found.append(("Dice out of fold", words))
    return found


def curves(report: RouteReport) -> dict[str, tuple[list[float], list[float]]]:
    """Return, by router, the offload shares and the mean Dice of the pair at each, on the test images."""
    found = {}
    for name, confidence in report.confidences.items():
        each = curve(report.samples.edge_dice, report.samples.cloud_dice, confidence)
        found[name] = (each.shares.tolist(), each.quality.tolist())
    return found


def routing_section(report_data: ReportData) -> str:
    """Return the section."""
    bundle = report_data.bundle
    if bundle is None:
        return section("routing", "Pair and routing", paragraph(report_data.told(report_data.without_bundle)))
    manifest = bundle.manifest
    decided = [(name, report_data.told(words)) for name, words in decision(manifest)]
    parts = [_figures(manifest), *cloud_parts(bundle, report_data.told), "<h3>The router</h3>", facts(decided)]
    if report_data.study_context is None:
        parts.append(paragraph(f"The curve needs the images. {report_data.about_images}", "note"))
    else:
        report = route_report(bundle, report_data.study_context.images)
        parts.append(chart("routing", routing_figure(report), 340, "quality of the pair over the share sent away"))
        parts.append(_routers(report))
    lead = f"Figures of the files that ship, on {manifest.metrics.images} test images."
    return section("routing", "Pair and routing", *parts, lead=lead)


def _figures(manifest: Manifest) -> str:
    entries: Mapping[str, Mapping[str, float | None]] = {
        "edge network": manifest.metrics.edge,
        "cloud network": manifest.metrics.cloud,
        f"pair, {manifest.metrics.offload_share:.0%} to the cloud": manifest.metrics.routed,
    }
    told = {**METRICS, **(IN_MM if manifest.metrics.edge.get("hd95_mm") is not None else {})}
    rows = [
        (name, *(_spread(figures, key) for key in told), percent(figures.get("false_positive_rate")))
        for name, figures in entries.items()
    ]
    return table(("", *told.values(), "false positives"), rows, numbers=range(1, len(told) + 2))


def _spread(figures: Mapping[str, float | None], key: str) -> str:
    digits = {"hd95": 1, "hd95_mm": 2}.get(key, 3)
    return f"{figure_of(figures.get(key), digits)} ± {figure_of(figures.get(f'{key}_sd'), digits)}"


def routing_figure(report: RouteReport) -> dict[str, Any]:
    """Return the plotly figure of quality against offload, with the point of the bundle's own threshold."""
    traces: list[dict[str, Any]] = []
    for name, (shares, quality) in curves(report).items():
        if name in STYLES:
            colour, dash = STYLES[name]
            line = {"color": colour, "width": 1.8, "dash": dash}
            traces.append({"type": "scatter", "mode": "lines", "name": name, "x": shares, "y": quality, "line": line})
    sent, samples = report.sent, report.samples
    routed = float((samples.edge_dice * ~sent + samples.cloud_dice * sent).mean())
    marker = {"size": 10, "color": LINE}
    own = {"mode": "markers", "name": "this bundle", "x": [float(sent.mean())], "y": [routed], "marker": marker}
    traces.append({"type": "scatter", **own})
    layout = {
        **base_layout(),
        "xaxis": {**axis("share sent to the cloud"), "tickformat": ".0%", "range": [-0.02, 1.02]},
        "yaxis": {**axis("mean Dice, all test images"), "tickformat": ".3f"},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "margin": {"l": 62, "r": 12, "t": 36, "b": 48},
    }
    return {"data": traces, "layout": layout}


def _routers(report: RouteReport) -> str:
    """Return every router's figures; APGR is a share of the gap, and no figure where the gap may be 0."""
    low, high = report.comparison.gap_interval
    unclear = low <= 0 <= high
    rows = [
        (
            row.name,
            "–" if unclear else figure_of(row.apgr, 2),
            "" if unclear else _interval(row.apgr_interval),
            figure_of(row.skill, 2),
            _interval(row.skill_interval),
            percent(row.calls_saved),
        )
        for row in report.comparison.rows
    ]
    words = f"Cloud less edge: {report.comparison.gap:+.3f} of Dice ({low:+.3f} to {high:+.3f}) on the test images"
    doubt = "; the interval holds 0, so that APGR, a share of it, means nothing here" if unclear else ""
    head = ("router", "APGR", "95 %", "skill", "95 %", "calls saved at 1 point")
    return table(head, rows, numbers=range(1, 6)) + paragraph(f"{words}{doubt}.", "note")


def _interval(bounds: tuple[float, float] | None) -> str:
    return "" if bounds is None else f"{figure_of(bounds[0], 2)} to {figure_of(bounds[1], 2)}"
