"""What compression did to the winner, step by step."""

from __future__ import annotations

from dataclasses import replace

from ussearch import schema
from ussearch.compress import COMPRESSION, Compression
from ussearch.compress.waterfall import WaterfallRow, rows
from ussearch.errors import UserError
from ussearch.pairs.delivery.compression import FOLDER
from ussearch.report.markup import figure_of, paragraph, section, text
from ussearch.report.report_data import ReportData

VERDICTS = {"kept": "good", "ships": "good", "undone": "bad", "beaten": "bad"}


def compressions(report_data: ReportData) -> dict[int, Compression]:
    """Return the chains of the study by trial; raises UserError naming a record that is damaged."""
    found = {}
    for path in sorted((report_data.study.folder / FOLDER).glob(f"*/{COMPRESSION}")):
        try:
            found[int(path.parent.name)] = Compression.model_validate(schema.COMPRESSION.read(path))
        except ValueError as error:
            raise UserError(f"{path} is damaged: delete it, ussearch compress makes it again.") from error
    return found


def compression_section(report_data: ReportData) -> str:
    """Return the section."""
    found = compressions(report_data)
    if not found:
        best = report_data.best
        trial = "N" if best is None else str(best.trial_id)
        command = f"ussearch compress STUDY --trial {trial}"
        return section("compression", "Compression", paragraph(f"No chain was run; this runs one: {command}."))
    parts = []
    for trial_id, chain in found.items():
        title = f"Trial {trial_id} ({chain.architecture}) for {chain.profile}: shipped {chain.form}"
        lines = [replace(row, reason=report_data.told(row.reason)) for row in rows(chain)]
        parts.append(f"<h3>{text(title)}</h3>{waterfall(lines)}")
    note = "Dice: mean over validation images, two empty masks counting 1; its change with the 95 % interval."
    return section("compression", "Compression", *parts, paragraph(note, "note"))


def waterfall(lines: list[WaterfallRow]) -> str:
    """Return the rows as a table with bars for Dice, latency and size; every bar's full width is the greatest value."""
    greatest = [
        max((each for each in values if each is not None), default=1.0) or 1.0
        for values in ([row.dice for row in lines], [row.ratio for row in lines], [row.kib for row in lines])
    ]
    heads = "".join(f"<th>{text(head)}</th>" for head in ("step", "Dice", "change", "latency, × before", "KiB", "why"))
    body = "".join(_line(row, greatest) for row in lines)
    return (
        f'<div class="wide"><table class="waterfall"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _line(row: WaterfallRow, greatest: list[float]) -> str:
    change = row.change and (f"{row.change[0]:+.3f}", f"{row.change[1]:+.3f} to {row.change[2]:+.3f}")
    latency = figure_of(row.ratio, 2) + ("" if row.latency_ms is None else f" ({row.latency_ms:.1f} ms)")
    cells = (
        f'<td>{text(row.title)} <span class="verdict {VERDICTS.get(row.verdict, "")}">{text(row.verdict)}</span></td>',
        _bar(row.dice, greatest[0], figure_of(row.dice)),
        f'<td class="change">{"<br>".join(map(text, change or ()))}</td>',
        _bar(row.ratio, greatest[1], latency),
        _bar(row.kib, greatest[2], figure_of(row.kib, 0)),
        f'<td class="why">{text(row.reason)}</td>',
    )
    return f"<tr>{''.join(cells)}</tr>"


def _bar(value: float | None, greatest: float, words: str) -> str:
    if value is None:
        return "<td>–</td>"
    return f'<td class="bar"><span style="width:{100 * value / greatest:.1f}%"></span>{text(words)}</td>'
