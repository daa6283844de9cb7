"""Measured networks of a device, read and checked before anything is fitted to them."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from ussearch.errors import UserError
from ussearch.hardware_profiles.calibration.networks import CalibrationNetwork
from ussearch.hardware_profiles.latency.kernel_fitting import MeasuredNetwork
from ussearch.hardware_profiles.latency.model import LatencyModel
from ussearch.hardware_profiles.latency.profiler_match import ProfiledNode
from ussearch.hardware_profiles.profile import Precision

UNIT_FACTOR = 60.0
"""Measured to expected latency, from which on a row is taken to be in another unit (a thousand apart)."""
DEVICE_FACTOR = 300.0
"""The same for all rows together, where the expectation is that of another device."""
POSTPROCESSING = ("postprocessing_ms", "postprocessing_call_ms")
"""Columns that are empty or missing where no ``run_edge.py`` lay beside ``measure.py``."""
SIZE_LIMIT_BYTES = 200 * 2**20


@dataclass(frozen=True)
class Results:
    """Rows of a CSV that ``measure.py`` wrote, with the nodes beside it."""

    origin: str
    rows: Mapping[str, Mapping[str, Any]]
    nodes: Mapping[str, tuple[ProfiledNode, ...]]

    @property
    def first(self) -> Mapping[str, Any]:
        """Any row: runtime, precision, threads and machine are the same in all."""
        return next(iter(self.rows.values()))

    @property
    def postprocessing(self) -> tuple[float, float] | None:
        """Milliseconds of post-processing at 256x256 pixels and of a call alone; None where nobody measured them."""
        found = [self.first.get(column) for column in POSTPROCESSING]
        return None if None in found or "" in found else (float(str(found[0])), float(str(found[1])))

    def measured(self, networks: Sequence[CalibrationNetwork]) -> list[MeasuredNetwork]:
        """Return the networks with what was measured of them."""
        return [
            MeasuredNetwork(
                each.name,
                each.kernels,
                float(self.rows[f"{each.name}.onnx"]["latency_ms"]),
                self.nodes.get(f"{each.name}.onnx", ()),
            )
            for each in networks
        ]


def from_rows(rows: Sequence[Mapping[str, Any]], origin: str) -> Results:
    """Return the results of ``measure.measure_all`` in this process."""
    nodes = {row["model"]: tuple(map(ProfiledNode.from_row, row.get("nodes") or ())) for row in rows}
    return Results(origin, {row["model"]: row for row in rows}, nodes)


def read_results(path: Path) -> Results:
    """Read a CSV of ``measure.py`` and the nodes beside it; raises UserError that names the row."""
    try:
        if path.stat().st_size > SIZE_LIMIT_BYTES:
            raise UserError(f"{path} is larger than 200 MiB, which no results of measure.py are; give the CSV.")
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror}; give the CSV that measure.py wrote.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is no CSV ({error}); give the file that measure.py wrote.") from error
    found: dict[str, Mapping[str, Any]] = {}
    for number, row in enumerate(rows, start=2):
        name = _checked(row, path, number)
        if name in found:
            raise UserError(f"{path}, row {number} ({name}): the model is there twice; keep one row a model.")
        found[name] = row
    if not found:
        raise UserError(f"{path} holds no rows; run measure.py again.")
    _same_conditions(found, path)
    return Results(path.name, found, _read_nodes(path.with_suffix(".nodes.json")))


def _checked(row: Mapping[str, Any], path: Path, number: int) -> str:
    """Return the model of a row whose latency is a positive number."""
    for column in ("model", "latency_ms", "runtime", "precision"):
        if not row.get(column):
            raise UserError(f"{path}, row {number}: the column {column!r} is empty or missing; run measure.py again.")
    name = str(row["model"])
    for column in ("latency_ms", *filter(row.get, POSTPROCESSING)):
        if not _milliseconds(str(row[column]), column == "latency_ms"):
            raise UserError(
                f"{path}, row {number} ({name}): {column} is {row[column]!r}, expected a positive number of "
                "milliseconds; measure the model again."
            )
    if row["precision"] not in get_args(Precision):
        raise UserError(
            f"{path}, row {number} ({name}): precision is {row['precision']!r}, expected one of "
            f"{', '.join(get_args(Precision))}; run measure.py again."
        )
    threads = str(row.get("threads") or 0)
    if not threads.isdecimal():
        raise UserError(
            f"{path}, row {number} ({name}): threads is {threads!r}, expected a whole number; run measure.py again."
        )
    return name


def _milliseconds(text: str, positive: bool) -> bool:
    """Return whether a text is a time."""
    try:
        value = float(text)
    except ValueError:
        return False
    return math.isfinite(value) and (value > 0 if positive else value >= 0)


def _same_conditions(rows: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    first_name, first = next(iter(rows.items()))
    for name, row in rows.items():
        for column in ("runtime", "provider", "precision", "threads", "machine"):
            if row.get(column) != first.get(column):
                raise UserError(
                    f"{path}: {column} is {row.get(column)!r} for {name} and {first.get(column)!r} for {first_name}; "
                    "a profile is one runtime, precision and machine: give a CSV for each."
                )


def _read_nodes(path: Path) -> dict[str, tuple[ProfiledNode, ...]]:
    """Return the nodes of each model, or none where that runtime does not tell them."""
    if not path.is_file() or path.stat().st_size > SIZE_LIMIT_BYTES:
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): tuple(map(ProfiledNode.from_row, rows)) for name, rows in content.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged ({error}); delete it or run measure.py again.") from error


def require_plausible(
    results: Results, networks: Sequence[CalibrationNetwork], like: LatencyModel, like_name: str
) -> None:
    """Raise UserError where a network is missing, or where latencies look like seconds or microseconds.

    A row is compared with what the others lead to expect: the other device's prediction, scaled by their median.
    """
    missing = [each.name for each in networks if f"{each.name}.onnx" not in results.rows]
    if missing:
        raise UserError(
            f"{results.origin} has no row for {missing[0]}.onnx"
            + (f" and {len(missing) - 1} more models" if len(missing) > 1 else "")
            + f" of the kit's {len(networks)}; run measure.py on all of them."
        )
    latency_ms = np.array([float(results.rows[f"{each.name}.onnx"]["latency_ms"]) for each in networks])
    ratios = latency_ms / np.array([like.total_ms(each.kernels) for each in networks])
    middle = float(np.median(ratios))
    for each, milliseconds, ratio in zip(networks, latency_ms, ratios, strict=True):
        if not 1 / UNIT_FACTOR < ratio / middle < UNIT_FACTOR:
            raise UserError(
                f"{results.origin}, {each.name}.onnx: {milliseconds:g} ms is {ratio / middle:.2g} times what the other "
                "rows lead to expect; give milliseconds in every row and measure the model again."
            )
    if not 1 / DEVICE_FACTOR < middle < DEVICE_FACTOR:
        raise UserError(
            f"{results.origin}, {networks[0].name}.onnx and all others: latencies are {middle:.2g} times those of "
            f"{like_name}, as if not in milliseconds; give milliseconds, or a profile that is nearer with --like."
        )
