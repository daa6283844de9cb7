"""Test vectors: images with the answers that the networks gave when the bundle was made.

Each vector replays the whole path from a file to a mask on any machine: ``image.png`` (the image in its own
size), ``input.npy`` (what the network sees), the logits of both networks, ``mask.png`` (the edge's mask in
the size of the image), the confidence and the route. NOTE: they are real images of the data set, without any
patient data; give a bundle only to those who may see them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ussearch.files import inside
from ussearch.runtime.frames import Frame
from ussearch.runtime.geometry import network_input, probabilities_in
from ussearch.runtime.masks import THRESHOLD
from ussearch.runtime.onnx_network import sigmoid
from ussearch.runtime.predictor import PairPredictor, edge_mask_in

FOLDER = "vectors"
INDEX = "vectors.json"
INPUT, EDGE_LOGITS, CLOUD_LOGITS = "input.npy", "edge_logits.npy", "cloud_logits.npy"
LOGIT_TOLERANCE = 1e-3
PROBABILITY_MARGIN = 1e-3
"""Nearer to the threshold than this, rounding decides on which side of the mask's edge a pixel lies."""

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Replay:
    """How one vector came out: largest difference of each network's logits, and pixels of the mask that
    differ.
    """

    name: str
    edge_difference: float
    cloud_difference: float
    wrong_pixels: int
    confidence_difference: float
    passed: bool


def write_vectors(folder: Path, images: Sequence[Pixels], pair: PairPredictor) -> None:
    """Write a vector for each grey image uint8 [H, W] below ``folder``, and the index that lists them."""
    index = []
    for number, grey in enumerate(images):
        place = folder / FOLDER / f"{number:02d}"
        place.mkdir(parents=True)
        answer = pair.alone().predict(Frame.of(grey))
        _save_png(place / "image.png", grey)
        _save_png(place / "mask.png", answer.mask * np.uint8(255))
        for name, array in _arrays(pair, grey).items():
            np.save(place / name, array, allow_pickle=False)
        index.append({"name": place.name, "confidence": answer.confidence, "route": answer.route})
    (folder / FOLDER / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def replay_vectors(folder: Path, pair: PairPredictor) -> Iterator[Replay]:
    """Compute every vector of the bundle in ``folder`` again, from the image's file on."""
    for entry in json.loads((folder / FOLDER / INDEX).read_text(encoding="utf-8")):
        yield _replay(inside(folder / FOLDER, entry["name"]), pair, entry)


def _replay(place: Path, pair: PairPredictor, entry: dict[str, Any]) -> Replay:
    grey, expected_mask = _load_png(place / "image.png"), _load_png(place / "mask.png") > 127
    found = _arrays(pair, grey)
    expected = {name: np.load(place / name, allow_pickle=False) for name in found}
    edge_difference = _relative(found[EDGE_LOGITS], expected[EDGE_LOGITS])
    cloud_difference = _relative(found[CLOUD_LOGITS], expected[CLOUD_LOGITS])
    answer = pair.alone().predict(Frame.of(grey))
    stored = sigmoid(expected[EDGE_LOGITS])[0, 0]
    threshold = THRESHOLD if pair.postprocessing is None else pair.postprocessing.threshold
    decided = np.abs(probabilities_in(stored, grey.shape) - threshold) >= PROBABILITY_MARGIN
    wrong_pixels = int(((answer.mask.astype(bool) != expected_mask) & decided).sum())
    if wrong_pixels and edge_difference:  # rounding may decide over a whole lesion: by the logits that were kept
        replayed = edge_mask_in(stored, grey.shape, pair.postprocessing).astype(bool)
        wrong_pixels = int(((replayed != expected_mask) & decided).sum())
    near = abs(entry["confidence"] - pair.router.threshold) < 1e-4
    same_input = np.abs(found[INPUT] - expected[INPUT]).max() <= 1
    same_logits = max(edge_difference, cloud_difference) <= LOGIT_TOLERANCE
    same_route = answer.route == entry["route"] or near
    return Replay(
        name=entry["name"],
        edge_difference=edge_difference,
        cloud_difference=cloud_difference,
        wrong_pixels=wrong_pixels,
        confidence_difference=abs(answer.confidence - entry["confidence"]),
        passed=bool(same_input and same_logits and same_route and wrong_pixels == 0),
    )


def _arrays(pair: PairPredictor, grey: Pixels) -> dict[str, npt.NDArray[np.float32]]:
    """Return the arrays of a vector by the names of their files."""
    pixels = network_input(grey, pair.image_size)
    return {
        INPUT: pixels.astype(np.float32),
        EDGE_LOGITS: pair.edge.logits(pixels),
        CLOUD_LOGITS: pair.cloud.logits(pixels),
    }


def _relative(found: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> float:
    """Return the largest difference of logits relative to the largest logit, at least 1."""
    if found.shape != expected.shape:
        return float("inf")
    return float(np.abs(found - expected).max() / max(1.0, float(np.abs(expected).max())))


def _save_png(path: Path, pixels: Pixels) -> None:
    Image.fromarray(pixels, mode="L").save(path)


def _load_png(path: Path) -> Pixels:
    with Image.open(path) as image:
        return np.asarray(image.convert("L"))
