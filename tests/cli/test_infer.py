"""``ussearch infer --cloud`` with DICOM files: what may leave the machine, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Command
from tests.datasets.test_frames import dicom, region
from tests.pairs import conftest as pairs
from tests.pairs.server.conftest import Running, served
from tests.pairs.test_dicom_seg import CLINICAL
from ussearch.datasets import read_image
from ussearch.pairs import Bundle
from ussearch.runtime.geometry import network_input
from ussearch.serving.server import CloudModel, ServerSettings

data_folder, pair_data, finished = pairs.data_folder, pairs.pair_data, pairs.finished
edge_member, cloud_member = pairs.edge_member, pairs.cloud_member


@pytest.fixture(scope="module")
def running(finished: Bundle) -> Iterator[Running]:
    with served(CloudModel.of(finished), ServerSettings(port=0, workers=1)) as each:
        yield each


@pytest.fixture
def away(finished: Bundle, data_folder: Path) -> np.ndarray:
    """An image that the router sends to the cloud."""
    pair = finished.predictor()
    images = (read_image(path) for path in sorted((data_folder / "images").iterdir()))
    return next(grey for grey in images if pair.alone().predict(grey).route == "cloud")


@pytest.mark.parametrize(
    ("said", "options", "reason"),
    [
        ({"BurnedInAnnotation": "NO"}, (), "cloud answered"),
        ({"BurnedInAnnotation": "YES"}, (), "burned-in text not excluded"),
        ({}, (), "burned-in text not excluded"),
        ({}, ("--send-burned-in",), "cloud answered"),
    ],
)
def test_a_frame_that_may_show_a_name_stays(
    said: dict[str, str],
    options: tuple[str, ...],
    reason: str,
    running: Running,
    finished: Bundle,
    away: np.ndarray,
    tmp_path: Path,
    ussearch: Command,
) -> None:
    file = dicom(tmp_path / "scan.dcm", away[None], **said)
    asked = ("infer", finished.folder, file, "--out", tmp_path / "out", "--cloud", running.url, "--deadline-ms", 5000)
    outcome = ussearch(*asked, *options, "--json")
    assert outcome.status == 0, outcome.err
    (result,) = json.loads(outcome.out)
    assert result["reason"] == reason
    assert result["route"] == ("cloud" if reason == "cloud answered" else "edge")
    mask = read_image(result["mask"]) > 0
    assert mask.shape == away.shape
    if result["route"] == "edge":
        assert np.array_equal(mask, finished.predictor().alone().predict(away).mask > 0)


def test_only_the_pixels_of_the_region_leave(
    running: Running,
    finished: Bundle,
    away: np.ndarray,
    tmp_path: Path,
    ussearch: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    height, width = away.shape
    whole = np.full((height + 30, width + 40), 255, np.uint8)
    whole[20 : 20 + height, 10 : 10 + width] = away
    box = region((10, 20, 9 + width, 19 + height))
    secret = "ROE^JANE"
    file = dicom(
        tmp_path / "scan.dcm",
        whole[None],
        BurnedInAnnotation="NO",
        SequenceOfUltrasoundRegions=[box],
        PatientName=secret,
    )
    sent: list[bytes] = []
    infer = CloudModel.infer
    monkeypatch.setattr(
        CloudModel, "infer", lambda self, body, length: (sent.append(body), infer(self, body, length))[1]
    )
    out = tmp_path / "out"
    outcome = ussearch(
        "infer", finished.folder, file, "--out", out, "--cloud", running.url, "--deadline-ms", 5000, "--json"
    )
    (result,) = json.loads(outcome.out)
    assert result["route"] == "cloud"
    (body,) = sent
    assert secret.encode() not in body
    assert b"scan" not in body
    assert body.endswith(network_input(away, 32).tobytes())
    mask = read_image(result["mask"])
    assert mask.shape == whole.shape
    assert not mask[:20].any()


def test_segmentations_lie_beside_the_masks(
    finished: Bundle, away: np.ndarray, data_folder: Path, tmp_path: Path, ussearch: Command
) -> None:
    pydicom, _ = pytest.importorskip("pydicom"), pytest.importorskip("highdicom", reason="needs the extra seg")
    file = dicom(tmp_path / "cine.dcm", np.stack([away, away[::-1]]), **CLINICAL)
    arguments = ("infer", finished.folder, "--out", tmp_path / "out", "--dicom-seg")
    outcome = ussearch(*arguments, file, "--json")
    assert outcome.status == 0, outcome.err
    for number, result in enumerate(json.loads(outcome.out)):
        made = pydicom.dcmread(result["segmentation"])
        assert np.array_equal(made.pixel_array.reshape(away.shape) > 0, read_image(result["mask"]) > 0)
        (item,) = made.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence
        assert item.ReferencedFrameNumber == number + 1
    refused = ussearch(
        "infer", finished.folder, "--out", tmp_path / "no", "--dicom-seg", data_folder / "images" / "05.png"
    )
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    assert "leave --dicom-seg out" in refused.err
    assert not (tmp_path / "no").exists()
