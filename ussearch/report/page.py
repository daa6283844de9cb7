"""The page: all sections in one file that asks nothing of the network."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from ussearch import __version__
from ussearch.files import write_atomically
from ussearch.report.candidates import candidates_section, cards
from ussearch.report.compression import compression_section
from ussearch.report.data_card import data_section
from ussearch.report.document import asset, document
from ussearch.report.front import front_section
from ussearch.report.health import health_section
from ussearch.report.importance import importance_section
from ussearch.report.markup import text
from ussearch.report.material import Material, gather
from ussearch.report.noise import compare
from ussearch.report.progress import progress_section
from ussearch.report.reproduction import reproduction_section
from ussearch.report.routing import routing_section
from ussearch.report.segmentations import examples, segmentations_section

NAME = "report.html"
CONTENTS = {
    "front": "Front",
    "candidate": "Candidate",
    "segmentations": "Segmentations",
    "health": "Health",
    "progress": "Progress",
    "importance": "Importance",
    "compression": "Compression",
    "routing": "Routing",
    "data": "Data",
    "reproduction": "Reproduce",
}


def write_report(study: Path, out: Path | None = None, data: Path | None = None) -> Path:
    """Write the report of the study in the folder ``study`` and return its path, ``STUDY/report.html`` unless given.

    ``data`` says where the images lie now, if they were moved; without images the report leaves out what needs them.
    Raises UserError where there is no study, its records are damaged, or the file cannot be written.
    """
    path = out or study / NAME
    write_atomically(path, page(gather(study, data)))
    return path


def page(material: Material) -> str:
    """Return the whole page."""
    comparison = compare(material)
    pictures = examples(material)
    sections = (
        front_section(material, comparison),
        candidates_section(material, cards(material, comparison, pictures)),
        segmentations_section(material, pictures),
        health_section(material, comparison),
        progress_section(material),
        importance_section(material),
        compression_section(material),
        routing_section(material),
        data_section(material),
        reproduction_section(material),
    )
    title = f"{material.study.config.data.name} on {material.study.config.edge.title}"
    return document(
        title, _summary(material), CONTENTS, sections, footer=_made(), scripts=(_plotly(), asset("report.js"))
    )


def _summary(material: Material) -> str:
    """Return what a reader should know who reads nothing else."""
    config, best = material.study.config, material.best
    if best is None:
        return f'<p class="summary">{text("No trial has finished well yet.")}</p>'
    costs, metrics = best.costs("edge"), best.evaluation.metrics
    doubt = ", extrapolated" if costs.extrapolated else ""
    words = (
        f"{len(material.report.records)} of {config.trials} trials finished; {len(material.report.edge)} on the front "
        f"within {config.edge.limits.latency_target_ms:.1f} ms. The device's network is trial {best.slot} "
        f"({best.label}): selection {metrics.get('selection') or 0.0:.3f} on validation images in the search, "
        f"{costs.latency_ms:.1f} ms predicted{doubt}."
    )
    return f'<p class="summary">{text(words)}</p>'


def _made() -> str:
    now = datetime.now(timezone.utc).isoformat(timespec="minutes")
    return f"Made by ussearch {__version__}, {now}. Works without a network; figures are the records of the study."


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())
