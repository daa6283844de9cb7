"""How commands print: JSON as it is, tables by rich, plain where there is no terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from ussearch.cli.console import console, say
from ussearch.cli.tables import EXTRAPOLATED, doubts, excess, interval, milliseconds


def print_json(value: Any) -> None:
    """Print ``value`` as indented JSON and nothing else."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def print_presets(sheets: Sequence[dict[str, Any]], *, detailed: bool) -> None:
    """Print one row a preset; ``detailed`` adds what is inferred, unknown and how thop counts."""
    table = _preset_table(sheets, intervals=True)
    console.print(_preset_table(sheets, intervals=False) if excess(table) else table)
    if any(sheet.get("latency", {}).get("extrapolated") for sheet in sheets):
        say(EXTRAPOLATED)
    console.print("MACs: convolutions and matrix products, exact; thop's hooks miss functional convolutions.")
    if detailed:
        _print_details(sheets[0])


def _preset_table(sheets: Sequence[dict[str, Any]], *, intervals: bool) -> Table:
    table = Table(title="Published networks at their own input size, channels and classes", title_justify="left")
    table.add_column("preset", no_wrap=True)
    for column in ("input", "parameters\ntraining", "parameters\ndeploy", "MACs (M)\ndeploy", "thop\n(M)"):
        table.add_column(column, justify="right")
    table.add_column("in a study: parameters\ndeploy, MACs (M)", justify="right")
    if "latency" in sheets[0]:
        table.add_column(f"predicted ms\n{sheets[0]['latency']['profile']}", justify="right")
        if intervals:
            table.add_column("90 %\ninterval", justify="right", no_wrap=True)
    for sheet in sheets:
        table.add_row(*_preset_row(sheet, intervals))
    return table


def _preset_row(sheet: dict[str, Any], intervals: bool) -> list[str]:
    side, study = sheet["input_size"], sheet["in_a_study"]
    row = [
        sheet["name"],
        f"{sheet['input_channels']}×{side}×{side}",
        f"{sheet['parameters_training']:,}",
        f"{sheet['parameters_deploy']:,}",
        f"{(sheet['macs_conv'] + sheet['macs_matmul']) / 1e6:,.1f}",
        f"{sheet['thop']['macs'] / 1e6:,.1f}",
        f"{study['parameters_deploy']:,}, {study['macs'] / 1e6:,.1f}",
    ]
    if "latency" in sheet:
        latency = sheet["latency"]
        known = latency["latency_ms"] is not None
        row.append(milliseconds(latency["latency_ms"], latency["extrapolated"]) if known else "cannot run")
        if intervals:
            row.append(interval(latency["latency_interval_ms"]) if known else "")
    return row


def _print_details(sheet: dict[str, Any]) -> None:
    console.print(f"\n{sheet['title']} — {sheet['paper']}\nSource: {sheet['source']}")
    console.print(f"The image side must be a multiple of {sheet['size_divisor']}.")
    for key in ("inferred", "unknown"):
        for line in sheet[key]:
            console.print(f"{key}: {line}")
    for variant in sheet["variants"]:
        console.print(f"with {variant['input_channels']} channels: {variant['parameters_training']:,} parameters")
    latency = sheet.get("latency", {})
    if latency.get("reason"):
        console.print(f"{latency['profile']} cannot run it: {latency['reason']}")
    elif latency:
        say(f"Latency: {latency['source']}.")
        for line in doubts(latency["uncovered"], latency["unpriced"], latency["outside"], latency["latency_ms"]):
            say(line)
