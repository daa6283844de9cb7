"""Which classes of kernels a device's measurements lack, and what it is worth to measure them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ussearch.hardware_profiles.calibration.networks import CalibrationNetwork, seed_of
from ussearch.hardware_profiles.latency.model import UNCOVERED_LIMIT
from ussearch.hardware_profiles.profile import Profile
from ussearch.hardware_profiles.validation import Coverage
from ussearch.search_spaces import FreeSpace

CANDIDATES, IMAGE_SIZE = 40, 256


@dataclass(frozen=True)
class Gap:
    """A class of kernels without enough measurements.

    ``share`` is its part of the milliseconds of random candidates, 0 to 1; ``then_extrapolated`` the share of them that
    is still extrapolated once this class and those before it are measured.
    """

    kernel_class: str
    seen: Coverage
    share: float
    then_extrapolated: float


@dataclass(frozen=True)
class Gaps:
    """How many random candidates are ``extrapolated`` [0 to 1], and by which classes, the worst first."""

    extrapolated: float
    classes: tuple[Gap, ...]


def gaps_of(profile: Profile, count: int = CANDIDATES, image_size: int = IMAGE_SIZE) -> Gaps:
    """Draw ``count`` candidates as a search for the device does and tell what makes their latencies doubtful."""
    uncovered = [_uncovered(profile, network) for network in _drawn(profile, count, image_size)]
    totals: dict[str, float] = {}
    for shares in uncovered:
        for name, share in shares.items():
            totals[name] = totals.get(name, 0.0) + share / count
    names = sorted(totals, key=lambda name: -totals[name])
    seen = profile.validation.coverage if profile.validation else {}
    found = tuple(
        Gap(name, seen.get(name, Coverage(0, 0)), totals[name], _extrapolated(uncovered, names[: position + 1]))
        for position, name in enumerate(names)
    )
    return Gaps(_extrapolated(uncovered, ()), found)


def _drawn(profile: Profile, count: int, image_size: int) -> list[CalibrationNetwork]:
    space, _ = FreeSpace.standard(image_size).restricted(profile.forbidden_features)
    return [CalibrationNetwork("", space.sample(seed_of(0, index)), image_size) for index in range(count)]


def _uncovered(profile: Profile, network: CalibrationNetwork) -> dict[str, float]:
    """Return the share of a network's milliseconds in each class without enough measurements."""
    prediction = profile.predict(network.kernels)
    return {name: milliseconds / prediction.latency_ms for name, milliseconds in prediction.uncovered.items()}


def _extrapolated(uncovered: Sequence[Mapping[str, float]], settled: Sequence[str]) -> float:
    """Return the share of networks that are extrapolated when the classes ``settled`` no longer count."""
    left = [sum(share for name, share in shares.items() if name not in settled) for shares in uncovered]
    return sum(share > UNCOVERED_LIMIT for share in left) / len(left)
