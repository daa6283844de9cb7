"""``ussearch presets --json`` equals every published integer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ussearch.hardware_profiles import load_profile
from ussearch.search_spaces import preset_names

from .conftest import Command

KEYS = {
    "parameters_training",
    "parameters_reparametrised",
    "parameters_deploy",
    "parameters_with_bn_statistics",
    "macs_conv",
    "macs_matmul",
    "input_channels",
    "input_size",
    "classes",
}


def test_every_integer(ussearch: Command) -> None:
    outcome = ussearch("presets", "--json", "--profile", "jetson-nano")
    assert outcome.status == 0, outcome.err
    sheets = {sheet["name"]: sheet for sheet in json.loads(outcome.out)}
    assert sorted(sheets) == preset_names()
    assert all(sheet.keys() >= KEYS for sheet in sheets.values())
    lv_unet, bmis, lightawnet = sheets["lv-unet"], sheets["bmis"], sheets["lightawnet"]
    assert [lv_unet[f"parameters_{form}"] for form in ("training", "reparametrised", "deploy")] == [
        934_545,
        513_585,
        510_985,
    ]
    assert (lv_unet["macs_training_conv"], lv_unet["macs_conv"]) == (174_580_480, 157_070_080)
    assert (bmis["parameters_training"], bmis["macs_conv"], bmis["macs_matmul"], bmis["classes"]) == (
        874_951,
        1_453_489_744,
        102_961_152,
        2,
    )
    assert (lightawnet["parameters_training"], lightawnet["macs_conv"]) == (2_838_179, 984_981_956)
    assert lightawnet["variants"][0]["parameters_training"] == 2_839_569
    encoders = [sheets[f"laednet-{size}"]["encoder_parameters_with_bn_statistics"] for size in "sml"]
    assert encoders == [3_634_844, 10_187_560, 62_449_040]
    sizes = {name: sheets[name]["parameters_training"] for name in ("unet", "unext", "cmunext-s", "cmunext")}
    assert sizes == {"unet": 34_527_041, "unext": 1_471_921, "cmunext-s": 417_505, "cmunext": 3_149_185}
    # module hooks miss the functional convolutions, which is why thop only stands beside the exact count
    assert lightawnet["thop"]["macs"] < 0.4 * lightawnet["macs_conv"]
    assert lightawnet["latency"]["latency_ms"] is lightawnet["latency"]["extrapolated"] is None
    latency = lv_unet["latency"]
    assert 0 < latency["latency_interval_ms"][0] <= latency["latency_ms"] <= latency["latency_interval_ms"][1]
    assert latency["extrapolated"] is False  # all of its classes of kernels were measured on the board


def test_a_profile_of_the_users_folder(ussearch: Command, tmp_path: Path) -> None:
    text = load_profile("raspberry-pi-4").to_yaml().replace("raspberry-pi-4", "my-board")
    (tmp_path / "my-board.yaml").write_text(text, encoding="utf-8")
    asked = ("presets", "lv-unet", "--profile", "my-board", "--profiles-dir", tmp_path, "--json")
    outcome = ussearch(*asked)
    assert outcome.status == 0, outcome.err
    assert json.loads(outcome.out)["latency"]["profile"] == "my-board"
    assert ussearch(*asked[:4]).status == 2


def test_a_runtime_of_a_device(ussearch: Command) -> None:
    outcome = ussearch("presets", "unext", "--profile", "jetson-nano@tensorrt-fp16")
    assert outcome.status == 0, outcome.err
    assert "predicted for jetson-nano@tensorrt-fp16" in outcome.out
    assert "~: extrapolated" in outcome.out and "Not covered by the device's measurements" in outcome.out


@pytest.mark.parametrize("width", [80, 200])
def test_predicted_milliseconds_are_never_cut(ussearch: Command, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    from rich.console import Console

    from ussearch.cli import console

    (sheet,) = json.loads(f"[{ussearch('presets', 'unet', '--profile', 'jetson-nano', '--json').out}]")
    narrow = Console(highlight=False, markup=False, width=width)
    for module in (console, console):
        monkeypatch.setattr(module, "console", narrow)
    text = ussearch("presets", "unet", "--profile", "jetson-nano").out
    latency = sheet["latency"]
    low, high = latency["latency_interval_ms"]
    assert f"{latency['latency_ms']:,.1f} " in text
    assert (f"{low:,.1f}–{high:,.1f}" in text) is (width == 200)


@pytest.mark.parametrize("name", ["lv-unet", "cea-net-standin", "lightawnet"])
def test_a_card_tells_what_is_inferred(ussearch: Command, name: str) -> None:
    outcome = ussearch("presets", name, "--profile", "jetson-nano")
    assert outcome.status == 0
    assert name in outcome.out
    if name == "cea-net-standin":
        assert "unknown:" in outcome.out
    if name == "lightawnet":
        assert "cannot run" in outcome.out
