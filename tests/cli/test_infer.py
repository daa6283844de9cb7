"""``ussearch infer``: what it takes and where it writes; with DICOM files, what may leave the machine."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Command, Outcome
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


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def busi(data_folder: Path, tmp_path: Path) -> Path:
    """A folder as BUSI has it: annotations beside the images, named as masks of ours would be."""
    root = tmp_path / "busi"
    for number, label in enumerate(("benign", "benign", "malignant")):
        (root / label).mkdir(parents=True, exist_ok=True)
        for kind, suffix in (("images", ""), ("masks", "_mask")):
            source = data_folder / kind / f"{number + 1:02d}.png"
            shutil.copyfile(source, root / label / f"{label} ({number + 1}){suffix}.png")
    return root


def refused(outcome: Outcome, *words: str) -> None:
    assert (outcome.status, outcome.err.count("\n"), outcome.out) == (2, 1, ""), outcome
    for word in words:
        assert word in outcome.err


def test_a_whole_data_set_is_segmented_without_its_annotations(
    finished: Bundle, busi: Path, tmp_path: Path, ussearch: Command
) -> None:
    before = digests(busi)
    outcome = ussearch("infer", finished.folder, busi, "--out", tmp_path / "out", "--json")
    assert outcome.status == 0, outcome.err
    assert outcome.err == "Left out: 3 masks beside images.\n"
    assert [Path(each["image"]).name for each in json.loads(outcome.out)] == [
        *("benign (1).png", "benign (2).png", "malignant (3).png")
    ]
    names = ("benign/benign (1)", "benign/benign (2)", "malignant/malignant (3)")
    assert set(digests(tmp_path / "out")) == {f"{name}_{what}.png" for name in names for what in ("mask", "overlay")}
    assert digests(busi) == before


def test_annotations_are_never_written_over(
    finished: Bundle, busi: Path, ussearch: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All places are looked at before the first file is written, however the images are named."""
    (busi / "benign" / "benign (1)_mask.png").unlink()  # so that the first image could be written
    before = digests(busi)
    taken = "benign (2)_mask.png stands there already"
    monkeypatch.chdir(busi / "benign")
    for images in (["."], ["*.png"], ["benign (1).png", "benign (2).png"]):
        refused(ussearch("infer", finished.folder, *images, "--out", "."), taken, "--out")
        assert digests(busi) == before
    refused(ussearch("infer", finished.folder, busi, "--out", busi), taken)
    assert digests(busi) == before


def test_an_overlay_or_segmentation_of_others_stays(
    finished: Bundle, away: np.ndarray, tmp_path: Path, ussearch: Command
) -> None:
    pytest.importorskip("highdicom", reason="needs the extra seg")
    file, out = dicom(tmp_path / "a.dcm", away[None], **CLINICAL), tmp_path / "out"
    out.mkdir()
    for name in ("a_overlay.png", "a_mask.dcm"):
        (out / name).write_text("drawn by hand")
        refused(ussearch("infer", finished.folder, file, "--out", out, "--dicom-seg"), name)
        assert digests(out).keys() == {name}
        (out / name).unlink()
    for _ in range(2):  # its own are replaced, segmentations too
        outcome = ussearch("infer", finished.folder, file, "--out", out, "--dicom-seg")
        assert outcome.status == 0, outcome.err
    assert digests(out).keys() == {"a_mask.dcm", "a_mask.png", "a_overlay.png"}


def test_its_own_output_is_replaced_and_is_no_input_until_somebody_edits_it(
    finished: Bundle, busi: Path, ussearch: Command
) -> None:
    arguments = ("infer", finished.folder, busi, "--out", busi / "found")
    assert ussearch(*arguments).status == 0
    first = digests(busi)
    again = ussearch(*arguments)
    assert again.status == 0, again.err
    assert "Left out: 3 masks beside images, 6 files that ussearch wrote." in again.out
    assert digests(busi) == first
    corrected = busi / "found" / "malignant" / "malignant (3)_mask.png"
    with Image.open(corrected) as image:
        Image.fromarray(255 - np.asarray(image)).save(corrected)
    edited = digests(busi)
    assert edited != first
    refused(ussearch(*arguments), "malignant (3)_mask.png stands there already")
    assert digests(busi) == edited


def test_without_out_nothing_is_written_into_a_folder_of_images(
    finished: Bundle, busi: Path, ussearch: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digests(busi)
    for place, image in ((busi, "."), (busi / "benign", "benign (1).png"), (busi / "benign", "..")):
        monkeypatch.chdir(place)
        refused(ussearch("infer", finished.folder, image), "among the images", "--out")
        assert digests(busi) == before
    monkeypatch.chdir(tmp_path)
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "a.png").write_text("drawn by hand")
    refused(ussearch("infer", finished.folder, busi), "masks holds a.png", "--out")
    (tmp_path / "masks" / "a.png").unlink()
    for _ in range(2):
        assert ussearch("infer", finished.folder, busi).status == 0
    assert len(digests(tmp_path / "masks")) == 6


def test_images_that_differ_in_their_suffix_alone_keep_it(
    finished: Bundle, busi: Path, tmp_path: Path, ussearch: Command
) -> None:
    source, folder = busi / "benign" / "benign (1).png", tmp_path / "twins"
    folder.mkdir()
    with Image.open(source) as image:
        image.save(folder / "x.png")
        image.save(folder / "x.bmp")
    outcome = ussearch("infer", finished.folder, folder, "--out", tmp_path / "out")
    assert outcome.status == 0, outcome.err
    masks = {name for name in digests(tmp_path / "out") if name.endswith("_mask.png")}
    assert masks == {"x.bmp_mask.png", "x.png_mask.png"}


def test_a_frame_of_a_cine_and_a_file_of_that_name_are_refused(
    finished: Bundle, away: np.ndarray, tmp_path: Path, ussearch: Command
) -> None:
    dicom(tmp_path / "data.dcm", np.stack([away, away]))
    Image.fromarray(away).save(tmp_path / "data_0001.png")
    images = (tmp_path / "data.dcm", tmp_path / "data_0001.png")
    refused(ussearch("infer", finished.folder, *images, "--out", tmp_path / "out"), "would both be written as")
    assert not (tmp_path / "out").exists()


def test_a_damaged_image_deep_in_a_folder_stops_all_before_anything_is_written(
    finished: Bundle, busi: Path, tmp_path: Path, ussearch: Command
) -> None:
    (busi / "malignant" / "z.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    refused(ussearch("infer", finished.folder, busi, "--out", tmp_path / "out"), "z.png")
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "benign").write_text("a file where a folder is needed")
    (busi / "malignant" / "z.png").unlink()
    refused(ussearch("infer", finished.folder, busi, "--out", tmp_path / "out"), "benign is a file")
    assert digests(tmp_path / "out").keys() == {"benign"}
