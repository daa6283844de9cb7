"""DICOM from the first command to the last: a study on DICOM files, its report, and an answer to one scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.datasets.test_frames import dicom, region
from ussearch.datasets import PhantomParameters, read_image
from ussearch.datasets.phantoms import make_phantom

from .conftest import TINY_RUN, Command

pytestmark = pytest.mark.slow
SIDE, LEFT, TOP = 64, 24, 16
SECRET = "ROE^JANE"


def write_scans(folder: Path, count: int = 48) -> Path:
    """Write phantoms as DICOM frames with a bright border around the tissue region, masks of the whole frame as PNG."""
    parameters = PhantomParameters(count=count, seed=0, image_size=SIDE)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for index in range(count):
        phantom = make_phantom(parameters, index)
        whole = np.full((SIDE + 2 * TOP, SIDE + 2 * LEFT), 255, np.uint8)
        mask = np.zeros_like(whole)
        whole[TOP : TOP + SIDE, LEFT : LEFT + SIDE] = phantom.image
        mask[TOP : TOP + SIDE, LEFT : LEFT + SIDE] = phantom.mask * 255
        box = region((LEFT, TOP, LEFT + SIDE - 1, TOP + SIDE - 1))
        dicom(
            folder / f"images/scan{index:02d}.dcm",
            whole[None],
            PatientName=SECRET,
            SequenceOfUltrasoundRegions=[box],
        )
        Image.fromarray(mask).save(folder / f"masks/scan{index:02d}.png")
    return folder


def test_a_study_of_dicom_files_has_a_report_with_segmentations_and_answers_a_scan(
    ussearch: Command, tmp_path: Path
) -> None:
    data, study = write_scans(tmp_path / "scans"), tmp_path / "study"
    run = ussearch("run", "--profile", "jetson-nano", "--data", data, "--study", study, *TINY_RUN)
    assert run.status == 0, run.err

    assert ussearch("report", study).status == 0
    page = (study / "report.html").read_text(encoding="utf-8")
    assert page.count('<svg class="overlay"') >= 3
    assert SECRET not in page and "images/scan" not in page

    out = tmp_path / "out"
    answer = ussearch("infer", study / "bundle", data / "images/scan00.dcm", "--out", out)
    assert answer.status == 0, answer.err
    (mask,) = (path for path in out.iterdir() if "mask" in path.name)
    pixels = read_image(mask)
    assert pixels.shape == (SIDE + 2 * TOP, SIDE + 2 * LEFT)  # of the whole frame, nothing outside the region
    pixels[TOP : TOP + SIDE, LEFT : LEFT + SIDE] = 0
    assert not pixels.any()
