from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from typer.testing import CliRunner

from ussearch.errors import UserError
from ussearch.hardware_profiles import Profile, load_profile, parse_profile, profile_names
from ussearch.hardware_profiles.calibration.networks import CalibrationNetwork
from ussearch.hardware_profiles.catalogue import is_shipped, operator_list
from ussearch.hardware_profiles.latency.kernel_cost_model import KernelCostModel
from ussearch.hardware_profiles.precision_pairs import measured_pair
from ussearch.hardware_profiles.profile import Precision
from ussearch.hardware_profiles.profile_text import profile_yaml
from ussearch.search_spaces import load_preset

NAMES = profile_names()
EVERY = [
    name if position == 0 else f"{name}@{variant}"
    for name in NAMES
    for position, variant in enumerate(load_profile(name).variants or ("",))
]
"""Every profile with every runtime that its file holds."""
DEVICES = {
    *("jetson-nano", "jetson-orin-nano", "jetson-xavier-nx", "jetson-tx2", "raspberry-pi-4", "raspberry-pi-5"),
    *("coral-edge-tpu", "snapdragon-855", "rk3588-cpu", "intel-n100", "x86-server", "gpu-server"),
}

PRICES = {"kind": "roofline", "ms_per_gmac": 1, "ms_per_mib": 2, "ms_per_operator": 3}


def minimal(**changes: Any) -> dict[str, Any]:
    """Return the data of a valid profile with top-level fields replaced."""
    data: dict[str, Any] = {
        "name": "my-board",
        "title": "My board",
        "device": "a board",
        "runtime": "onnxruntime",
        "precision": "fp32",
        "limits": {"memory_mib": 100},
        "runtime_memory_mib": 10,
        "export": {"opset": 13, "ir_version": 8, "precisions": ["fp32"]},
        "latency": PRICES,
        "note": "made up",
        "provenance": {
            key: {"basis": "chosen", "source": "a test"}
            for key in ("limits", "runtime_memory_mib", "export", "latency")
        },
    }
    return {**data, **changes}


def test_the_promised_devices_are_there() -> None:
    assert set(NAMES) == DEVICES
    for name, first, others in (
        ("jetson-nano", "onnxruntime-cuda-fp32", {"tensorrt-fp16", "tensorrt-fp32", "onnxruntime-cpu-fp32"}),
        (
            "raspberry-pi-4",
            "onnxruntime-fp32",
            {"tflite-fp32", "tflite-xnnpack-fp32", "tflite-xnnpack-int8", "tflite-ruy-fp32", "tflite-ruy-int8"},
        ),
        ("raspberry-pi-5", "onnxruntime-fp32", {"litert-fp32", "tflite-xnnpack-fp32", "tflite-xnnpack-int8"}),
        ("jetson-tx2", "tensorrt-fp16", {"ncnn-vulkan-fp16"}),
        ("jetson-orin-nano", "tensorrt-fp16", {"ncnn-vulkan-fp16"}),
        ("snapdragon-855", "ncnn-fp16", {"paddle-lite-fp32"}),
    ):
        profile = load_profile(name)
        assert (profile.variants[0], set(profile.variants[1:])) == (first, others)
        assert len(profile.default_reason) > 60
        assert load_profile(f"{name}@{first}") == profile
    assert load_profile("jetson-xavier-nx@tensorrt-fp16") == load_profile("jetson-xavier-nx")
    assert load_profile("x86-server@openvino-fp32") == load_profile("x86-server")


@pytest.mark.parametrize("name", EVERY)
def test_a_class_is_covered_by_three_networks_of_two_families(name: str) -> None:
    profile = load_profile(name)
    validation = profile.validation
    assert (validation is None) == profile.prior_only
    if validation is None:
        return
    for kernel_class, (networks, families) in validation.coverage.items():
        assert (kernel_class in validation.covered) == (networks >= 3 and families >= 2)
    if validation.families is not None:
        assert validation.networks >= 8 and validation.families >= 3


@pytest.mark.parametrize("name", EVERY)
def test_every_profile_is_complete(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert profile.limits.latency_target_ms == pytest.approx(1000 / profile.limits.frames_per_second)
    assert profile.precision in profile.export.precisions
    assert not set(profile.export.precisions) & set(profile.export.absent_precisions)
    assert set(profile.export.precisions) | set(profile.export.absent_precisions) == set(get_args(Precision))
    assert set(profile.export.paying_precisions) <= set(profile.export.precisions)
    assert all(f"facts.{fact}" in profile.provenance for fact in profile.facts)
    assert f"predicted for {name}, {profile.runtime}, {profile.precision}" in profile.label
    allowed = profile.export.allowed_operators
    assert allowed is None or not allowed & {"HardSwish"} or profile.export.opset >= 14


@pytest.mark.parametrize("name", EVERY)
def test_a_profile_survives_being_written(name: str) -> None:
    profile = load_profile(name)
    assert parse_profile(profile.to_yaml(), "copy") == profile


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_written_as_a_program_writes_it(name: str) -> None:
    text = (files("ussearch.hardware_profiles") / "profiles" / f"{name}.yaml").read_text(encoding="utf-8")
    assert profile_yaml(yaml.safe_load(text)) == text


@pytest.mark.parametrize("name", EVERY)
def test_sources_can_be_read_by_outsiders(name: str) -> None:
    sources = " ".join(origin.source for origin in load_profile(name).provenance.values())
    assert not any(word in sources for word in ("devices.json", "shared/", "/work"))


@pytest.mark.parametrize("name", ["raspberry-pi-4@tflite-xnnpack-int8", "raspberry-pi-5@tflite-xnnpack-int8"])
def test_what_is_a_prior_only_says_so(name: str) -> None:
    profile = load_profile(name)
    assert profile.trust.startswith(
        "A prior only, the prices of raspberry-pi-4@tflite-ruy-int8, moved by one factor to 6"
    )
    kernels = CalibrationNetwork("", load_preset("lv-unet").architecture.for_task(), 256).kernels
    prediction = profile.predict(kernels)
    assert prediction.extrapolated
    assert prediction.high_ms / prediction.latency_ms == pytest.approx(2.5)
    pair = measured_pair(load_profile(name.replace("int8", "fp32")), "int8")
    assert pair is None or pair.other.name == "raspberry-pi-4@tflite-ruy-int8", "a prior is no evidence"


def test_the_nano_has_neither_int8_nor_dynamic_kernels_nor_hardswish() -> None:
    nano = load_profile("jetson-nano")
    assert nano.export.opset == 13
    assert nano.export.ir_version <= 8
    assert "int8" in nano.export.absent_precisions
    assert "HardSwish" in nano.export.forbidden_operators
    assert "constants" in nano.forbidden_features["dynamic_conv"]


def test_the_nano_imports_what_both_of_its_parsers_import(shared: Path) -> None:
    facts = json.loads((shared / "trt82_rules.json").read_text())
    assert operator_list("tensorrt-8.2") == frozenset(facts["safe_intersection"])
    assert load_profile("jetson-nano").export.opset == facts["onnx_opset_max"]


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(UserError, match=r"Unknown profile 'jetson-nan'.*jetson-nano"):
        load_profile("jetson-nan")


def test_a_folder_of_the_user_hides_shipped_profiles(tmp_path: Path) -> None:
    (tmp_path / "jetson-nano.yaml").write_text(yaml.safe_dump(minimal(name="jetson-nano", title="Mine")))
    (tmp_path / "notes.txt").write_text("not a profile")
    assert load_profile("jetson-nano", [tmp_path, tmp_path / "absent"]).title == "Mine"
    assert profile_names([tmp_path]) == NAMES
    assert is_shipped("jetson-nano@tensorrt-fp16") and not is_shipped("jetson-nano", [tmp_path])
    assert not is_shipped("my-board", [tmp_path])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"provenance": {}}, "provenance is missing for limits.memory_mib"),
        ({"latency": {**PRICES, "ms_per_gmac": -1}}, "latency.roofline.ms_per_gmac"),
        ({"latency": {**PRICES, "ms_per_gmac": float("nan")}}, "latency.roofline.ms_per_gmac"),
        ({"latency": {"ms_per_gmac": 1}}, "latency: .*kind"),
        ({"limits": {"memory_mib": 0}}, "limits.memory_mib"),
        ({"precision": "int4"}, "precision"),
        ({"surprise": 1}, "surprise"),
        ({"export": {"operator_list": "tensorrt-9"}}, "Unknown operator list 'tensorrt-9'"),
    ],
)
def test_an_invalid_profile_is_refused_with_its_field(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        parse_profile(yaml.safe_dump(minimal(**changes)), "my-board.yaml")


@pytest.mark.parametrize(("text", "expected"), [("a: [", "not YAML"), ("- 1", "holds list"), ("", "holds NoneType")])
def test_a_file_that_is_no_profile_is_refused(text: str, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        parse_profile(text, "my-board.yaml")


def test_every_number_of_a_minimal_profile_needs_its_origin() -> None:
    assert Profile.model_validate(minimal()).limits.frames_per_second == 24


def run_command(*arguments: str) -> str:
    from ussearch.cli.app import app

    result = CliRunner().invoke(app, ["profiles", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_the_command_lists_and_shows() -> None:
    assert all(name in run_command() for name in NAMES)
    assert [entry["name"] for entry in json.loads(run_command("--json"))] == EVERY
    nano = json.loads(run_command("jetson-nano", "--json"))
    model = load_profile("jetson-nano").latency
    assert isinstance(model, KernelCostModel)
    assert nano["latency"]["prices"] == model.prices
    assert "YOLOBench" in run_command("jetson-nano")
