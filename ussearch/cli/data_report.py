"""What ``data check`` prints: the table of what was understood, then what is wrong."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from ussearch.cli.console import console, counted, whole
from ussearch.datasets.reading.rows import format_row, reading_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ussearch.datasets import DataReport

_SHOWN = 10  # groups and problems on the screen; --json gives all
_FEW = 3


def show(report: DataReport) -> None:
    """Print a report."""
    console.print(f"{report.name} ({report.reader} in {report.root})", soft_wrap=True)
    table = Table(*whole("", ""), show_header=False)
    for title, value in _rows(report):
        table.add_row(title, value)
    console.print(table)
    for group in report.contradicting[:_SHOWN]:
        _line("near-duplicates of several classes", ", ".join(group), "yellow")
    _more(len(report.contradicting), "such groups")
    for pair in report.differing_masks[:_FEW]:
        _line("near-duplicates with other masks", " and ".join(pair), "yellow")
    _more(len(report.differing_masks), "such pairs", _FEW)
    for problem in report.problems[:_SHOWN]:
        _line(problem.kind, problem.message, "red" if problem.fatal else "yellow")
    _more(len(report.problems), "problems")
    if report.leakage:
        for group in report.leakage.leaking_groups[:_SHOWN]:
            _line("on both sides of the split", ", ".join(group), "yellow")
        _more(len(report.leakage.leaking_groups), "such groups")
    if report.vanished and report.vanished.images:
        _line("vanish at that size", ", ".join(report.vanished.images[:_SHOWN]), "yellow")
        _more(len(report.vanished.images), "such images")
    verdict, colour = ("can", "green") if report.sound else ("cannot", "red")
    console.print(f"Training {verdict} start.", style=colour)


def _spacing(report: DataReport) -> str:
    found = report.spacing
    if found is None:
        return "of unknown size"
    low, high = f"{found.low_mm:.3g}", f"{found.high_mm:.3g}"
    of = "" if found.images == report.readable else f", told by {found.images} of {report.readable} images"
    return f"{low if low == high else f'{low} to {high}'} mm a side{of}"


def _rows(report: DataReport) -> Iterator[tuple[str, str]]:
    sizes = [f"{size} ({count})" for size, count in report.sizes.items()]
    together = sum(map(len, report.near_duplicates))
    yield "images", f"{report.images}, of which {report.readable} can be used"
    yield format_row(report.formats)
    if report.reading is not None:
        yield from reading_rows(report.reading)
    if report.clipped_values:
        yield (
            "beyond that scale",
            (
                f"{counted(report.clipped_values, 'value')} of {counted(report.clipped_images, 'image')}, clipped "
                "(--grey-scale says otherwise)"
            ),
        )
    if report.folders is not None:
        yield "sub-folders", f"{report.folders} (--folders says otherwise)"
    if report.parts:
        yield "parts given", ", ".join(f"{part} {count}" for part, count in report.parts.items())
    yield "classes", ", ".join(f"{name} {count}" for name, count in report.classes.items())
    yield "patients", "unknown" if report.patients is None else str(report.patients)
    yield "pixels", _spacing(report)
    yield "sizes", ", ".join(sizes[:4]) + (f" and {len(sizes) - 4} more" if len(sizes) > 4 else "")
    yield "empty masks", str(report.empty_masks)
    yield "images with several masks", str(report.several_masks)
    yield "lesion share of the image", ", ".join(f"{name} {value:.2%}" for name, value in report.lesion_share.items())
    if report.vanished:
        lost = report.vanished
        yield (
            f"at {lost.image_size} pixels",
            f"{lost.lost} of {counted(lost.lesions, 'lesion')} vanish; {counted(len(lost.images), 'image')} would "
            "count as without lesion",
        )
    yield (
        "near-duplicates",
        f"{counted(report.near_duplicate_pairs, 'pair')}, {counted(together, 'image')} in "
        f"{counted(len(report.near_duplicates), 'group')}",
    )
    if report.differing_masks:
        pairs = counted(len(report.differing_masks), "pair")
        yield "of these, other masks", f"{pairs} whose masks overlap by less than half"
    yield "independent groups", f"{report.split_groups} (near-duplicates and patients stay together in splits)"
    kinds = Counter(problem.kind for problem in report.problems)
    yield "problems", ", ".join(f"{kind} {count}" for kind, count in kinds.items()) or "none"
    if report.leakage:
        parts = ", ".join(f"{part} {count}" for part, count in report.leakage.parts.items())
        torn = f"{counted(len(report.leakage.leaking_groups), 'group')} on both sides"
        yield "split", f"{report.leakage.source}: {parts}"
        if report.leakage.unused:
            yield "not in the split", report.leakage.unused
        yield "leakage", f"{torn}, {counted(report.leakage.test_images_concerned, 'test image')} concerned"


def _line(kind: str, message: str, colour: str) -> None:
    """Print ``kind`` in a colour and the message after it, exactly as it is."""
    console.print(Text.assemble((f"{kind}:", colour), " ", message), soft_wrap=True)


def _more(count: int, what: str, shown: int = _SHOWN) -> None:
    if count > shown:
        console.print(f"… and {count - shown} more {what}; --json lists them all.")
