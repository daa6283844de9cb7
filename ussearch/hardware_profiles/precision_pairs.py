"""What fewer bits are worth on a device: two profiles of one runtime, one in FP32, one in the other precision."""

from __future__ import annotations

from dataclasses import dataclass

from ussearch.errors import UserError
from ussearch.hardware_profiles.catalogue import load_profile
from ussearch.hardware_profiles.profile import Precision, Profile


@dataclass(frozen=True)
class PrecisionPair:
    """One runtime of a device, measured in FP32 and in another precision."""

    fp32: Profile
    other: Profile

    @property
    def label(self) -> str:
        """What kind of number a ratio of both predictions is."""
        return f"{self.other.label}, beside {self.fp32.name}"


def measured_pair(profile: Profile, precision: Precision) -> PrecisionPair | None:
    """Return the profiles of the device that tell what ``precision`` is worth there; None where nobody measured it.

    The profile's own runtime comes first, then others of the device that read the same kind of file: what TensorRT
    makes of FP16 says so of a device whose profile is of onnxruntime.
    """
    device = profile.name.partition("@")[0]
    if precision == "fp32" or not profile.variants:
        return None
    try:
        runtimes = [load_profile(f"{device}@{variant}") for variant in load_profile(device).variants]
    except UserError:  # a device that this version does not ship
        return None
    pairs = [
        PrecisionPair(fp32, other)
        for other in runtimes
        if other.precision == precision and other.export.format == profile.export.format
        for fp32 in runtimes
        if fp32.precision == "fp32" and fp32.runtime == other.runtime and fp32.validation and other.validation
    ]
    return min(pairs, key=lambda pair: pair.other.runtime != profile.runtime, default=None)
