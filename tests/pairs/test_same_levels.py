"""One scene has the same grey levels in files of every kind, wherever they are read.

Training (raw values by the grey scale), ``infer``, Python, what a client sends and a server gets, and the board.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit
from typer.testing import CliRunner

import ussearch
from tests.datasets.test_decoding import HELD
from tests.datasets.test_frames import dicom, region
from tests.pairs.server.conftest import served
from tests.pairs.test_run_edge import call
from tests.png_files import exif, png_of, save, with_chunk
from tests.tiff_files import Page, tiff_of
from ussearch import pairs
from ussearch.datasets import open_dataset, read_frames
from ussearch.datasets.dicom import read_raw_dicom
from ussearch.datasets.reading import Reading
from ussearch.datasets.reading.decide import settled
from ussearch.pairs import write_bundle
from ussearch.pairs.routing.attach_router import RouterSpec
from ussearch.pairs.routing.policies import SharePolicy
from ussearch.runtime.frames import raw_raster
from ussearch.runtime.geometry import network_input
from ussearch.runtime.grey_scale import GreyScale
from ussearch.runtime.onnx_network import OnnxNetwork
from ussearch.serving.board import run_edge
from ussearch.serving.server.model import CloudModel
from ussearch.serving.server.settings import ServerSettings

Values = np.ndarray[Any, Any]
GREY = np.clip(np.add.outer(np.arange(48) * 3.1, np.arange(64) * 1.9), 0, 255).astype(np.uint8)
"""A corner is white, and no turn of it looks like another."""
SCENE = GREY / 255
"""Brightness from 0 to 1."""
PLAIN = GreyScale()


@dataclass(frozen=True)
class Kind:
    """A kind of file: how it is written, the grey scale of its data set, and by how many levels it may differ."""

    write: Callable[[Path], Path]
    scale: GreyScale = PLAIN
    off: int = 0
    board: bool = False


def deep(bits: int) -> Values:
    return np.floor(SCENE * (2**bits - 1) + 0.5).astype(np.uint16)


def png(values: Values, bits: int) -> Callable[[Path], Path]:
    """Write a PNG of 8 bits, or of 16 that says how many of them count."""
    content = png_of(values[:, :, None], 0, 8 if bits == 8 and values.dtype == np.uint8 else 16)
    return lambda folder: save(folder / "a.png", with_chunk(content, b"sBIT", bytes([bits])))


def tiff(values: Values, **tags: int) -> Callable[[Path], Path]:
    return lambda folder: save(folder / "a.tif", tiff_of(Page(values, **tags)))


def pgm(values: Values, top: int) -> Callable[[Path], Path]:
    content = values.astype(">u2" if top > 255 else np.uint8).tobytes()
    return lambda folder: save(folder / "a.pgm", f"P5\n64 48\n{top}\n".encode() + content)


def pillow(image: Image.Image, name: str, **options: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        image.save(folder / name, **options)
        return folder / name

    return write


def turned(name: str, **options: Any) -> Callable[[Path], Path]:
    note = Image.Exif()
    note[0x0112] = 6
    return pillow(Image.fromarray(np.ascontiguousarray(HELD[6](GREY))), name, exif=note, **options)


def turned_deep(folder: Path) -> Path:
    stored = np.ascontiguousarray(HELD[8](deep(12)))
    content = with_chunk(png_of(stored[:, :, None], 0, 16), b"sBIT", b"\x0c")
    return save(folder / "a.png", with_chunk(content, b"eXIf", exif(8)))


def scan(values: Values, interpretation: str = "MONOCHROME2", **attributes: Any) -> Callable[[Path], Path]:
    return lambda folder: dicom(folder / "a.dcm", values[None], interpretation, **attributes)


def ybr_jpeg(folder: Path) -> Path:
    """Write grey as YBR in a baseline JPEG inside a DICOM file."""
    path = pillow(Image.fromarray(GREY).convert("RGB"), "a.jpg", quality=100, subsampling=0)(folder)
    encoded = path.read_bytes()
    path.unlink()
    import pydicom

    made = dicom(folder / "a.dcm", np.repeat(GREY[None, :, :, None], 3, axis=3), "YBR_FULL")
    header = pydicom.dcmread(made)
    header.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    header.PixelData = encapsulate([encoded])
    header["PixelData"].is_undefined_length = True
    header.save_as(made, enforce_file_format=True)
    return made


def ybr() -> Values:
    """Return grey as YBR, whose colour planes are in the middle."""
    return np.stack([GREY, *[np.full_like(GREY, 128)] * 2], axis=-1)


KINDS: dict[str, Kind] = {
    "8 bits": Kind(png(GREY, 8), board=True),
    "8 bits in 16": Kind(png(GREY.astype(np.uint16), 8), board=True),
    "10 bits": Kind(png(deep(10), 10), GreyScale(high=1023), board=True),
    "12 bits": Kind(png(deep(12), 12), GreyScale(high=4095), board=True),
    "12 bits of TIFF": Kind(tiff(deep(12), bits=12), GreyScale(high=4095)),
    "16 bits": Kind(png(deep(16), 16), GreyScale(high=65535), board=True),
    "16 bits of TIFF": Kind(tiff(deep(16)), GreyScale(high=65535)),
    "white is zero": Kind(tiff(65535 - deep(16), photometric=0), GreyScale(high=65535)),
    "floats": Kind(tiff(SCENE.astype(np.float32) * 7 - 3), GreyScale(low=-3, high=4, basis="percentiles")),
    "palette": Kind(pillow(Image.fromarray(GREY).convert("P"), "a.png"), board=True),
    "colour": Kind(pillow(Image.fromarray(GREY).convert("RGBA"), "a.png"), board=True),
    "PGM": Kind(pgm(GREY, 255), board=True),
    "PGM of 12 bits": Kind(pgm(deep(12), 4095), GreyScale(high=65535), board=True),
    "PGM of 16 bits": Kind(pgm(deep(16), 65535), GreyScale(high=65535), board=True),
    "EXIF in JPEG": Kind(turned("a.jpg", quality=100), off=2),
    "EXIF in PNG": Kind(turned("a.png"), board=True),
    "EXIF in TIFF": Kind(turned("a.tif")),
    "EXIF in PNG of 12 bits": Kind(turned_deep, GreyScale(high=4095), board=True),
    "MONOCHROME2": Kind(scan(GREY)),
    "MONOCHROME1": Kind(scan(255 - GREY, "MONOCHROME1")),
    "MONOCHROME1 of 12 bits": Kind(
        scan(4095 - deep(12), "MONOCHROME1", BitsStored=12, HighBit=11), GreyScale(high=4095)
    ),
    "rescaled": Kind(
        scan(deep(12), BitsStored=12, RescaleSlope=0.5, RescaleIntercept=-100), GreyScale(low=-100, high=1947.5)
    ),
    "windowed": Kind(
        scan(deep(12) + np.uint16(500), WindowCenter=2548, WindowWidth=4096),
        GreyScale(low=500, high=4595, basis="window"),
    ),
    "windowed 8 bits": Kind(
        scan(GREY // 2 + np.uint8(20), WindowCenter=84, WindowWidth=128),
        GreyScale(low=20, high=147, basis="window"),
        off=1,
    ),
    "YBR": Kind(scan(ybr(), "YBR_FULL"), off=1),
    "YBR in JPEG": Kind(ybr_jpeg, off=1),
}  # fmt: skip


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


def with_scale(bundle: ussearch.Bundle, scale: GreyScale | None, region: str = "largest") -> ussearch.Bundle:
    """Return the bundle as if it had learnt from images of another grey scale."""
    read = bundle.manifest.preprocessing.model_copy(update={"grey_scale": scale, "region": region})
    return ussearch.Bundle(bundle.folder, bundle.manifest.model_copy(update={"preprocessing": read}))


@pytest.mark.parametrize("name", KINDS)
def test_levels_are_the_scene_s_everywhere(name: str, eager: ussearch.Bundle, tmp_path: Path) -> None:
    kind = KINDS[name]
    path = kind.write(tmp_path)
    raw = read_raw_dicom(path) if path.suffix == ".dcm" else raw_raster(path)
    told = {"depth": raw.span, "window": raw.window, "percentiles": (kind.scale.low, kind.scale.high)}
    assert told[kind.scale.basis] == (kind.scale.low, kind.scale.high)  # as the header says
    learnt = kind.scale.levels(raw)
    assert learnt.shape == GREY.shape
    assert np.abs(learnt.astype(int) - GREY).max() <= kind.off
    (frame,) = read_frames(path, kind.scale)
    assert np.array_equal(frame.pixels, learnt) and frame.clipped == 0
    bundle = with_scale(eager, kind.scale)
    answer = bundle.predict(path, cloud=None)
    assert np.array_equal(answer.network_input, network_input(learnt, bundle.manifest.preprocessing.image_size))
    if kind.board:
        levels, clipped = run_edge.read_grey(path, kind.scale.model_dump(mode="json"))
        assert np.array_equal(levels, learnt) and clipped == 0


@pytest.mark.parametrize("name", KINDS)
def test_training_decides_on_levels_that_infer_gives_again(name: str, eager: ussearch.Bundle, tmp_path: Path) -> None:
    kind = KINDS[name]
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for number in range(3):
        path = kind.write(tmp_path)
        path.rename(tmp_path / "images" / f"scan{number}{path.suffix}")
        lesion = np.zeros((48, 64), np.uint8)
        lesion[10:20, 8 + number : 30] = 255
        Image.fromarray(lesion).save(tmp_path / "masks" / f"scan{number}.png")
    found = open_dataset(tmp_path)
    for dataset in (found.read_by(Reading(grey_scale=kind.scale)), settled(found)):
        assert dataset.reading is not None
        bundle = with_scale(eager, dataset.reading.grey_scale, dataset.reading.region)
        size = bundle.manifest.preprocessing.image_size
        for sample in dataset.samples:
            learnt, _ = dataset.source.decode(sample)
            answer = bundle.predict(sample.image, cloud=None)
            assert np.array_equal(answer.frame.pixels, learnt)
            assert np.array_equal(answer.network_input, network_input(learnt, size))


class Listening(OnnxNetwork):
    """A network that notes what it is given."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.heard: list[Values] = []

    def logits(self, images: Any) -> Any:
        self.heard.append(np.array(images))
        return super().logits(images)


def test_a_server_is_given_the_same_levels(eager: ussearch.Bundle, tmp_path: Path) -> None:
    network = Listening(eager.folder / "cloud" / "model.onnx")
    with served(replace(CloudModel.of(eager), network=network), ServerSettings(port=0)) as server:
        cloud = ussearch.CloudWish(server.url, deadline_ms=20_000.0, send_burned_in=True)
        for name, kind in KINDS.items():
            (tmp_path / name).mkdir()
            path = kind.write(tmp_path / name)
            network.heard.clear()
            answer = with_scale(eager, kind.scale).predict(path, cloud=cloud)
            assert answer.reason == "cloud answered", name
            (frame,) = read_frames(path, kind.scale)
            assert np.array_equal(network.heard[0], network_input(frame.pixels, network.heard[0].shape[-1])), name


ARRAYS: dict[str, tuple[Values, GreyScale]] = {
    "uint8": (GREY, GreyScale(high=4095)),
    "uint16": (deep(12), GreyScale(high=4095)),
    "int32": (deep(16).astype(np.int32) - 9, GreyScale(low=-9, high=65526)),
    "float64": (SCENE, GreyScale(high=1, basis="percentiles")),
    "float32": ((SCENE * 7 - 3).astype(np.float32), GreyScale(low=-3, high=4, basis="percentiles")),
    "colour": (np.repeat(GREY[:, :, None], 3, axis=2), GreyScale(high=4095)),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_are_read_by_the_bundle_s_scale(name: str, eager: ussearch.Bundle) -> None:
    values, scale = ARRAYS[name]
    bundle = with_scale(eager, scale)
    size = bundle.manifest.preprocessing.image_size
    for answer in (bundle.predict(values, cloud=None), bundle.predictor().predict(values)):
        assert np.array_equal(answer.network_input, network_input(GREY, size))


def test_arrays_of_another_depth_than_the_networks_learnt_from_are_refused(eager: ussearch.Bundle) -> None:
    with pytest.raises(
        ussearch.UserError, match="The array holds 16-bit values from 0 to 4095 but the networks learnt"
    ):
        eager.predict(deep(12))
    with pytest.raises(
        ussearch.UserError, match=r"An array float64 .* is no image: expected grey levels, uint8 or uint16"
    ):
        eager.predict(SCENE)
    before = with_scale(eager, None)
    size = before.manifest.preprocessing.image_size
    assert np.array_equal(before.predict(deep(12), cloud=None).network_input, network_input(GREY, size))


def test_the_bundle_s_region_is_used(eager: ussearch.Bundle, tmp_path: Path) -> None:
    regions = [region((0, 0, 29, 29)), region((20, 0, 63, 47))]
    path = scan(GREY, SequenceOfUltrasoundRegions=regions)(tmp_path)
    boxes = {"largest": (20, 0, 64, 48), "1": (0, 0, 30, 30), "2": (20, 0, 64, 48), "whole": (0, 0, 64, 48)}
    for rule, box in boxes.items():
        answer = with_scale(eager, PLAIN, rule).predict(path, cloud=None)
        assert answer.frame.box == box and answer.mask.shape == GREY.shape
    with pytest.raises(ussearch.UserError, match=r"a\.dcm has no ultrasound region 3: it tells of 2"):
        with_scale(eager, PLAIN, "3").predict(path)


def test_a_bundle_keeps_its_reading_and_its_files_tell_what_was_clipped(
    pair_data: pairs.PairData, edge_member: pairs.Member, cloud_member: pairs.Member, tmp_path: Path
) -> None:
    from ussearch.cli.app import app

    reading = Reading(grey_scale=GreyScale(low=100, high=4000, basis="given"), region="2")
    data = replace(pair_data, reading=reading)
    bundle = write_bundle(tmp_path / "bundle", edge_member, cloud_member, data, RouterSpec(SharePolicy(share=0.0)))
    manifest = bundle.manifest
    assert (manifest.data.reading, manifest.preprocessing.grey_scale) == (reading, reading.grey_scale)
    assert manifest.preprocessing.region == "2"
    assert "values from 100 (black) to 4000 (white)" in (bundle.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert ussearch.Bundle.load(bundle.folder).verify().passed
    path = png(deep(12), 12)(tmp_path)
    beyond = int(((deep(12) < 100) | (deep(12) > 4000)).sum())
    arguments = ["infer", str(bundle.folder), str(path), "--out", str(tmp_path / "desk")]
    ran = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert f"{beyond:,} values beyond 100..4000 were clipped in 1 frame." in " ".join(ran.output.split())
    (told,) = json.loads(CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False).stdout)
    assert told["clipped"] == beyond > 0
    ran_there = call(bundle.folder, str(path), "--out", str(tmp_path / "board"))
    assert ran_there.returncode == 0, ran_there.stderr
    board = json.loads(ran_there.stdout)
    assert board["clipped"] == beyond
    assert (tmp_path / "board" / "a_mask.png").stat().st_size > 0
    masks = [np.asarray(Image.open(tmp_path / place / "a_mask.png")) for place in ("desk", "board")]
    assert np.array_equal(*masks)
    assert call(bundle.folder, "--self-test").returncode == 0
