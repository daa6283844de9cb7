"""The page: all sections in one file that asks nothing of the network."""

from __future__ import annotations

from datetime import datetime, timezone
from importlib import resources
from pathlib import Path

from ussearch import __version__
from ussearch.files import write_atomically
from ussearch.report.candidates import candidates_section, cards
from ussearch.report.compression import compression_section
from ussearch.report.data_card import data_section
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
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
"""What the browser itself enforces: nothing is fetched, whatever the file holds."""
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
    links = "".join(f'<a href="#{name}">{text(words)}</a>' for name, words in CONTENTS.items())
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{text(title)}</title>'
        f"<style>{_asset('report.css')}</style></head><body>"
        f"<header><h1>{text(title)}</h1>{_summary(material)}<nav>{links}</nav></header>"
        f"<main>{''.join(sections)}</main><footer>{text(_made())}</footer>"
        f"<script>{_plotly()}</script><script>{_asset('report.js')}</script></body></html>\n"
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


def _asset(name: str) -> str:
    return (resources.files("ussearch.report") / "assets" / name).read_text(encoding="utf-8")


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())
