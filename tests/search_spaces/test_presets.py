"""Parity with the integers of the published networks (measured by running their authors' code)."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from ussearch.errors import UserError
from ussearch.search_spaces import Counts, build, count, load_preset, preset_names

PARAMETERS = {
    "lv-unet": 934_545,
    "bmis": 874_951,
    "lightawnet": 2_838_179,
    "unet": 34_527_041,
    "unext": 1_471_921,
    "cmunext-s": 417_505,
    "cmunext": 3_149_185,
}
ENCODERS = {"laednet-s": 3_634_844, "laednet-m": 10_187_560, "laednet-l": 62_449_040}
WHOLE = {"laednet-s": (4.03e6, 0.005), "laednet-m": (10.75e6, 0.005), "laednet-l": (63.25e6, 0.012)}
GIGA_MACS_AT_320 = {"laednet-s": 0.824, "laednet-m": 2.029, "laednet-l": 10.66}
GIGA_MACS_AT_256 = {"unet": 65.35, "unext": 0.562, "cmunext-s": 1.012, "cmunext": 7.231}


def counts_of(name: str) -> Counts:
    preset = load_preset(name)
    return count(preset.architecture, preset.input_size)


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters(name: str) -> None:
    assert counts_of(name).parameters_training == PARAMETERS[name]


def test_lv_unet_in_its_three_forms() -> None:
    counts = counts_of("lv-unet")
    assert (counts.parameters_reparametrised, counts.parameters_deploy) == (513_585, 510_985)
    assert (counts.macs_training_conv, counts.macs_conv) == (174_580_480, 157_070_080)
    assert counts.macs_training_matmul == counts.macs_matmul == 0


def test_bmis_macs() -> None:
    counts = counts_of("bmis")
    assert (counts.macs_conv, counts.macs_matmul) == (1_453_489_744, 102_961_152)


def test_lightawnet_macs_and_three_channels() -> None:
    counts = counts_of("lightawnet")
    assert (counts.macs_conv, counts.macs_matmul) == (984_981_956, 13_420_480)
    at_three = count(load_preset("lightawnet").with_input_channels(3), 256)
    assert at_three.parameters_training == 2_839_569
    assert at_three.macs == pytest.approx(1.3399e9, rel=1e-4)


@pytest.mark.parametrize("name", ENCODERS)
def test_laednet(name: str) -> None:
    counts = counts_of(name)
    published, tolerance = WHOLE[name]
    assert counts.encoder_parameters_with_bn_statistics == ENCODERS[name]
    assert counts.parameters_with_bn_statistics == pytest.approx(published, rel=tolerance)
    assert counts.macs == pytest.approx(GIGA_MACS_AT_320[name] * 1e9, rel=1e-3)


@pytest.mark.parametrize("name", GIGA_MACS_AT_256)
def test_macs_of_baselines(name: str) -> None:
    assert counts_of(name).macs == pytest.approx(GIGA_MACS_AT_256[name] * 1e9, rel=1e-3)


LV_UNET_PARTS = {
    "stages.0": 464,
    "stages.1": 3_904,
    "stages.2": 35_760,
    "stages.3": 119_824,
    "stages.4": 21_680,
    "stages.5": 67_840,
    "stages.6": 180_240,
    "levels.0": 350_400,
    "levels.1": 98_960,
    "levels.2": 40_000,
    "levels.3": 10_400,
    "levels.4": 3_016,
    "levels.5": 1_256,
    "levels.6": 784,
    "head": 17,
}
BMIS_PARTS = {"stages.0": 396, "stages.1": 7_088 + 5 * 49_669, "stages.2": 18_656 + 4 * 111_365, "bottleneck": 37_250}
LIGHTAWNET_PARTS = {
    "stages.0": 696,
    "stages.1": 22_709,
    "stages.2": 88_421,
    "stages.3": 348_869,
    "stages.4": 1_385_861,
    "detail": 8_320 + 33_024,
    "bottleneck": 82_241,
    "levels.0": 627_844 + 32_896,
    "levels.1": 157_252,
    "levels.2": 39_460,
    "levels.3": 9_940,
    "head": 646,
}


@pytest.mark.parametrize(
    ("name", "parts"), [("lv-unet", LV_UNET_PARTS), ("bmis", BMIS_PARTS), ("lightawnet", LIGHTAWNET_PARTS)]
)
def test_parameters_part_by_part(name: str, parts: dict[str, int]) -> None:
    network = build(load_preset(name).architecture, device="meta")
    measured = {part: sum(p.numel() for p in network.get_submodule(part).parameters()) for part in parts}
    assert measured == parts


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_says_where_it_comes_from(name: str) -> None:
    preset = load_preset(name)
    assert preset.paper and preset.source and preset.year > 2010
    assert preset.input_size % preset.architecture.size_divisor == 0


def test_the_stand_in_is_labelled() -> None:
    preset = load_preset("cea-net-standin")
    assert preset.inferred and preset.unknown and "stand-in" in preset.title


def test_lv_unet_needs_a_multiple_of_128() -> None:
    assert load_preset("lv-unet").architecture.size_divisor == 128


def test_unknown_preset_offers_near_names() -> None:
    with pytest.raises(UserError, match="lv-unet"):
        load_preset("lvunet")


@pytest.mark.parametrize("name", ["lightawnet", "bmis", "laednet-s"])
def test_macs_agree_with_torch_s_own_counter(name: str) -> None:
    preset = load_preset(name)
    channels, size = preset.architecture.image_channels, preset.input_size
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        build(preset.architecture, device="meta").eval()(torch.empty(1, channels, size, size, device="meta"))
    counts = counts_of(name)
    assert counter.get_total_flops() // 2 == counts.macs_training_conv + counts.macs_training_matmul
