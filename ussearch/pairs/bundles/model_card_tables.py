"""Tables and figures of a model card, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ussearch.compress import Compression
from ussearch.compress.waterfall import WaterfallRow, rows
from ussearch.datasets.counts import NO_LABEL, DataCounts
from ussearch.evaluators import Tier
from ussearch.hardware_profiles import Profile
from ussearch.pairs.bundles.latency import latency_told
from ussearch.pairs.bundles.manifest import Manifest, MetricsEntry, NetworkEntry
from ussearch.pairs.bundles.shareable import without_places
from ussearch.pairs.bundles.subgroups import Estimate, Subgroup

FIGURES = {
    "lesion_dice": "lesion Dice",
    "iou": "IoU",
    "hd95": "HD95 (px)",
    "hd95_mm": "HD95 (mm)",
    "false_positive_rate": "false positives",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "found": "found",
}
RATES = ("false_positive_rate", "sensitivity", "specificity", "found")
WHO = {"edge": "edge", "cloud": "cloud", "routed": "pair"}
BESIDE_BASELINES = ("lesion_dice", "dice_all", "objective")
NOTHING = "–"


def bullets(lines: Iterable[str]) -> str:
    """Return a list."""
    return "\n".join(f"- {line}" for line in lines)


def table(head: Sequence[str], body: Iterable[Sequence[str]], numbers: int) -> str:
    """Return a table; its last ``numbers`` columns are set to the right."""
    words = len(head) - numbers
    rule = ["---"] * words + ["--:"] * numbers
    lines = [head, rule, *body]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def share(value: float) -> str:
    """Return a share (0 to 1) in per cent."""
    return f"{100 * value:.0f} %"


def estimate(found: Estimate | None, figure: str = "lesion_dice") -> str:
    """Return a mean with its interval, rates in per cent and distances in pixels or mm."""
    if found is None:
        return NOTHING
    written = {"hd95": (1, 1, ""), "hd95_mm": (1, 2, ""), **dict.fromkeys(RATES, (100, 0, " %"))}
    scale, digits, unit = written.get(figure, (1, 3, ""))
    mean = f"{scale * found.mean:.{digits}f}{unit}"
    if found.low is None or found.high is None:
        return mean
    return f"{mean} ({scale * found.low:.{digits}f} to {scale * found.high:.{digits}f})"


def subgroups_table(subgroups: Sequence[Subgroup], figures: Sequence[str]) -> str:
    """Return the figures of each subgroup, a row for each network and the pair; what no subgroup has is left out."""
    figures = [name for name in figures if any(each.edge.get(name) for each in subgroups)]
    body = []
    for subgroup in subgroups:
        named = subgroup.name if subgroup.kind != "size" else f"{subgroup.name}, {_cover(subgroup)}"
        for number, (tier, who) in enumerate(WHO.items()):
            estimates: Mapping[str, Estimate | None] = getattr(subgroup, tier)
            first = (named, f"{subgroup.images}, {subgroup.groups}") if number == 0 else ("", "")
            body.append([*first, who, *(estimate(estimates.get(name), name) for name in figures)])
    head = ["", "images, groups", "answered by", *(FIGURES[name] for name in figures)]
    return table(head, body, len(figures))


def presence_table(metrics: MetricsEntry) -> str:
    """Return sensitivity and specificity by image with intervals, and the area under each network's ROC curve."""
    everything = next(each for each in metrics.subgroups if each.kind == "all")
    body = []
    for tier, who in WHO.items():
        estimates: Mapping[str, Estimate | None] = getattr(everything, tier)
        roc = (metrics.presence or {}).get(tier)
        area = NOTHING if roc is None else f"{roc.auc:.3f}"
        if roc is not None and roc.low is not None and roc.high is not None:
            area += f" ({roc.low:.3f} to {roc.high:.3f})"
        body.append([who, *(estimate(estimates.get(name), name) for name in RATES[1:]), area])
    return table(["", *(FIGURES[name] for name in RATES[1:]), "area under ROC"], body, 4)


def baselines_table(metrics: MetricsEntry) -> str:
    """Return what both networks and the pair reach beside the trivial baselines, on the same images."""
    rows = {WHO[tier]: getattr(metrics, tier) for tier in WHO} | dict(metrics.baselines)
    body = [[name, *(_plain(summary.get(key)) for key in BESIDE_BASELINES)] for name, summary in rows.items()]
    return table(["", "lesion Dice", "Dice, all", "objective"], body, len(BESIDE_BASELINES))


def _plain(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"


def _cover(subgroup: Subgroup) -> str:
    low, high = subgroup.shares or (0.0, 0.0)
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def network_table(manifest: Manifest, profiles: Mapping[Tier, Profile]) -> str:
    """Return what both ends are and cost."""
    entries = {tier: manifest.entry(tier) for tier in profiles}
    side = manifest.preprocessing.image_size
    lines: dict[str, list[str]] = {
        "architecture": [", ".join(filter(None, (each.architecture, each.ensemble))) for each in entries.values()],
        "trial of the study": [NOTHING if entry.trial is None else str(entry.trial) for entry in entries.values()],
        "starts from": [_start(entry) for entry in entries.values()],
        "device": [f"{profile.title} (`{profile.name}`)" for profile in profiles.values()],
        "runtime": [profile.runtime for profile in profiles.values()],
        "precision": [entry.precision for entry in entries.values()],
        "parameters": [_count(entry, "parameters") for entry in entries.values()],
        "MACs": [_count(entry, "macs") for entry in entries.values()],
        "file (KiB)": [_count(entry, "file_bytes", 1024) for entry in entries.values()],
        "peak memory (MiB), predicted": [_count(entry, "memory_mib") for entry in entries.values()],
        "latency": [latency_told(entries[tier], profiles[tier], side) or NOTHING for tier in profiles],
        "limits of the device": [profile.limits_in_words(side) for profile in profiles.values()],
        "ONNX": [f"opset {entry.opset}, IR {entry.ir_version}" for entry in entries.values()],
    }
    return table(["", *entries], ([name, *cells] for name, cells in lines.items()), 0)


def _start(entry: NetworkEntry) -> str:
    found = entry.pretrained
    return "scratch" if found is None else f"{found.weights} ({found.part})"


def _count(entry: NetworkEntry, name: str, unit: int = 1) -> str:
    value = entry.costs.get(name)
    return f"{value / unit:,.0f}" if isinstance(value, (int, float)) else NOTHING


def part_table(counts: DataCounts) -> str:
    """Return the images of each part, by class where there are classes."""
    labels = sorted({label for part in counts.parts.values() for label in part.labels} - {NO_LABEL})
    body = [
        [name, *map(str, (part.images, part.lesions, part.groups, *(part.labels.get(each, 0) for each in labels)))]
        for name, part in counts.parts.items()
    ]
    head = ["part", "images", "with a lesion", "groups", *labels]
    return table(head, body, len(head) - 1)


def compression_table(compression: Compression) -> str:
    """Return every attempt of the chain: what was kept, undone, and why."""
    head = ["step", "verdict", "why", "Dice", "change in points", "ms", "× ms", "KiB"]
    body = [[row.title, row.verdict, without_places(row.reason), *_measures(row)] for row in rows(compression)]
    return table(head, body, 5)


def _measures(row: WaterfallRow) -> tuple[str, str, str, str, str]:
    points = None if row.change is None else tuple(100 * each for each in row.change)
    return (
        NOTHING if row.dice is None else f"{row.dice:.3f}",
        NOTHING if points is None else "{:+.1f} ({:+.1f} to {:+.1f})".format(*points),
        NOTHING if row.latency_ms is None else f"{row.latency_ms:.2f}",
        NOTHING if row.ratio is None else f"{row.ratio:.2f}",
        NOTHING if row.kib is None else f"{row.kib:,.0f}",
    )
