"""From probabilities to masks: against a reference written with scipy, and the same from all that answers images."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import label

from tests.old_pythons import old_python
from tests.pairs.server.conftest import served
from ussearch.files import sha256_of
from ussearch.pairs import Bundle, PairData, infer, verify_bundle
from ussearch.pairs.bundles.variant import write_variant
from ussearch.pairs.postprocessing.evidence import PairPostprocessingChoice
from ussearch.pairs.postprocessing.for_pair import observed
from ussearch.pairs.postprocessing.operating_point import OperatingPoint
from ussearch.runtime.integrity import MANIFEST
from ussearch.runtime.lesions import Lesions
from ussearch.runtime.onnx_network import sigmoid
from ussearch.runtime.postprocessing import PairPostprocessing, Postprocessing, Presence, peaks_of
from ussearch.runtime.predictor import cloud_mask_in, edge_mask_in
from ussearch.serving.board import run_edge
from ussearch.serving.client import CloudOptions
from ussearch.serving.server import CloudModel, ServerSettings

LEVELS = (0.0, 0.25, 0.4375, 0.5, 0.625, 0.9375, 1.0)
MAPS = st.builds(
    lambda height, width, seed, density: (
        np.random.default_rng(seed)
        .choice(LEVELS, (height, width), p=[1 - density, *[density / 6] * 6])
        .astype(np.float32)
    ),
    st.integers(1, 20),
    st.integers(1, 20),
    st.integers(0, 2**32 - 1),
    st.floats(0.0, 1.0),
)
HOW = st.builds(
    Postprocessing,
    threshold=st.sampled_from([0.25, 0.4375, 0.5, 0.7, 0.9375]),
    connectivity=st.sampled_from([4, 8]),
    smallest_lesion=st.integers(1, 9),
    presence=st.none()
    | st.builds(Presence, slope=st.floats(0.1, 40), intercept=st.floats(-20, 9), threshold=st.floats(0, 1)),
    most_lesions=st.none() | st.integers(1, 3),
)


def reference(probabilities: np.ndarray[Any, Any], how: Postprocessing) -> np.ndarray[Any, Any]:
    """The masks of the page docs/bundle.md, written as plainly as possible."""
    structure = np.ones((3, 3)) if how.connectivity == 8 else None
    numbers, count = label(probabilities >= np.float32(how.threshold), structure)
    kept = []
    for number in range(1, count + 1):
        values = sorted(probabilities[numbers == number].astype(np.float64))
        part = max(1, probabilities.size // 256)
        stays = len(values) >= how.smallest_lesion
        if how.presence is not None:
            z = how.presence.slope * (np.array(values[-part:]).sum() / part) + how.presence.intercept
            stays &= 1 / (1 + np.exp(-np.clip(z, -60, 60))) >= how.presence.threshold
        if stays:
            kept.append((-len(values), number))
    chosen = [number for _, number in sorted(kept)[: how.most_lesions]]
    return np.isin(numbers, chosen)


@given(probabilities=MAPS, how=HOW)
def test_masks_are_those_of_the_reference_and_of_the_board(
    probabilities: np.ndarray[Any, Any], how: Postprocessing
) -> None:
    expected = reference(probabilities, how)
    assert np.array_equal(how.mask(probabilities), expected)
    assert np.array_equal(run_edge.lesion_mask(probabilities, how.model_dump(mode="json")), expected)


@given(probabilities=MAPS, how=HOW, shape=st.tuples(st.integers(1, 30), st.integers(1, 30)))
def test_masks_in_the_size_of_the_frame_are_those_of_the_board(
    probabilities: np.ndarray[Any, Any], how: Postprocessing, shape: tuple[int, int]
) -> None:
    content = how.model_dump(mode="json")
    edge = edge_mask_in(probabilities, shape, how)
    assert np.array_equal(run_edge.edge_mask_in(probabilities, shape, content), edge)
    bits = run_edge.lesion_mask(probabilities, content).astype(np.float32)
    assert np.array_equal(run_edge.mask_in(bits, shape), cloud_mask_in(probabilities, shape, how))
    if not how.mask(probabilities).any():
        assert not edge.any()
    if shape == probabilities.shape:
        assert np.array_equal(edge.astype(bool), how.mask(probabilities))


@given(probabilities=MAPS, shape=st.tuples(st.integers(1, 30), st.integers(1, 30)))
def test_a_post_processing_that_does_nothing_changes_nothing_of_the_edge(
    probabilities: np.ndarray[Any, Any], shape: tuple[int, int]
) -> None:
    before = edge_mask_in(probabilities, shape, None)
    assert np.array_equal(edge_mask_in(probabilities, shape, Postprocessing()), before)


@given(mask=MAPS, connectivity=st.sampled_from([4, 8]))
def test_lesions_are_numbered_as_scipy_numbers_them(mask: np.ndarray[Any, Any], connectivity: int) -> None:
    lesions = Lesions.of(mask >= 0.5, connectivity)
    numbers, count = label(mask >= 0.5, np.ones((3, 3)) if connectivity == 8 else None)
    assert np.array_equal(lesions.of_pixels(), numbers[mask >= 0.5] - 1)
    assert lesions.sizes.tolist() == np.bincount(numbers.ravel(), minlength=count + 1)[1:].tolist()


@pytest.mark.parametrize("shape", ["comb", "spiral", "checkerboard"])
def test_lesions_of_shapes_that_join_late(shape: str) -> None:
    mask = np.zeros((64, 64), bool)
    if shape == "comb":
        mask[:, ::2], mask[-1] = True, True
    elif shape == "checkerboard":
        mask[::2, ::2] = mask[1::2, 1::2] = True
    else:
        for turn in range(0, 28, 4):
            mask[turn, turn : 64 - turn] = mask[turn : 64 - turn, 63 - turn] = mask[63 - turn, turn : 64 - turn] = True
            mask[turn + 4 : 64 - turn, turn], mask[turn + 4, turn : turn + 5] = True, True
    for connectivity, structure in ((4, None), (8, np.ones((3, 3)))):
        assert len(Lesions.of(mask, connectivity).sizes) == label(mask, structure)[1]


def test_a_peak_is_the_mean_of_the_surest_pixels_of_a_lesion() -> None:
    probabilities = np.full((32, 32), 0.1, np.float32)  # four pixels are a 256th
    probabilities[2:4, 2:6] = [[0.5, 0.6, 0.7, 0.8], [0.9, 0.5, 0.5, 0.5]]
    probabilities[20, 20] = 1.0
    lesions = Lesions.of(probabilities >= 0.5, 8)
    assert peaks_of(probabilities, lesions) == pytest.approx([(0.9 + 0.8 + 0.7 + 0.6) / 4, 1 / 4])


STRICT = PairPostprocessing(
    edge=Postprocessing(
        threshold=0.4375, smallest_lesion=120, presence=Presence(slope=40.0, intercept=-39.0, threshold=0.6)
    ),
    cloud=Postprocessing(threshold=0.625, connectivity=4, smallest_lesion=130, most_lesions=1),
)
"""Removes something of both networks of the tests on some images, and leaves something on others."""


@pytest.fixture(scope="module")
def strict(finished: Bundle, pair_data: PairData, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The bundle of the tests with a post-processing that shows, and with half of the images for the cloud."""
    out = tmp_path_factory.mktemp("strict") / "bundle"
    point, split = OperatingPoint(false_positives=1.0), pair_data.split
    why = [
        point.applied(observed(finished.folder / name, pair_data.images, split), Postprocessing())[1]
        for name in ("edge/model.onnx", "cloud/model.onnx")
    ]
    choice = PairPostprocessingChoice(edge=why[0], cloud=why[1], reason="a test asked for it")
    return write_variant(finished, pair_data.images, STRICT, choice, out)


@pytest.fixture(scope="module")
def masks(strict: Bundle, data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Masks by ``infer`` on this machine, and which network they are from."""
    out = tmp_path_factory.mktemp("masks")
    told = infer(strict, [data_folder / "images"], out)
    return {Path(each["image"]).stem: (read(Path(each["mask"])), each["route"]) for each in told}


def read(path: Path) -> np.ndarray[Any, Any]:
    with Image.open(path) as image:
        return np.asarray(image.convert("L")) > 127


def test_the_post_processing_of_the_tests_shows(strict: Bundle, pair_data: PairData) -> None:
    pixels = np.asarray(pair_data.images.images)
    pair = strict.predictor()
    for network, how in ((pair.edge, STRICT.edge), (pair.cloud, STRICT.cloud)):
        probabilities = sigmoid(network.logits(pixels))
        before = Postprocessing(threshold=how.threshold).masks(probabilities).any(axis=(1, 2, 3))
        after = how.masks(probabilities).any(axis=(1, 2, 3))
        assert not (after & ~before).any() and 5 < np.count_nonzero(after) < np.count_nonzero(before) - 3


def test_client_and_server_give_the_same_masks(strict: Bundle, data_folder: Path, masks: Any, tmp_path: Path) -> None:
    with served(CloudModel.of(strict), ServerSettings(port=0)) as server:
        told = infer(strict, [data_folder / "images"], tmp_path / "out", CloudOptions(server.url, deadline_ms=10_000))
    assert {each["reason"] for each in told} == {"confident", "cloud answered"}
    for each in told:
        expected, route = masks[Path(each["image"]).stem]
        assert each["route"] == route and np.array_equal(read(Path(each["mask"])), expected)


def on_board(bundle: Bundle, data_folder: Path, out: Path, python: str, *arguments: str) -> list[dict[str, Any]]:
    images = [str(path) for path in sorted((data_folder / "images").iterdir())]
    command = [python, str(bundle.folder / "run_edge.py"), *images, "--out", str(out), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_board_gives_the_same_masks_alone_and_with_a_server(
    strict: Bundle, data_folder: Path, masks: Any, tmp_path: Path
) -> None:
    with served(CloudModel.of(strict), ServerSettings(port=0)) as server:
        arguments = ("--cloud", server.url, "--deadline-ms", "10000")
        told = on_board(strict, data_folder, tmp_path / "out", sys.executable, *arguments)
    assert {each["source"] for each in told} == {"edge", "cloud"}
    for each in told:
        expected, route = masks[Path(each["image"]).stem]
        assert each["source"] == route and np.array_equal(read(Path(each["mask"])), expected)


@pytest.mark.slow
def test_the_board_gives_the_same_masks_under_python_3_6(
    strict: Bundle, data_folder: Path, masks: Any, tmp_path: Path
) -> None:
    for each in on_board(strict, data_folder, tmp_path / "out", old_python("3.6", tmp_path / "python")):
        expected, route = masks[Path(each["image"]).stem]
        if route == "edge":
            assert np.array_equal(read(Path(each["mask"])), expected)


def test_its_vectors_hold_everywhere(strict: Bundle, data_folder: Path) -> None:
    assert verify_bundle(strict.folder, data_folder).passed
    done = subprocess.run(
        [sys.executable, str(strict.folder / "run_edge.py"), "--self-test"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["self_test"] == "passed"


def test_a_mask_that_is_not_post_processed_fails_verification(
    strict: Bundle, pair_data: PairData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Postprocessing, "mask", lambda self, probabilities: probabilities >= self.threshold)
    assert not verify_bundle(strict.folder).passed


def test_a_server_of_another_post_processing_is_another_model(strict: Bundle, finished: Bundle) -> None:
    assert strict.manifest.model_digest == finished.manifest.model_digest
    assert strict.manifest.model_name != finished.manifest.model_name
    content = json.loads((strict.folder / MANIFEST).read_text(encoding="utf-8"))
    digest = run_edge.served_digest(content["files"]["cloud/model.onnx"], content["postprocessing"]["cloud"])
    assert digest == strict.manifest.served_digest and strict.manifest.model_name.endswith(digest[:12])


def test_a_variant_tells_where_it_comes_from_and_keeps_the_networks(strict: Bundle, finished: Bundle) -> None:
    parent = strict.manifest.parent
    assert parent is not None and parent.digest == sha256_of(finished.folder / MANIFEST)
    for name in ("edge/model.onnx", "cloud/model.onnx", "split.json"):
        assert strict.manifest.files[name] == finished.manifest.files[name]
    assert strict.manifest.metrics.edge != finished.manifest.metrics.edge
    assert "Made of the bundle" in (strict.folder / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_a_bundle_of_before_answers_as_before(finished: Bundle, data_folder: Path, tmp_path: Path) -> None:
    """Without a post-processing the edge's mask is the threshold 0.5 at the size of the frame, as it always was."""
    frame = np.asarray(Image.open(data_folder / "images" / "05.png"))
    pair = finished.predictor()
    assert finished.manifest.postprocessing == PairPostprocessing(edge=Postprocessing(), cloud=Postprocessing())
    answer = pair.alone().predict(frame)
    logits = pair.edge.logits(answer.network_input)
    assert np.array_equal(answer.mask, edge_mask_in(sigmoid(logits)[0, 0], frame.shape, None))


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_digest_of_a_post_processing_survives_its_file(seed: int) -> None:
    random = np.random.default_rng(seed)
    presence = Presence(slope=random.uniform(0.1, 90), intercept=random.normal(), threshold=random.uniform())
    how = Postprocessing(threshold=random.uniform(0.1, 0.9), presence=presence)
    again = Postprocessing.model_validate(json.loads(json.dumps(how.model_dump(mode="json"))))
    assert again == how and float(np.float32(how.threshold)) == how.threshold


def test_what_routing_gains_is_judged_by_the_masks_that_users_get(strict: Bundle, pair_data: PairData) -> None:
    chosen = list(pair_data.split.calibration)
    pixels, truth = (np.asarray(each[chosen]) for each in (pair_data.images.images, pair_data.images.masks))
    pair, gain = strict.predictor(), strict.manifest.router.routing_gain
    assert gain is not None
    for network, how, stated in (
        (pair.edge, STRICT.edge, gain.edge_dice),
        (pair.cloud, STRICT.cloud, gain.cloud_dice),
    ):
        masks = how.masks(sigmoid(network.logits(pixels)))
        common, total = (masks & (truth > 0)).sum(axis=(1, 2, 3)), masks.sum(axis=(1, 2, 3)) + truth.sum(axis=(1, 2, 3))
        assert stated == pytest.approx(np.where(total == 0, 1.0, 2 * common / np.maximum(total, 1)).mean())
