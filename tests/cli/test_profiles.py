"""``ussearch profiles`` and ``ussearch check``: every device, every runtime, and folders of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
import yaml
from onnx import TensorProto, helper

from ussearch.hardware_profiles import Profile, Validation, load_profile, profile_names
from ussearch.hardware_profiles.validation import Accuracy

from .conftest import Command

VARIANTS = [f"{name}@{variant}" for name in profile_names() for variant in load_profile(name).variants[1:]]
OLD = {"jetson-nano@tensorrt-fp16", "raspberry-pi-4@tflite-fp32", "raspberry-pi-5@litert-fp32"}
"""Names of runtimes that must stay valid."""


def own(folder: Path, **changes: object) -> Path:
    """Write a profile of one's own, ``my-board``, and return its folder."""
    profile = load_profile("intel-n100").model_copy(update={"name": "my-board", **changes})
    (folder / "my-board.yaml").write_text(profile.to_yaml())
    return folder


def validation() -> Validation:
    return Validation(
        data="a hundred and one networks of a test",
        networks=101,
        protocol="left out by family",
        kernel_classes=("conv3x3", "resize"),
        accuracy=Accuracy(tau=0.953, spearman=0.99, mape=7.46, within_10_percent=0.74, iso_mac_accuracy=0.92),
        macs_only=Accuracy(tau=0.90),
        relative_error=0.2,
    )


def test_the_overview_has_every_device_and_runtime(ussearch: Command) -> None:
    outcome = ussearch("profiles")
    assert outcome.status == 0, outcome.err
    for name in [*profile_names(), *VARIANTS]:
        assert outcome.out.count(f"\n{name}: ") == 1, name  # the honest sentence
        assert f"│ {name} " in outcome.out, name
    assert set(VARIANTS) >= OLD
    listed = json.loads(ussearch("profiles", "--json").out)
    assert [entry["name"] for entry in listed if "@" not in entry["name"]] == profile_names()
    assert [entry["name"] for entry in listed if "@" in entry["name"]] == VARIANTS


@pytest.mark.parametrize("name", ["jetson-nano", *sorted(OLD), "coral-edge-tpu"])
def test_one_device_shows_the_origin_of_its_numbers(ussearch: Command, name: str) -> None:
    outcome, profile = ussearch("profiles", name), load_profile(name)
    assert outcome.status == 0, outcome.err
    assert profile.runtime in outcome.out
    assert f"{name}: {profile.trust}" in outcome.out
    assert all(f"facts.{fact}" in outcome.out for fact in profile.facts)
    shown = json.loads(ussearch("profiles", name, "--json").out)
    gaps = shown.pop("gaps")
    assert Profile.model_validate(shown) == profile
    assert 0 <= gaps["extrapolated"] <= 1
    assert all(gap["kernel_class"] in outcome.out for gap in gaps["classes"][:3])
    measurable = profile.runtime.startswith(("onnxruntime", "TensorRT"))
    assert (f"--like {name} --networks 10" in outcome.out) is measurable
    assert (f"not {profile.runtime}: nothing here settles these" in outcome.out) is not measurable


def test_the_same_profile_is_printed_in_the_same_order(ussearch: Command) -> None:
    first, again = (json.loads(ussearch("profiles", "--json").out) for _ in range(2))
    assert first == again
    operators = [profile["export"]["allowed_operators"] for profile in first]
    assert all(each is None or each == sorted(each) for each in operators)


def test_a_calibrated_profile_shows_its_record_beside_macs_alone(ussearch: Command, tmp_path: Path) -> None:
    folder = own(tmp_path, validation=validation())
    listed = ussearch("profiles", "--profiles-dir", folder)
    assert "101 networks: MAPE 7.5 %, τ 0.95 (MACs 0.90)" in listed.out
    assert "my-board: Calibrated on 101 networks" in listed.out
    shown = ussearch("profiles", "my-board", "--profiles-dir", folder)
    for words in ("left out by family", "conv3x3, resize", "iso_mac_accuracy: 0.92", "validation.relative_error"):
        assert words in shown.out


def test_what_nobody_measured_is_called_so(ussearch: Command, tmp_path: Path) -> None:
    outcome = ussearch("profiles", "--profiles-dir", own(tmp_path, validation=None))
    assert "my-board: Datasheet only: expect about 2.5× optimism." in outcome.out


def test_an_unknown_runtime_is_refused(ussearch: Command) -> None:
    outcome = ussearch("profiles", "jetson-nano@tensorrt")
    assert outcome.status == 2
    assert "tensorrt-fp16" in outcome.err
    assert "single runtime" in ussearch("profiles", "x86-server@other").err


def test_check_takes_profiles_of_ones_own_and_runtimes(ussearch: Command, tmp_path: Path) -> None:
    profile = load_profile("intel-n100")
    image, result = (helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 1, 8, 8)) for name in ("image", "y"))
    graph = helper.make_graph([helper.make_node("Erf", ["image"], ["y"], name="erf")], "g", [image], [result])
    opset = [helper.make_opsetid("", profile.export.opset)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "model.onnx")
    strict = profile.export.model_copy(update={"forbidden_operators": {"Erf": "use ReLU"}})
    folder = own(tmp_path, export=strict)
    assert yaml.safe_load((folder / "my-board.yaml").read_text())["name"] == "my-board"
    refused = ussearch("check", tmp_path / "model.onnx", "--profile", "my-board", "--profiles-dir", folder)
    assert refused.status == 1
    assert "use ReLU" in refused.out
    assert ussearch("check", tmp_path / "model.onnx", "--profile", "intel-n100").status == 0
    other = ussearch("check", tmp_path / "model.onnx", "--profile", "jetson-nano@tensorrt-fp16", "--json")
    assert [finding["rule"] for finding in json.loads(other.out)] == ["opset"]


@pytest.mark.parametrize("content", [b"", b"not a model"])
def test_check_refuses_what_is_no_model_in_one_sentence(ussearch: Command, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    outcome = ussearch("check", tmp_path / "model.onnx", "--profile", "jetson-nano")
    assert outcome.status == 2
    assert "is not an ONNX file" in outcome.err
    assert "Traceback" not in outcome.err
