"""A data set as one page: counts, sizes, splits, and pictures of what is double, broken or empty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from ussearch import __version__
from ussearch.datasets import DataReport, Dataset
from ussearch.datasets.dataset import Problem
from ussearch.datasets.reading.rows import format_row, reading_rows
from ussearch.files import write_atomically
from ussearch.report.markup import document, facts, paragraph, section, table, text
from ussearch.report.thumbnails import Gallery

MOST_GROUPS, MOST_PROBLEMS, MOST_EMPTY, MOST_SIZES = 200, 100, 40, 8
"""Shown on the page; the command's --json has all."""
CONTENTS = {
    "overview": "Overview",
    "problems": "Problems",
    "contradicting": "Contradictions",
    "duplicates": "Near-duplicates",
    "split": "Split",
    "empty": "Empty masks",
}


def write_data_page(report: DataReport, dataset: Dataset, out: Path) -> Path:
    """Write what ``check`` found in ``dataset`` as one HTML file that works without a network; return its path.

    Raises UserError where the file cannot be written. Files are named by their paths in the data set; headers of DICOM
    files are not shown, but the pictures are those of the data set.
    """
    write_atomically(out, data_page(report, dataset))
    return out


def data_page(report: DataReport, dataset: Dataset) -> str:
    """Return the whole page."""
    gallery = Gallery(dataset)
    sections = (
        _overview(report),
        _problems(report, gallery),
        _contradictions(report, gallery),
        _duplicates(report, gallery),
        _split(report, gallery),
        _empty(report, gallery),
    )
    verdict = "Training can start." if report.sound else "Training cannot start: see the problems."
    summary = f'<p class="summary">{text(f"{report.images} images read as {report.reader}. {verdict}")}</p>'
    footer = (
        f"Made by ussearch {__version__}. Works without a network. It holds pictures and file names of the data set: "
        "treat it as you treat the data."
    )
    return document(f"Data set {report.name}", summary, CONTENTS, sections, footer=footer)


def _overview(report: DataReport) -> str:
    share = ", ".join(f"{name} {value:.1%}" for name, value in report.lesion_share.items())
    named = [
        ("images", f"{report.images}, of which {report.readable} can be used"),
        format_row(report.formats),
        *([] if report.reading is None else reading_rows(report.reading)),
        ("patients", "unknown" if report.patients is None else report.patients),
        ("independent groups", f"{report.split_groups}: near-duplicates and one patient's images stay together"),
        ("near-duplicates", f"pairs: {report.near_duplicate_pairs}, groups: {len(report.near_duplicates)}"),
        ("images with several masks", report.several_masks),
        ("lesion's share of the image", f"{share} (percentiles of images with a lesion)" if share else "no lesion"),
    ]
    classes = [(name, count, report.empty_by_class.get(name, 0)) for name, count in report.classes.items()]
    sizes = list(report.sizes.items())
    rest = sum(count for _, count in sizes[MOST_SIZES:])
    rows = sizes[:MOST_SIZES] + ([(f"{len(sizes) - MOST_SIZES} other sizes", rest)] if rest else [])
    columns = (
        f"<div><h3>Classes</h3>{table(('class', 'images', 'empty masks'), classes, numbers=(1, 2))}</div>"
        f"<div><h3>Sizes in pixels</h3>{table(('width x height', 'images'), rows, numbers=(1,))}</div>"
    )
    return section("overview", "Overview", facts(named), f'<div class="columns">{columns}</div>')


def _problems(report: DataReport, gallery: Gallery) -> str:
    if not report.problems:
        return section("problems", "Problems", paragraph("None: every file was read, every image has its mask."))
    parts = []
    for problem in report.problems[:MOST_PROBLEMS]:
        kind = "bad" if problem.fatal else "look"
        words = f'<span class="verdict {kind}">{text(problem.kind)}</span> {text(_told(problem, report))}'
        parts.append(f'<li class="{kind}">{words}{_together(gallery.of_file(problem.file))}</li>')
    kinds = Counter(problem.kind for problem in report.problems)
    lead = ", ".join(f"{kind} {count}" for kind, count in kinds.items())
    checks = f'<ul class="checks">{"".join(parts)}</ul>'
    return section("problems", "Problems", checks, _more(report.problems, MOST_PROBLEMS), lead=lead)


def _told(problem: Problem, report: DataReport) -> str:
    """Return the sentence with paths as they are inside the data set."""
    return problem.message.replace(f"{report.root}/", "").replace(report.root, report.name)


def _contradictions(report: DataReport, gallery: Gallery) -> str:
    lead = "Near-duplicates that carry several classes: one of the labels is wrong, or one picture was used twice."
    title = "Near-duplicates of several classes"
    if not report.contradicting:
        return section("contradicting", title, paragraph("None."))
    return section("contradicting", title, _groups(report.contradicting, gallery), lead=lead)


def _duplicates(report: DataReport, gallery: Gallery) -> str:
    others = [group for group in report.near_duplicates if group not in report.contradicting]
    lead = (
        "Images whose thumbnails correlate above 0.98. They stay on one side of a split; annotations of the same "
        "picture that differ tell how well people agree. Yellow: the mask's outline."
    )
    if not others:
        return section("duplicates", "Near-duplicates", paragraph("No others."))
    return section("duplicates", "Near-duplicates", _groups(others, gallery), lead=lead)


def _split(report: DataReport, gallery: Gallery) -> str:
    leakage = report.leakage
    if leakage is None:
        words = "No published split was given (--split-file). The splits of ussearch keep each group together."
        return section("split", "Split", paragraph(words))
    parts = table(("part", "images"), leakage.parts.items(), numbers=(1,))
    verdict = (
        f"Groups on both sides: {len(leakage.leaking_groups)}. Test images with a near-duplicate, or an image of the "
        f"same patient, among those that are learnt from: {leakage.test_images_concerned}."
    )
    name = leakage.source
    return section("split", f"Split {name}", parts, paragraph(verdict), _groups(leakage.leaking_groups, gallery))


def _empty(report: DataReport, gallery: Gallery) -> str:
    if not report.without_lesion:
        return section("empty", "Empty masks", paragraph("None: every image shows a lesion."))
    shown = "".join(gallery.of_sample(identity) for identity in report.without_lesion[:MOST_EMPTY])
    lead = "Images in which nothing is marked: right for normal findings, a fault of the annotation elsewhere."
    pictures, rest = _together(shown), _more(report.without_lesion, MOST_EMPTY)
    return section("empty", "Empty masks", pictures, rest, lead=f"{lead} {len(report.without_lesion)} of them.")


def _groups(groups: Iterable[tuple[str, ...]], gallery: Gallery) -> str:
    listed = list(groups)
    shown = "".join(_together("".join(map(gallery.of_sample, group))) for group in listed[:MOST_GROUPS])
    return f'<div class="groups">{shown}</div>{_more(listed, MOST_GROUPS)}'


def _together(figures: str) -> str:
    return f'<div class="group">{figures}</div>' if figures else ""


def _more(listed: Iterable[object], most: int) -> str:
    hidden = len(list(listed)) - most
    return paragraph(f"… and {hidden} more: ussearch data check --json lists them all.", "note") if hidden > 0 else ""
