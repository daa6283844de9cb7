"""The page: all sections in one file that asks nothing of the network."""

from __future__ import annotations

import logging
from datetime import datetime, timezone
from pathlib import Path

from ussearch import __version__
from ussearch.files import write_atomically
from ussearch.own_files import refuse_foreign
from ussearch.report.candidates import candidates_section, cards
from ussearch.report.checks import checks_section
from ussearch.report.compression import compression_section
from ussearch.report.data_card import data_section
from ussearch.report.front import front_section
from ussearch.report.importance import importance_section
from ussearch.report.markup import asset, document, text
from ussearch.report.presence import presence_section
from ussearch.report.progress import progress_section
from ussearch.report.published import published_section
from ussearch.report.report_data import ReportData, gather
from ussearch.report.reproduction import reproduction_section
from ussearch.report.routing import routing_section
from ussearch.report.segmentations import examples, segmentations_section
from ussearch.report.significance import compare

NAME = "report.html"
CONTENTS = {
    "front": "Front",
    "candidate": "Candidate",
    "segmentations": "Segmentations",
    "health": "Health",
    "progress": "Progress",
    "importance": "Importance",
    "compression": "Compression",
    "published": "Presets",
    "routing": "Routing",
    "presence": "False alarms",
    "data": "Data",
    "reproduction": "Reproduce",
}


def write_report(study: Path, out: Path | None = None, data: Path | None = None, *, names: bool = False) -> Path:
    """Write the report of the study in the folder ``study`` and return its path, ``STUDY/report.html`` unless given.

    ``data`` says where the images lie now, if they were moved; without images the report leaves out what needs them.
    Images are numbered as in ``split.json``; with ``names`` files, folders and classes are called by their names, too.
    Raises UserError where there is no study, its records are damaged, the file cannot be written, or another file than
    a page of ussearch stands there.
    """
    path = out or study / NAME
    refuse_foreign([path], "give the report another name with --out")
    report_data = gather(study, data, names=names)
    if report_data.without_images:
        logging.getLogger(__name__).warning("the report shows no images: %s", report_data.about_images)
    write_atomically(path, page(report_data))
    return path


def page(report_data: ReportData) -> str:
    """Return the whole page."""
    comparison = compare(report_data)
    pictures = examples(report_data)
    sections = (
        front_section(report_data, comparison),
        candidates_section(report_data, cards(report_data, comparison, pictures)),
        segmentations_section(report_data, pictures),
        checks_section(report_data, comparison),
        progress_section(report_data),
        importance_section(report_data),
        compression_section(report_data),
        published_section(report_data),
        routing_section(report_data),
        presence_section(report_data),
        data_section(report_data),
        reproduction_section(report_data),
    )
    title = f"{report_data.data_name} on {report_data.study.config.edge.title}"
    return document(
        title, _summary(report_data), CONTENTS, sections, footer=_made(), scripts=(_plotly(), asset("report.js"))
    )


def _summary(report_data: ReportData) -> str:
    """Return what a reader should know who reads nothing else."""
    config, best = report_data.study.config, report_data.best
    if best is None:
        return f'<p class="summary">{text("No trial has finished well yet.")}</p>'
    costs, metrics = best.costs("edge"), best.evaluation.metrics
    doubt = ", extrapolated" if costs.extrapolated else ""
    words = (
        f"{config.counted(len(report_data.report.records))} finished; {len(report_data.report.edge)} on the "
        f"front within {config.edge.latency_limit(config.image_size)}. The device's network is trial {best.trial_id} "
        f"({best.label}): objective {metrics.get('objective') or 0.0:.3f} on validation images in the search, "
        f"{costs.latency_ms:.1f} ms predicted{doubt}."
    )
    return f'<p class="summary">{text(words)}</p>'


def _made() -> str:
    now = datetime.now(timezone.utc).isoformat(timespec="minutes")
    return f"Made by ussearch {__version__}, {now}. Works without a network; figures are the records of the study."


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())
