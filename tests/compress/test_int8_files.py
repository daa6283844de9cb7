"""Every device that computes in INT8 gets a file that it reads, of numbers as it multiplies them."""

from __future__ import annotations

import pytest

from ussearch.compress.int8_files import WRITERS, largest_weight, scheme_for
from ussearch.hardware_profiles import load_profile, profile_names


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_has_a_writer_of_its_format(name: str) -> None:
    device = load_profile(name)
    for variant in device.variants or ("",):
        profile = load_profile(f"{name}@{variant}" if variant else name)
        assert profile.export.format in WRITERS


@pytest.mark.parametrize(
    ("name", "scheme", "weight"),
    [
        ("x86-server", "u8s8", 64),
        ("raspberry-pi-4", "u8s8", 64),
        ("jetson-xavier-nx", "s8s8", 127),
        ("raspberry-pi-4@tflite-fp32", "u8s8", 127),
        ("coral-edge-tpu", "u8s8", 127),
    ],
)
def test_numbers_are_those_of_the_runtime(name: str, scheme: str, weight: int) -> None:
    """TensorRT reads no zero points; x86 without VNNI adds two products in 16 bits: 2 * 255 * 64 fits, 2 * 255 * 127
    does not.
    """
    profile = load_profile(name)
    assert (scheme_for(profile), largest_weight(profile)) == (scheme, weight)
