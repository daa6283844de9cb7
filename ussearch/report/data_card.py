"""Which data the study learned from: counts, what belongs together, the split, the fingerprint."""

from __future__ import annotations

from dataclasses import dataclass

from ussearch.datasets.counts import NO_LABEL, DataCounts, counts_of
from ussearch.datasets.reading.rows import loss_rows, reading_rows
from ussearch.report.markup import facts, paragraph, section, table
from ussearch.report.report_data import ReportData


@dataclass(frozen=True)
class PartRow:
    """Images of one part of the split; what needs the images themselves is None without them."""

    part: str
    images: int
    lesions: int | None
    groups: int | None
    labels: dict[str, int]


@dataclass(frozen=True)
class DataCard:
    """The data set; ``together`` images share a group (patient, near-duplicates) with another one."""

    name: str
    reader: str
    fingerprint: str
    images: int
    image_size: int
    split: str
    leaking_groups: int
    parts: tuple[PartRow, ...]
    groups: int | None
    together: int | None
    largest_group: int | None


def data_card(report_data: ReportData) -> DataCard:
    """Return what the study's records and, where they are there, its images tell."""
    config, split, context = report_data.study.config, report_data.study.split, report_data.study_context
    counts = None if context is None else counts_of(context.images, split, names=report_data.names)
    return DataCard(
        name=report_data.data_name,
        reader=config.data.reader,
        fingerprint=config.data.fingerprint,
        images=config.data.images,
        image_size=config.image_size,
        split=report_data.split_source,
        leaking_groups=len(split.leaking_groups),
        parts=tuple(_part(part, indices, counts) for part, indices in split.parts().items()),
        groups=None if counts is None else counts.groups,
        together=None if counts is None else counts.together,
        largest_group=None if counts is None else counts.largest_group,
    )


def _part(part: str, indices: tuple[int, ...], counts: DataCounts | None) -> PartRow:
    if counts is None:
        return PartRow(part, len(indices), None, None, {})
    found = counts.parts[part]
    return PartRow(part, found.images, found.lesions, found.groups, found.labels)


def data_section(report_data: ReportData) -> str:
    """Return the section."""
    card = data_card(report_data)
    labels = sorted({label for part in card.parts for label in part.labels} - {NO_LABEL})
    head = ("part", "images", "with lesion", "groups", *labels)
    rows = [
        (part.part, part.images, _shown(part.lesions), _shown(part.groups), *(part.labels.get(x, 0) for x in labels))
        for part in card.parts
    ]
    named = [
        ("data set", f"{card.name} ({card.reader}), {card.images} images, used at {card.image_size}×{card.image_size}"),
        ("fingerprint", card.fingerprint),
        ("split", card.split),
    ]
    if reading := report_data.study.config.data.reading:
        named += reading_rows(reading)
    named += loss_rows(report_data.study.config.data.losses)
    if card.groups is not None:
        together = f"{card.together} images share a group (one patient, or near-duplicates) with another; "
        named.append(("groups", f"{card.groups}; {together}the largest has {card.largest_group}"))
    if card.leaking_groups:
        named.append(("torn apart", f"{card.leaking_groups} groups are in several parts of the given split"))
    note = (
        ""
        if report_data.study_context
        else paragraph(f"Counted from the split alone. {report_data.about_images}", "note")
    )
    return section("data", "Data card", facts(named), table(head, rows, numbers=range(1, len(head))), note)


def _shown(count: int | None) -> str:
    return "–" if count is None else str(count)
