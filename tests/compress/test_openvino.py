"""OpenVINO beside onnxruntime: the same files, the same answers, and times that the record holds."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.compress.conftest import MakeContext, Trained, here
from ussearch.compress import Chain, SpeedSource, steps_named
from ussearch.compress.evaluate import model_file
from ussearch.compress.int8_files import beside_openvino
from ussearch.compress.speed import runs_here
from ussearch.errors import UserError
from ussearch.hardware_profiles import load_profile
from ussearch.hardware_profiles.measuring.paired_benchmark import OpenVinoSession, installed

SERVER = load_profile("x86-server")
needs_openvino = pytest.mark.skipif(
    not installed() or platform.machine() != SERVER.processor, reason="needs the extra openvino and an x86 processor"
)


@needs_openvino
@pytest.mark.slow
def test_openvino_computes_what_onnxruntime_does(make_context: MakeContext, trained: Trained) -> None:
    model = model_file(replace(trained.candidate, fused=True), make_context())
    session, reference = OpenVinoSession(model), onnxruntime.InferenceSession(str(model))
    for image in np.asarray(trained.images.images[:8]):
        feed = image[None].astype(np.float32)
        np.testing.assert_allclose(session.run(feed), reference.run(None, {"image": feed})[0], rtol=1e-3, atol=1e-3)


@needs_openvino
@pytest.mark.slow
def test_the_record_holds_both_runtimes(make_context: MakeContext, trained: Trained) -> None:
    """For a device that runs onnxruntime it is evidence; what ships is what onnxruntime reads."""
    profile = here(SERVER)
    context = make_context(profile=profile, speed=SpeedSource(profile, runs=20), max_drop=1.0)
    chain = Chain(context, replace(trained.candidate, fused=True))
    chain.run(steps_named(["quantise"]))
    evidence = chain.records[0].details["openvino"]
    assert all(evidence[name] > 0 for name in ("fp32_ms", "int8_ms", "onnxruntime_fp32_ms", "onnxruntime_int8_ms"))
    assert evidence["int8_masks_agree"] > 0.98
    assert "OpenVINO" in evidence["said"] and "onnxruntime FP32" in evidence["said"]
    speed = chain.records[0].speed
    assert speed is not None and speed.after_ms is not None and "measured here" in speed.source


@needs_openvino
@pytest.mark.slow
def test_where_the_device_runs_openvino_it_decides(make_context: MakeContext, trained: Trained) -> None:
    assert runs_here(SERVER)
    context = make_context(profile=SERVER, speed=SpeedSource(SERVER, runs=20))
    model = model_file(replace(trained.candidate, fused=True), context)
    found = context.speed.unchanged(model, "the same file")
    assert found.after_ms is not None and found.after_ms > 0 and "OpenVINO, measured here" in found.source


@needs_openvino
@pytest.mark.slow
def test_importing_it_reports_to_nobody(tmp_path: Path, make_context: MakeContext, trained: Trained) -> None:
    """By itself, ``import openvino`` sends an event and leaves an identifier in the user's home."""
    model = model_file(trained.candidate, make_context())
    program = (
        "import sys; from pathlib import Path;"
        "from ussearch.hardware_profiles.measuring.paired_benchmark import OpenVinoSession;"
        f"OpenVinoSession(Path({str(model)!r})); print(sys.modules['openvino_telemetry'])"
    )
    home = tmp_path / "home"
    home.mkdir()
    variables = {**os.environ, "HOME": str(home)}
    done = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["None"] and list(home.rglob("*")) == []


@needs_openvino
@pytest.mark.slow
def test_a_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    with pytest.raises(UserError, match="OpenVINO cannot load"):
        OpenVinoSession(tmp_path / "bad.onnx")


@pytest.mark.skipif(installed(), reason="the extra openvino is installed")
def test_without_the_extra_there_is_no_evidence_and_the_mend_is_named(tmp_path: Path, trained: Trained) -> None:
    model, images = tmp_path / "x.onnx", np.asarray(trained.images.images[:2])
    assert beside_openvino(model, model, images, here(SERVER), runs=1) == {}
    with pytest.raises(UserError, match=r"ussearch\[openvino\]"):
        OpenVinoSession(model)


def test_another_processor_is_no_evidence(tmp_path: Path, trained: Trained) -> None:
    elsewhere = SERVER.model_copy(update={"processor": "aarch64" if platform.machine() != "aarch64" else "riscv64"})
    model, images = tmp_path / "x.onnx", np.asarray(trained.images.images[:2])
    assert beside_openvino(model, model, images, elsewhere, runs=1) == {}
