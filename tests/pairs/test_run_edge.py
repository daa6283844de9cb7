"""The runner for the board: its decoder and arithmetic against Pillow's and the package's, and under old Pythons."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.old_pythons import old_python
from tests.png_files import exif, png_of, with_chunk
from ussearch.datasets import read_image, resize_image, resize_plane
from ussearch.pairs import Bundle, infer, soft_dice_confidence
from ussearch.runtime.onnx_network import sigmoid
from ussearch.serving.board import run_edge, run_edge_source

RANDOM = np.random.default_rng(0)


def smooth(height: int, width: int, channels: int = 1) -> Any:
    """Return pixels for which encoders choose every kind of filter."""
    y, x = np.mgrid[:height, :width]
    planes = [(y * (3 + c) + x * 2 + RANDOM.integers(0, 9, (height, width))) % 256 for c in range(channels)]
    return np.stack(planes, axis=-1).astype(np.uint8)


MODES: dict[str, Callable[[], Image.Image]] = {
    "grey": lambda: Image.fromarray(smooth(37, 53)[:, :, 0]),
    "colour": lambda: Image.fromarray(smooth(37, 53, 3)),
    "colour with transparency": lambda: Image.fromarray(smooth(37, 53, 4)),
    "grey with transparency": lambda: Image.fromarray(smooth(37, 53, 2), "LA"),
    "palette": lambda: Image.fromarray(smooth(37, 53, 3)).quantize(200),
    "palette of 4 bits": lambda: Image.fromarray(smooth(37, 53, 3)).quantize(11),
    "one bit": lambda: Image.fromarray(smooth(37, 53)[:, :, 0]).convert("1"),
    "16 bits": lambda: Image.fromarray(smooth(37, 53)[:, :, 0].astype(np.uint16) * 250),
}


@pytest.mark.parametrize("mode", MODES)
def test_png_files_are_decoded_as_the_package_does(mode: str, tmp_path: Path) -> None:
    MODES[mode]().save(tmp_path / "image.png")
    found = run_edge.read_grey(tmp_path / "image.png")[0]
    assert found.dtype == np.uint8
    assert np.array_equal(found, read_image(tmp_path / "image.png"))


@pytest.mark.parametrize("filter_kind", range(5))
@pytest.mark.parametrize("channels", [1, 3])
def test_every_filter_is_undone(filter_kind: int, channels: int, tmp_path: Path) -> None:
    pixels = smooth(9, 11, channels).reshape(9, -1).astype(np.int64)
    left = np.pad(pixels, ((0, 0), (channels, 0)))[:, : pixels.shape[1]]
    above = np.pad(pixels, ((1, 0), (0, 0)))[:-1]
    diagonal = np.pad(left, ((1, 0), (0, 0)))[:-1]
    estimate = left + above - diagonal
    distances = np.stack([abs(estimate - left), abs(estimate - above), abs(estimate - diagonal)])
    paeth = np.choose(distances.argmin(0), [left, above, diagonal])
    guess = [np.zeros_like(pixels), left, above, (left + above) // 2, paeth][filter_kind]
    rows = np.concatenate([np.full((9, 1), filter_kind), (pixels - guess) % 256], axis=1).astype(np.uint8)
    assert np.array_equal(run_edge.unfiltered(rows.tobytes(), 9, pixels.shape[1], channels), pixels)


def test_its_own_masks_are_read_by_pillow(tmp_path: Path) -> None:
    grey = smooth(5, 7)[:, :, 0]
    (tmp_path / "mask.png").write_bytes(run_edge.encode_png(grey))
    assert np.array_equal(read_image(tmp_path / "mask.png"), grey)


def test_pgm_and_npy_are_read(tmp_path: Path) -> None:
    grey = smooth(6, 4)[:, :, 0]
    Image.fromarray(grey).save(tmp_path / "raw.pgm")
    text = "P2\n# a comment\n4 6\n255\n" + "\n".join(" ".join(map(str, row)) for row in grey)
    (tmp_path / "plain.pgm").write_text(text)
    np.save(tmp_path / "array.npy", grey)
    for name in ("raw.pgm", "plain.pgm", "array.npy"):
        assert np.array_equal(run_edge.read_grey(tmp_path / name)[0], grey), name


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    target=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 99),
)
def test_images_are_resized_as_for_training(shape: tuple[int, int], target: tuple[int, int], seed: int) -> None:
    grey = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    assert run_edge.resize_plane(grey, *target) == pytest.approx(resize_plane(grey, *target), abs=1e-9)
    side = target[0]
    assert np.array_equal(run_edge.network_input(grey, side)[0, 0], resize_image(grey, side, side))


@given(st.lists(st.floats(-30, 30, width=32), min_size=4, max_size=4))
def test_confidence_and_probabilities_are_those_of_the_package(values: list[float]) -> None:
    logits = np.array(values, np.float32).reshape(1, 1, 2, 2)
    assert np.array_equal(run_edge.probabilities_of(logits), sigmoid(logits)[0, 0])
    expected = soft_dice_confidence(sigmoid(logits))[0]
    assert run_edge.soft_dice_confidence(run_edge.probabilities_of(logits)) == pytest.approx(expected, abs=1e-12)


def test_it_is_valid_python_3_6_and_imports_nothing_else() -> None:
    tree = ast.parse(run_edge_source(), feature_version=(3, 6))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    library = (
        "argparse contextlib hashlib http.client json math os pathlib queue re socket ssl struct sys threading time "
        "typing"
    )
    assert imported <= {*library.split(), "urllib.parse", "zlib", "numpy", "onnxruntime"}


def call(
    bundle: Path, *arguments: str, python: str = sys.executable, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [python, str(bundle / "run_edge.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=cwd)


def test_it_writes_over_its_own_masks_and_nothing_else(finished: Bundle, data_folder: Path, tmp_path: Path) -> None:
    images, out = [str(data_folder / "images" / name) for name in ("04.png", "05.png")], tmp_path / "out"
    arguments = (*images, "--out", str(out))
    assert call(finished.folder, *arguments).returncode == 0
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    assert call(finished.folder, *arguments).returncode == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == first
    assert first.keys() == {"04_mask.png", "05_mask.png"}
    (out / "04_mask.png").unlink()
    Image.open(out / "05_mask.png").transpose(Image.Transpose.ROTATE_180).save(out / "05_mask.png")
    corrected = (out / "05_mask.png").read_bytes()
    refused = call(finished.folder, *arguments)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "05_mask.png stands there already" in refused.stderr and refused.stderr.count("\n") == 1
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {"05_mask.png": corrected}


def test_without_out_it_writes_nothing_among_the_images(finished: Bundle, data_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    image = Path(shutil.copy(data_folder / "images" / "05.png", tmp_path / "scans"))
    for place, words in ((tmp_path / "scans", "among the images"), (tmp_path, "mine.txt is not what ussearch wrote")):
        (tmp_path / "masks").mkdir(exist_ok=True)
        (tmp_path / "masks" / "mine.txt").write_text("")
        refused = call(finished.folder, os.path.relpath(image, place), cwd=place)
        assert refused.returncode == 2 and words in refused.stderr, refused.stderr
        assert [path.name for path in (tmp_path / "scans").iterdir()] == ["05.png"]
        assert [path.name for path in (tmp_path / "masks").iterdir()] == ["mine.txt"]
    (tmp_path / "masks" / "mine.txt").unlink()
    assert call(finished.folder, "scans/05.png", cwd=tmp_path).returncode == 0
    assert [path.name for path in (tmp_path / "masks").iterdir()] == ["05_mask.png"]


def test_the_self_test_passes_and_finds_changes(finished: Bundle, copy: Path) -> None:
    assert json.loads(call(finished.folder, "--self-test").stdout) == {"self_test": "passed", "differences": []}
    (copy / "split.json").write_text("{}")
    result = call(copy, "--self-test")
    assert result.returncode == 1
    assert "split.json is missing or changed" in result.stdout


def test_it_gives_the_masks_of_the_package(finished: Bundle, data_folder: Path, tmp_path: Path) -> None:
    images = [data_folder / "images" / name for name in ("04.png", "05.png", "26.png")]
    result = call(finished.folder, *map(str, images), "--out", str(tmp_path / "board"))
    assert result.returncode == 0, result.stderr
    assert_same_masks(finished, images, result.stdout, tmp_path)


def assert_same_masks(bundle: Bundle, images: list[Path], output: str, tmp_path: Path) -> None:
    """Compare what the runner printed and wrote with the package's own answer."""
    pair = bundle.predictor()
    lines = [json.loads(line) for line in output.splitlines()]
    assert [Path(line["image"]) for line in lines] == images
    for line, path in zip(lines, images, strict=True):
        answer = pair.alone().predict(read_image(path))
        assert np.array_equal(read_image(line["mask"]) > 0, answer.mask > 0), path
        assert line["confidence"] == pytest.approx(answer.confidence, abs=1e-5)
        assert line["route"] == answer.route
    on_the_edge = [result for result in infer(bundle, images, tmp_path / "desk") if result["route"] == "edge"]
    assert on_the_edge
    for result in on_the_edge:
        own = tmp_path / "board" / Path(result["mask"]).name
        assert np.array_equal(read_image(own), read_image(result["mask"]))


def broken_png(change: Callable[[bytes], bytes]) -> bytes:
    return change(run_edge.encode_png(smooth(8, 8)[:, :, 0]))


BAD_FILES: dict[str, tuple[bytes, str]] = {
    "a.txt": (b"hello", "is neither PNG, PGM nor .npy"),
    "b.png": (broken_png(lambda data: data[:-20]), "truncated or damaged"),
    "c.png": (broken_png(lambda data: data[:45] + b"\0" + data[46:]), "truncated or damaged"),
    "d.png": (b"\x89PNG\r\n\x1a\n", "truncated or damaged"),
    "e.pgm": (b"P5\n4 4\n255\n123", "truncated or damaged"),
    "f.pgm": (b"P5\n99999 99999\n255\n", "expected at most 64000000"),
    "g.pgm": (b"P5\n2 2\n99999\n12345678", "100000 grey levels"),
    "h.npy": (b"\x93NUMPY\x01\x00", "truncated or damaged"),
    "j.pgm": (b"P2\n2 1\n7\n3 99999999999999999999\n", "truncated or damaged"),
    "i.pgm": (b"P2\n2 1\n7\n3 8\n", "truncated or damaged"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_one_sentence(name: str, tmp_path: Path) -> None:
    content, expected = BAD_FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(run_edge.BadInput, match=expected) as caught:
        run_edge.read_grey(tmp_path / name)
    assert name in str(caught.value)


def test_arrays_of_another_kind_interlaced_files_and_bombs_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "float.npy", np.zeros((2, 2)))
    with pytest.raises(run_edge.BadInput, match="holds float64"):
        run_edge.read_grey(tmp_path / "float.npy")
    np.save(tmp_path / "object.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(run_edge.BadInput, match="damaged"):
        run_edge.read_grey(tmp_path / "object.npy")
    header = bytearray(run_edge.encode_png(smooth(8, 8)[:, :, 0]))
    for position, value, expected in ((28, 1, "interlaced"), (16, 127, "reduce it")):
        changed = bytearray(header)
        changed[position] = value
        changed[29:33] = (zlib.crc32(bytes(changed[12:29])) & 0xFFFFFFFF).to_bytes(4, "big")
        (tmp_path / "x.png").write_bytes(changed)
        with pytest.raises(run_edge.BadInput, match=expected):
            run_edge.read_grey(tmp_path / "x.png")


def test_errors_end_with_status_2_and_write_nothing(copy: Path, data_folder: Path, tmp_path: Path) -> None:
    image, out = str(data_folder / "images" / "05.png"), str(tmp_path / "out")
    for arguments in (
        [image, "absent.png", "--out", out],
        [image, "--out", str(copy / "masks")],
        [image, image, "--out", out],
    ):
        result = call(copy, *arguments)
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr.startswith("Error: ")
        assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
    (copy / "edge" / "model.onnx").write_bytes(b"broken")
    assert "edge/model.onnx is missing or changed" in call(copy, image, "--out", out).stderr


@pytest.mark.parametrize("version", ["3.6", *(pytest.param(each, marks=pytest.mark.slow) for each in ("3.7", "3.8"))])
def test_old_pythons_give_the_same_masks(version: str, finished: Bundle, data_folder: Path, tmp_path: Path) -> None:
    python = old_python(version, tmp_path / "venv")
    result = call(finished.folder, "--self-test", python=python)
    assert result.returncode == 0, result.stdout + result.stderr
    images = [data_folder / "images" / name for name in ("04.png", "05.png", "26.png")]
    result = call(finished.folder, *map(str, images), "--out", str(tmp_path / "board"), python=python)
    assert result.returncode == 0, result.stderr
    assert_same_masks(finished, images, result.stdout, tmp_path)
    assert_same_levels(finished.folder, python, tmp_path)
    Bundle.load(finished.folder)


def assert_same_levels(bundle: Path, python: str, folder: Path) -> None:
    """Files of every kind that the board reads become the same levels there as here."""
    values = np.arange(0, 60000, 997, dtype=np.uint16)[:60].reshape(6, 10)
    deep = with_chunk(png_of(values[:, :, None], 0, 16), b"eXIf", exif(6))
    xmp = b"XML:com.adobe.xmp\x00\x01\x00en\x00\x00" + zlib.compress(b'<x tiff:Orientation="8"/>')
    files = {
        "deep.png": deep,
        "xmp.png": with_chunk(png_of(values[:, :, None] >> 8, 0, 8), b"iTXt", xmp),
        "raw.pgm": b"P5\n10 6\n60000\n" + values.astype(">u2").tobytes(),
        "plain.pgm": b"P2\n2 1\n999 # top\n500 999\n",
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    np.save(folder / "floats.npy", np.where(values == values[0, 0], np.nan, values * 1.5))
    paths = [str(folder / name) for name in (*files, "floats.npy")]
    scale = {"low": 100.5, "high": 50000.0, "basis": "percentiles"}
    program = (
        "import json, pathlib, run_edge, sys\n"
        "scale = json.loads(sys.argv[1])\n"
        "for path in sys.argv[2:]:\n"
        "    grey, clipped = run_edge.read_grey(pathlib.Path(path), scale)\n"
        "    print(json.dumps([grey.tolist(), clipped]))\n"
    )
    arguments = [python, "-B", "-c", program, json.dumps(scale), *paths]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=bundle)
    for path, line in zip(paths, done.stdout.splitlines(), strict=True):
        grey, clipped = run_edge.read_grey(Path(path), scale)
        assert json.loads(line) == [grey.tolist(), clipped], path
