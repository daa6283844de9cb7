"""LiteRT files against onnxruntime's: the same network, the same images."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from ussearch.compress.quantisation.litert import LiteRtNetwork, quantise_litert
from ussearch.errors import UserError
from ussearch.search_spaces import NormalisedNetwork

INSTALLED = all(importlib.util.find_spec(name) for name in ("litert_torch", "ai_edge_quantizer", "ai_edge_litert"))
needs_litert = pytest.mark.skipif(not INSTALLED, reason="needs the extra litert")


@needs_litert
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["conv", "dwsep", "mbconv"])
def test_masks_are_those_of_onnxruntime(kind: str, make_unet, ship, tmp_path: Path) -> None:
    network = ship(make_unet(kind=kind, width=16))
    out = tmp_path / "int8.tflite"
    quantise_litert(NormalisedNetwork(network.network, 80.0, 50.0), network.images, out)
    written = LiteRtNetwork(out)
    expected, found = network.logits(), written.logits(network.images)
    assert found.shape == expected.shape
    assert np.mean((expected >= 0) == (found >= 0)) > 0.96
    assert np.abs(expected - found).mean() < 0.15 * expected.std()
    assert written.types() <= {"int8", "int32"}
    assert out.stat().st_size < network.path.stat().st_size


@needs_litert
@pytest.mark.slow
def test_every_grey_level_has_a_number(small, tmp_path: Path) -> None:
    """Dim calibration images do not clip bright ones."""
    out = tmp_path / "int8.tflite"
    quantise_litert(NormalisedNetwork(small.network, 80.0, 50.0), small.images // 4, out)
    assert LiteRtNetwork(out)._input["quantization"] == (1.0, -128)


@needs_litert
@pytest.mark.slow
def test_no_delegate_computes(small, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """XNNPACK, which says so when it starts, aborts the process on some files where processors have VNNI."""
    out = tmp_path / "int8.tflite"
    quantise_litert(NormalisedNetwork(small.network, 80.0, 50.0), small.images, out)
    capfd.readouterr()
    LiteRtNetwork(out).logits(small.images[:1])
    assert "XNNPACK" not in capfd.readouterr().err


@needs_litert
@pytest.mark.slow
def test_damaged_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.tflite").write_bytes(b"nothing")
    with pytest.raises(UserError, match="cannot load"):
        LiteRtNetwork(tmp_path / "bad.tflite")


@pytest.mark.skipif(INSTALLED, reason="the extra litert is installed")
def test_the_missing_extra_is_named(small, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"ussearch\[litert\]"):
        quantise_litert(NormalisedNetwork(small.network, 80.0, 50.0), small.images, tmp_path / "x.tflite")
    with pytest.raises(UserError, match=r"ussearch\[litert\]"):
        LiteRtNetwork(tmp_path / "x.tflite")


def test_no_image_is_refused(small, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="N >= 1"):
        quantise_litert(NormalisedNetwork(small.network, 80.0, 50.0), small.images[:0], tmp_path / "x.tflite")
