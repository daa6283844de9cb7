"""Is the second of two model files slower than the first? Asked of the device, of this machine, or of the profile.

In this order: times measured on the device (the CSV of a kit); this machine, only where the profile's runtime and
precision run here; the profile's prediction. Every answer says which it was. What is called slower on this machine was
measured twice: a machine that is busy with something else is soon wrong by a few per cent.
"""

from __future__ import annotations

import csv
import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from pydantic import BaseModel, ConfigDict

from ussearch.errors import UserError
from ussearch.files import sha256_of
from ussearch.hardware_profiles import Profile
from ussearch.hardware_profiles.measuring import measure
from ussearch.hardware_profiles.measuring.bench import predict_file
from ussearch.hardware_profiles.measuring.paired_benchmark import ONNXRUNTIME, OPENVINO, installed, paired_benchmark
from ussearch.hardware_profiles.precision_pairs import measured_pair
from ussearch.hardware_profiles.profile import Precision

ONNX = ".onnx"
TOLERANCE = 0.02
"""By so much two measurements of one file differ here: what is slower by less is not called slower."""


class SpeedComparison(BaseModel):
    """Latencies of two model files by one source; ``ratio`` is the second's share of the first's.

    Without numbers, ``source`` says why there are none.
    """

    model_config = ConfigDict(frozen=True)

    before_ms: float | None = None
    after_ms: float | None = None
    ratio: float | None = None
    source: str
    runtime: str = ""
    """By which runtime of the device, where that is another than the profile's."""

    @property
    def slower(self) -> bool:
        """Whether the second is known to be slower."""
        return self.ratio is not None and self.ratio > 1 + TOLERANCE

    @property
    def faster(self) -> bool:
        """Whether the second is known to be faster."""
        return self.ratio is not None and self.ratio < 1 - TOLERANCE


@dataclass(frozen=True)
class KitTimes:
    """What was measured on the device: latencies in ms by the SHA-256 of model files."""

    times_ms: Mapping[str, float] = field(default_factory=dict)
    origin: str = ""
    """Where they come from, in words."""


@dataclass(frozen=True)
class SpeedSource:
    """Where speeds of one device come from."""

    profile: Profile
    kit: KitTimes = field(default_factory=KitTimes)
    runs: int = 60

    @property
    def key(self) -> list[str]:
        """What a verdict kept from an earlier run depends on: the measurements, where there are any."""
        rows = json.dumps(sorted(self.kit.times_ms.items()))
        return [hashlib.sha256(rows.encode()).hexdigest()[:16]] if self.kit.times_ms else []

    def knows(self, precision: Precision) -> bool:
        """Return whether anything is known about the speed of ``precision`` on the device."""
        published = precision in self.profile.export.paying_precisions or measured_pair(self.profile, precision)
        own = precision == self.profile.precision
        return bool(published or own or self.kit.times_ms or runs_here(self.profile))

    def compare(
        self, before: Path, after: Path, precision: Precision, *, same_network: bool = False
    ) -> SpeedComparison:
        """Return how fast ``after``, of ``precision``, is beside ``before``; ``same_network`` in another precision."""
        if sha256_of(before) == sha256_of(after):
            if precision in ("fp32", self.profile.precision):
                return self.unchanged(after, "the same file")
            return self._predicted(before, before, precision)
        known = [self.kit.times_ms.get(sha256_of(path)) for path in (before, after)]
        if known[0] is not None and known[1] is not None:
            return _comparison(known[0], known[1], known[1] / known[0], self._on_the_device)
        if runs_here(self.profile):
            found = self._compared_here(before, after)
            return self._compared_here(before, after) if found.slower else found  # what else runs may be the reason
        return self._predicted(before, before if same_network else after, precision)

    def unchanged(self, model: Path, why: str) -> SpeedComparison:
        """Return the latency of ``model``, whose speed a step cannot have changed for the reason ``why``.

        The latency is None where no source has one.
        """
        known_ms = self.kit.times_ms.get(sha256_of(model))
        if known_ms is not None:
            return _comparison(known_ms, known_ms, 1.0, f"{why}, {self._on_the_device}")
        if runs_here(self.profile):
            here_ms = median(self.here(model)[0])
            return _comparison(here_ms, here_ms, 1.0, f"{why}, {self._on_this_machine}")
        try:
            predicted_ms = predict_file(model, self.profile).latency_ms
        except UserError as error:
            return SpeedComparison(ratio=1.0, source=f"{why}; latency unknown: {error}")
        return _comparison(predicted_ms, predicted_ms, 1.0, f"{why}, {self.profile.label}")

    def _compared_here(self, before: Path, after: Path) -> SpeedComparison:
        times_ms = self.here(before, after)
        ratio = median(two / one for one, two in zip(*times_ms, strict=True))
        return _comparison(median(times_ms[0]), median(times_ms[1]), ratio, self._on_this_machine)

    def here(self, *models: Path) -> list[list[float]]:
        """Return the latencies of each model in ms, one a turn, by the profile's runtime on this machine."""
        runtimes = [self.profile.runtime] * len(models)
        return paired_benchmark(models, threads=self.profile.threads or 1, runs=self.runs, runtimes=runtimes)

    @property
    def _on_the_device(self) -> str:
        return f"measured on the device ({self.kit.origin})"

    @property
    def _on_this_machine(self) -> str:
        return f"{self.profile.runtime}, measured here, {measure.machine()}"

    def _predicted(self, before: Path, after: Path, precision: Precision) -> SpeedComparison:
        pair = measured_pair(self.profile, precision) if precision != self.profile.precision else None
        if pair is not None and after.suffix == ONNX:  # other formats hold no graph that is priced
            one, two = (
                predict_file(path, each).latency_ms for path, each in ((before, pair.fp32), (after, pair.other))
            )
            other = pair.other.runtime
            found = _comparison(one, two, two / one, pair.label)
            return found.model_copy(update={"runtime": "" if other == self.profile.runtime else other})
        if precision not in ("fp32", self.profile.precision):
            evidence = self.profile.export.paying_precisions.get(precision)
            if evidence is None:
                return SpeedComparison(source=f"nobody measured {precision} on {self.profile.name}")
            return SpeedComparison(source=f"not measured for these files; {precision} pays there: {evidence}")
        try:
            one = predict_file(before, self.profile).latency_ms
            if precision != "fp32" and "fp32" not in self.profile.export.precisions:
                return SpeedComparison(
                    after_ms=one, source=f"{self.profile.label}; in FP32 it does not run there at all"
                )
            two = predict_file(after, self.profile).latency_ms
        except UserError as error:
            return SpeedComparison(source=f"unknown: {error}")
        return _comparison(one, two, two / one, self.profile.label)


def _comparison(before_ms: float, after_ms: float, ratio: float, source: str) -> SpeedComparison:
    return SpeedComparison(before_ms=before_ms, after_ms=after_ms, ratio=ratio, source=source)


def runs_here(profile: Profile) -> bool:
    """Return whether this machine runs files as the device does: its runtime, on a processor of the same kind."""
    there = profile.runtime == ONNXRUNTIME or (profile.runtime == OPENVINO and installed())
    return there and profile.processor == platform.machine()


def times_of_kit(path: Path) -> KitTimes:
    """Return what the CSV says that a kit wrote on the device.

    Raises UserError where the file is no such table.
    """
    try:
        rows: Sequence[dict[str, str]] = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        if not rows:
            raise ValueError("it has no rows")
        return KitTimes({row["sha256"]: float(row["latency_ms"]) for row in rows}, path.name)
    except (OSError, UnicodeDecodeError, KeyError, ValueError) as error:
        raise UserError(
            f"{path} is no table of measurements ({str(error)[:120]}): expected the CSV that measure.py of a kit "
            "writes on the board, with the columns sha256 and latency_ms."
        ) from error
