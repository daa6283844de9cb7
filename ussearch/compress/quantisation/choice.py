"""The settings with which a network stays as good as it was: chosen by validation Dice, few layers given back."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ussearch.compress.quantisation.qdq import Quantiser
from ussearch.compress.quantisation.ranges import Images
from ussearch.compress.quantisation.sensitivity import sensitivities
from ussearch.compress.quantisation.settings import METHODS, Scheme, Settings
from ussearch.files import write_atomically

Score = Callable[[Path], float]
"""Mean validation Dice of a model file."""
Latency = Callable[[Path], float]
"""Milliseconds of a model file."""

PROBES = 12
"""Calibration images on which the sensitivity of layers is measured."""


@dataclass(frozen=True)
class Attempt:
    """One way of quantising that was tried, and what came of it."""

    settings: Settings
    score: float
    latency_ms: float | None
    note: str


@dataclass(frozen=True)
class Quantised:
    """The best file, and everything that was tried on the way."""

    path: Path
    settings: Settings
    score: float
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True)
class _Trials:
    """Files made, scored and remembered."""

    quantiser: Quantiser
    folder: Path
    score: Score
    latency: Latency | None
    attempts: list[Attempt]

    def file(self, number: int) -> Path:
        return self.folder / f"{number}.onnx"

    def tried(self, settings: Settings, note: str) -> Attempt:
        path = self.file(len(self.attempts))
        self.quantiser.write(settings, path)
        latency_ms = self.latency(path) if self.latency else None
        self.attempts.append(Attempt(settings, self.score(path), latency_ms, note))
        return self.attempts[-1]


def quantise_best(  # noqa: PLR0917  # the six things without which there is nothing to do
    model: Path,
    images: Images,
    scheme: Scheme,
    score: Score,
    baseline: float,
    folder: Path,
    *,
    tolerance: float = 0.003,
    max_float_layers: int = 8,
    weight_bits: Literal[7, 8] | None = None,
    latency: Latency | None = None,
) -> Quantised:
    """Return the file ``quantised.onnx`` in ``folder`` whose score is within ``tolerance`` of ``baseline`` with the
    fewest layers in float, or the best one where none is.

    First the calibration method with the best score; then first layer and head in float; then further layers, the most
    sensitive first, up to ``max_float_layers`` in all. It stops at the first that is good enough, and never raises for
    a bad score: that is the caller's to judge. ``images`` are as in ``quantise``, ``weight_bits`` as in ``Settings``.
    """
    with tempfile.TemporaryDirectory() as temporary:
        trials = _Trials(Quantiser(model, images), Path(temporary), score, latency, [])
        methods = [
            trials.tried(Settings(scheme, method, weight_bits=weight_bits), f"calibrated by {method}")
            for method in METHODS
        ]
        best = max(methods, key=_by_score)
        reversions = _reversions(trials.quantiser, best.settings, images[:: max(1, len(images) // PROBES)])
        while best.score < baseline - tolerance:
            settings, note = next(reversions, (None, ""))
            if settings is None or len(settings.float_nodes) > max_float_layers:
                break
            best = max(best, trials.tried(settings, note), key=_by_score)
        path = folder / "quantised.onnx"
        write_atomically(path, trials.file(trials.attempts.index(best)).read_bytes())
    return Quantised(path, best.settings, best.score, tuple(trials.attempts))


def _by_score(attempt: Attempt) -> float:
    """Not a number is worse than any score."""
    return attempt.score if attempt.score == attempt.score else float("-inf")


def _reversions(quantiser: Quantiser, settings: Settings, images: Images) -> Iterator[tuple[Settings, str]]:
    """Yield settings with ever more layers in float, and what was added."""
    in_float = [*dict.fromkeys((quantiser.layers[0], quantiser.layers[-1]))]
    yield _with_floats(settings, in_float), "first layer and head in float"
    for layer, damage in sensitivities(quantiser, settings, images).items():
        if layer not in in_float:
            in_float.append(layer)
            yield _with_floats(settings, in_float), f"also {layer} in float (changes probabilities by {damage:.4f})"


def _with_floats(settings: Settings, nodes: list[str]) -> Settings:
    return Settings(settings.scheme, settings.method, frozenset(nodes), settings.weight_bits)
