"""What ussearch wrote is told from what others wrote, by marks that every reader ignores and no edit keeps."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pydicom
import pytest
from PIL import Image, PngImagePlugin

from tests.datasets.test_frames import dicom
from ussearch.errors import UserError
from ussearch.own_files import is_own, mark, marked, refuse_foreign
from ussearch.serving.board import run_edge

GREY = np.random.default_rng(0).integers(0, 256, (9, 13), dtype=np.uint8)
SVG = '<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><rect width="3" height="4"/></svg>\n'


def picture(path: Path) -> None:
    Image.fromarray(GREY).save(path)


def drawing(path: Path) -> None:
    path.write_text(SVG)


def scan(path: Path) -> None:
    dicom(path, GREY[None])


def read_picture(path: Path) -> object:
    with Image.open(path) as image:
        image.load()
        return np.asarray(image).tolist()


def read_drawing(path: Path) -> object:
    return [(each.tag, each.attrib) for each in ElementTree.parse(path).iter()]


def read_scan(path: Path) -> object:
    return pydicom.dcmread(path).pixel_array.tolist()


KINDS: dict[str, tuple[Callable[[Path], None], Callable[[Path], object]]] = {
    "mask.png": (picture, read_picture),
    "front.jpg": (picture, read_picture),
    "front.tif": (picture, read_picture),
    "front.svg": (drawing, read_drawing),
    "mask.dcm": (scan, read_scan),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_marked_file_reads_as_before_and_any_changed_byte_makes_it_foreign(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    write, read = KINDS[name]
    write(path)
    before = read(path)
    assert not is_own(path)
    mark(path)
    assert is_own(path)
    assert read(path) == before
    data = path.read_bytes()
    for place in (40, len(data) // 2, len(data) - 60 if name.endswith(("png", "dcm")) else 60):
        changed = bytearray(data)
        changed[place] ^= 1
        path.write_bytes(changed)
        assert not is_own(path), place
    path.write_bytes(data[:-1])
    assert not is_own(path)


def test_the_chunk_is_one_that_png_readers_know_and_one_who_edits_and_keeps_it_counts_as_the_author(
    tmp_path: Path,
) -> None:
    buffer = io.BytesIO()
    Image.fromarray(GREY).save(buffer, "PNG")
    path = tmp_path / "mask.png"
    path.write_bytes(marked(buffer.getvalue()))
    with Image.open(path) as image:
        image.load()
        text = image.info["Software"]
        assert text.startswith("ussearch sha256:")
        kept = PngImagePlugin.PngInfo()
        kept.add_text("Software", text)
        corrected = np.asarray(image).copy()
    corrected[4, 4] ^= 255
    Image.fromarray(corrected).save(path, pnginfo=kept)
    assert not is_own(path)


def test_the_board_and_the_desk_know_each_others_masks(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(run_edge.encode_png(GREY))
    assert is_own(path) and run_edge.is_own(path)
    buffer = io.BytesIO()
    Image.fromarray(GREY).save(buffer, "PNG")
    path.write_bytes(buffer.getvalue())
    assert not is_own(path) and not run_edge.is_own(path)
    path.write_bytes(marked(buffer.getvalue()))
    assert is_own(path) and run_edge.is_own(path)


def test_links_folders_and_files_in_the_way_are_foreign(tmp_path: Path) -> None:
    own = tmp_path / "own.png"
    own.write_bytes(run_edge.encode_png(GREY))
    refuse_foreign([own, None, tmp_path / "new" / "mask.png"], "choose another")
    (tmp_path / "link.png").symlink_to(own)
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.png").mkdir()
    for name in ("link.png", "dangling.png", "folder.png", "own.png/mask.png"):
        with pytest.raises(UserError, match=rf"{name}.*; choose another\.$"):
            refuse_foreign([own, tmp_path / name], "choose another")
