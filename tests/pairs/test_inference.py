from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.datasets.test_frames import dicom
from ussearch.datasets import Normalisation, read_image, resize_mask
from ussearch.errors import UserError
from ussearch.pairs import Bundle, Member, PairData, infer, write_bundle
from ussearch.pairs.inference import output_name
from ussearch.pairs.routing.attach_router import RouterSpec
from ussearch.pairs.routing.policies import SharePolicy
from ussearch.runtime.frames import Frame
from ussearch.runtime.geometry import mask_in, network_input
from ussearch.runtime.masks import contour
from ussearch.runtime.prediction import overlay


def test_masks_and_overlays_have_the_size_of_the_image(finished: Bundle, data_folder: Path, tmp_path: Path) -> None:
    image = data_folder / "images" / "05.png"
    (result,) = infer(finished, [image], tmp_path / "out")
    with Image.open(image) as original, Image.open(result["mask"]) as mask, Image.open(result["overlay"]) as drawn:
        assert original.size == mask.size == drawn.size
        assert set(np.unique(np.asarray(mask))) == {0, 255}
        assert result["lesion_share"] == pytest.approx((np.asarray(mask) > 0).mean())
        assert drawn.mode == "RGB"
    with Image.open(data_folder / "masks" / "05.png") as truth, Image.open(result["mask"]) as mask:
        overlap = (np.asarray(truth) > 0) & (np.asarray(mask) > 0)
        assert overlap.sum() > 0.7 * (np.asarray(truth) > 0).sum()
    assert 0 <= result["confidence"] <= 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["05_mask.png", "05_overlay.png"]


def test_the_router_decides_which_network_answers(
    pair_data: PairData, edge_member: Member, cloud_member: Member, data_folder: Path, tmp_path: Path
) -> None:
    image = data_folder / "images" / "05.png"
    masks = {}
    for share, route in ((0.0, "edge"), (1.0, "cloud")):
        bundle = write_bundle(
            tmp_path / route, edge_member, cloud_member, pair_data, RouterSpec(SharePolicy(share=share))
        )
        (result,) = infer(bundle, [image], tmp_path / f"masks-{route}")
        assert result["route"] == route
        masks[route] = Path(result["mask"]).read_bytes()
    assert masks["edge"] != masks["cloud"]


def test_frames_of_a_dicom_cine_are_put_back_into_their_full_size(finished: Bundle, tmp_path: Path) -> None:
    from pydicom.data import get_testdata_file

    path = Path(str(get_testdata_file("examples_ybr_color.dcm", download=False) or ""))
    if not path.is_file():
        pytest.skip("this pydicom carries no ultrasound cine")
    results = infer(finished, [path], tmp_path)
    assert len(results) > 1
    assert [result["frame"] for result in results] == list(range(len(results)))
    assert len({result["mask"] for result in results}) == len(results)


def test_a_lesion_has_an_area_where_the_file_tells_the_size_of_its_pixels(
    finished: Bundle, data_folder: Path, tmp_path: Path
) -> None:
    image = next(iter(sorted((data_folder / "images").iterdir())))
    pixels = np.asarray(Image.open(image).convert("L"))
    cine = dicom(tmp_path / "scan.dcm", pixels[None], PixelSpacing=[0.5, 0.2])
    known, unknown = infer(finished, [cine, image], tmp_path / "out")
    marked = int((np.asarray(Image.open(known["mask"])) > 0).sum())
    assert known["lesion_area_mm2"] == pytest.approx(marked * 0.1) and unknown["lesion_area_mm2"] is None


def test_a_mask_goes_back_to_where_it_was_cut_out() -> None:
    frame = Frame(np.zeros((2, 3), np.uint8), Path("cine.dcm"), 7, (4, 1, 7, 3), (5, 9))
    full = frame.whole(np.ones((2, 3), np.uint8))
    assert full.shape == (5, 9)
    assert full[1:3, 4:7].all()
    assert full.sum() == 6
    assert output_name("day/cine", frame, 8) == "day/cine_0007"


def test_the_contour_is_the_rim_of_the_mask() -> None:
    mask = np.zeros((5, 5), np.uint8)
    mask[1:4, 1:4] = 1
    rim = contour(mask)
    assert rim.sum() == 8
    assert not rim[2, 2]
    drawn = overlay(np.full((5, 5), 9, np.uint8), mask)
    assert drawn[1, 1].tolist() == [255, 200, 0]
    assert drawn[2, 2].tolist() == [9, 9, 9]


def test_masks_come_back_in_the_geometry_of_the_image() -> None:
    probabilities = np.zeros((8, 8), np.float32)
    probabilities[2:6, 2:6] = 1
    mask = mask_in(probabilities, (16, 24))
    assert mask.shape == (16, 24)
    assert (mask == resize_mask(probabilities.astype(np.uint8), 16, 24)).all()
    assert network_input(mask, 8).shape == (1, 1, 8, 8)


@pytest.mark.parametrize("content", [None, b"not an image", b"\x89PNG\r\n\x1a\nbroken"])
def test_an_image_that_cannot_be_read_is_named_and_nothing_written(
    content: bytes | None, finished: Bundle, data_folder: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.png"
    if content is not None:
        bad.write_bytes(content)
    with pytest.raises(UserError, match=r"bad\.png"):
        infer(finished, [data_folder / "images" / "05.png", bad], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_folders_inside_the_bundle_are_refused(finished: Bundle, data_folder: Path) -> None:
    with pytest.raises(UserError, match="inside the bundle"):
        infer(finished, [data_folder / "images" / "05.png"], finished.folder / "masks")
    assert Bundle.load(finished.folder) == finished


def test_the_command_prints_a_table_or_json(finished: Bundle, data_folder: Path, tmp_path: Path) -> None:
    from ussearch.cli.app import app

    images = [str(data_folder / "images" / name) for name in ("04.png", "05.png")]
    arguments = ["infer", str(finished.folder), *images, "--out", str(tmp_path)]
    assert "05.png" in CliRunner().invoke(app, arguments, catch_exceptions=False).output
    content = json.loads(CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False).stdout)
    assert [Path(entry["image"]).name for entry in content] == ["04.png", "05.png"]


def test_a_normalisation_is_part_of_the_bundle(finished: Bundle, pair_data: PairData) -> None:
    preprocessing = finished.manifest.preprocessing
    assert Normalisation(preprocessing.mean, preprocessing.std) == pair_data.normalisation


def test_a_prediction_is_not_saved_over_a_file_of_others(finished: Bundle, data_folder: Path, tmp_path: Path) -> None:
    prediction = finished.predictor().predict(read_image(data_folder / "images" / "05.png"))
    mask = tmp_path / "05_mask.png"
    mask.write_bytes((data_folder / "masks" / "05.png").read_bytes())
    with pytest.raises(UserError, match=r"05_mask\.png stands there already"):
        prediction.save(mask)
    assert mask.read_bytes() == (data_folder / "masks" / "05.png").read_bytes()
    mask.unlink()
    assert prediction.save(mask).read_bytes() == prediction.save(mask).read_bytes()
