"""The settings with which a network stays as good as it was, chosen by validation Dice on calibration images."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnx

from ussearch.compress.quantisation.graph import name_of
from ussearch.compress.quantisation.qdq import Quantiser
from ussearch.compress.quantisation.ranges import Images, session
from ussearch.compress.quantisation.settings import METHODS, Scheme, Settings
from ussearch.errors import UserError
from ussearch.files import write_atomically

STRATA = 3
"""Of images with a lesion, by its area: the small ones are the hard ones."""


def calibration_images(masks: npt.NDArray[np.uint8], count: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the indices, ascending, of at most ``count`` images on which to calibrate (100 to 300 are usual).

    ``masks`` are [N, ...], 0 for background. Images without a lesion and those with a small, medium and large one are
    drawn in turn, so that each kind has an equal share as far as it goes. Deterministic in ``seed``.
    """
    if count < 1 or len(masks) == 0:
        raise UserError(f"Cannot choose {count} of {len(masks)} calibration images: expected at least one of each.")
    areas = np.count_nonzero(masks.reshape(len(masks), -1), axis=1)
    by_area = np.argsort(areas, kind="stable")
    empty, lesions = by_area[areas[by_area] == 0], by_area[areas[by_area] > 0]
    random = np.random.default_rng(seed)
    strata = [random.permutation(stratum) for stratum in (empty, *np.array_split(lesions, STRATA))]
    turns = sorted((place, kind) for kind, stratum in enumerate(strata) for place in range(len(stratum)))
    return np.array(sorted(strata[kind][place] for place, kind in turns[:count]), np.int64)


def sensitivities(quantiser: Quantiser, settings: Settings, images: Images) -> dict[str, float]:
    """Return, for each layer, the mean change of a pixel's probability when it alone is quantised, largest first.

    One layer quantised in a float network, not one layer in float in a quantised network (Wu et al. 2020, "Integer
    Quantization for Deep Learning Inference", section 6.1): where two layers spoil the output, freeing either of them
    shows nothing. Probabilities, not Dice: they need no masks, and a few images rank all layers without ties.
    A dozen ``images`` [N, C, S, S] suffice; the time is one small file and N runs a layer.
    """
    everything = frozenset(name_of(node) for node in quantiser.prepared.graph.node)
    truth = _probabilities(quantiser.prepared, images)
    found = {}
    for layer in quantiser.layers:
        alone = quantiser.model(replace(settings, float_nodes=everything - {layer}))
        found[layer] = float(np.abs(_probabilities(alone, images) - truth).mean())
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _probabilities(model: onnx.ModelProto, images: Images) -> npt.NDArray[np.float32]:
    """Return float32 [N, classes, S, S]; float arithmetic, so that the host's integer kernels play no part."""
    running = session(model.SerializeToString(), optimised=False)
    name = running.get_inputs()[0].name
    logits = np.concatenate([running.run(None, {name: image[None].astype(np.float32)})[0] for image in images])
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)), dtype=np.float32)


Score = Callable[[Path], float]
"""Mean validation Dice of a model file."""
Latency = Callable[[Path], float]
"""Milliseconds of a model file."""

PROBES = 12
"""Calibration images on which the sensitivity of layers is measured."""


@dataclass(frozen=True)
class QuantisationAttempt:
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
    attempts: tuple[QuantisationAttempt, ...]


@dataclass(frozen=True)
class _Trials:
    """Files made, scored and remembered."""

    quantiser: Quantiser
    folder: Path
    score: Score
    latency: Latency | None
    attempts: list[QuantisationAttempt]

    def file(self, number: int) -> Path:
        return self.folder / f"{number}.onnx"

    def tried(self, settings: Settings, note: str) -> QuantisationAttempt:
        path = self.file(len(self.attempts))
        self.quantiser.write(settings, path)
        latency_ms = self.latency(path) if self.latency else None
        self.attempts.append(QuantisationAttempt(settings, self.score(path), latency_ms, note))
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


def _by_score(attempt: QuantisationAttempt) -> float:
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
