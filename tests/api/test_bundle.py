"""``ussearch.Bundle``: its answers are those of the commands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ussearch
from tests.pairs.server.conftest import served
from ussearch import pairs
from ussearch.pairs import write_bundle
from ussearch.pairs.routing.attach_router import RouterSpec
from ussearch.pairs.routing.policies import SharePolicy
from ussearch.serving.server.model import CloudModel
from ussearch.serving.server.settings import ServerSettings


@pytest.fixture(scope="module")
def eager(
    pair_data: pairs.PairData,
    edge_member: pairs.Member,
    cloud_member: pairs.Member,
    tmp_path_factory: pytest.TempPathFactory,
) -> ussearch.Bundle:
    """A bundle whose router sends every image to the cloud."""
    spec = RouterSpec(SharePolicy(share=1.0))
    folder = tmp_path_factory.mktemp("eager") / "bundle"
    return ussearch.Bundle.load(write_bundle(folder, edge_member, cloud_member, pair_data, spec).folder)


def test_a_prediction_is_what_infer_writes(there: Path, tmp_path: Path) -> None:
    bundle = ussearch.Bundle.load("bundle")
    found = bundle.predict("scan.png")
    (written,) = pairs.infer(bundle, [Path("scan.png")], tmp_path)
    with Image.open(written["mask"]) as mask, Image.open(written["overlay"]) as overlay:
        assert (np.asarray(mask) == found.mask * 255).all()
        assert (np.asarray(overlay) == found.overlay).all()
    assert (found.source, found.reason, found.confidence) == (
        written["route"],
        written["reason"],
        written["confidence"],
    )
    assert found.lesion_share == written["lesion_share"] > 0
    assert found.save(tmp_path / "own.png").read_bytes() == Path(written["mask"]).read_bytes()


def test_an_array_is_read_as_its_file_is(there: Path) -> None:
    bundle = ussearch.Bundle.load(there / "bundle")
    with Image.open("scan.png") as image:
        grey = np.asarray(image)
    expected = bundle.predict("scan.png")
    for array in (grey, np.repeat(grey[:, :, None], 3, axis=2), grey.astype(np.uint16), np.flipud(grey)[::-1]):
        assert (bundle.predict(array).mask == expected.mask).all()
    assert str(expected).startswith("PredictionResult(86×61, ") and "confidence" in str(expected)


@pytest.mark.parametrize(
    "array", [np.zeros((8, 8)), np.zeros((8, 8, 4), np.uint8), np.zeros((2, 8, 8, 3), np.uint8), np.zeros((0, 8), "u1")]
)
def test_an_array_that_is_no_image_is_refused(
    array: np.ndarray[tuple[int, ...], np.dtype[np.generic]], there: Path
) -> None:
    with pytest.raises(ussearch.UserError, match="is no image: expected grey levels"):
        ussearch.Bundle.load("bundle").predict(array)


def test_who_answers_is_the_callers_choice(eager: ussearch.Bundle, there: Path) -> None:
    edge, here = eager.predict("scan.png", cloud=None), eager.predict("scan.png")
    assert (edge.source, edge.reason) == ("edge", "no cloud asked")
    assert (here.source, here.reason) == ("cloud", "cloud network on this machine")
    assert (edge.mask != here.mask).any()
    nobody = eager.predict("scan.png", cloud="http://127.0.0.1:9")
    assert (nobody.source, nobody.reason) == ("edge", "server unreachable")
    assert (nobody.mask == edge.mask).all()


def test_a_server_answers_what_this_machine_would(eager: ussearch.Bundle, there: Path) -> None:
    with served(CloudModel.of(eager), ServerSettings(port=0)) as server:
        spec = ussearch.CloudWish(server.url, deadline_ms=5000.0)
        remote = list(eager.predict_all(["scan.png", "other.png"], cloud=spec))
    assert [answer.reason for answer in remote] == ["cloud answered"] * 2
    for answer, local in zip(remote, eager.predict_all(["scan.png", "other.png"]), strict=True):
        assert (answer.mask != local.mask).mean() < 0.02  # a server sends bits, which come back with a stepped rim


def test_a_cine_has_a_prediction_for_each_frame(there: Path) -> None:
    from pydicom.data import get_testdata_file

    path = Path(str(get_testdata_file("examples_ybr_color.dcm", download=False) or ""))
    if not path.is_file():
        pytest.skip("this pydicom carries no ultrasound cine")
    bundle = ussearch.Bundle.load("bundle")
    with pytest.raises(ussearch.UserError, match="frames, one was expected: give it to predict_all"):
        bundle.predict(path)
    found = list(bundle.predict_all([path], cloud=None))
    assert [answer.frame.frame for answer in found] == list(range(len(found))) and len(found) > 1
    assert {answer.mask.shape for answer in found} == {found[0].frame.full_size}


def test_a_damaged_bundle_is_refused(there: Path, tmp_path: Path) -> None:
    with pytest.raises(ussearch.UserError, match="is not a bundle"):
        ussearch.Bundle.load(tmp_path)
