"""Which networks to measure on a device: few, but with every class of kernels and the whole range of latencies."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from ussearch.errors import UserError
from ussearch.hardware_profiles.kernels.kernel import Kernel
from ussearch.hardware_profiles.kernels.trace import trace_kernels
from ussearch.hardware_profiles.latency.cost_features import cost_features
from ussearch.hardware_profiles.profile import Profile
from ussearch.hardware_profiles.validation import LEAST_NETWORKS
from ussearch.search_spaces import (
    Architecture,
    FreeSpace,
    NormalisedNetwork,
    build,
    load_preset,
    preset_names,
)
from ussearch.search_spaces.deploy import deploy_

SIZES = (128, 256, 320)
CANDIDATES = 60
FEWEST, MOST = 10, 24
RARE = 6
"""Networks, at least, for classes that are rare among candidates, where the number of networks allows."""
GREY_MEAN, GREY_STD = 60.0, 55.0
"""Of a typical ultrasound image; the values do not matter to the time that a network takes."""
SLOWEST = 40.0
"""Networks that take longer than this many times the median one teach nothing that costs less to learn elsewhere."""


@dataclass(frozen=True)
class CalibrationNetwork:
    """An architecture at an image size, under a name that is also its file's."""

    name: str
    architecture: Architecture
    image_size: int

    @cached_property
    def kernels(self) -> tuple[Kernel, ...]:
        """The kernels of the network as it is shipped: deploy form, normalisation in front."""
        return trace_kernels(self._shipped("meta"), (1, self.architecture.image_channels, *2 * (self.image_size,)))

    @cached_property
    def kernel_classes(self) -> frozenset[str]:
        """The classes of its kernels."""
        return frozenset(each.kernel_class for each in self.kernels)

    @cached_property
    def classes(self) -> frozenset[str]:
        """Everything that its price depends on: classes of kernels and of items."""
        return frozenset(item.name for item in cost_features(self.kernels)) | self.kernel_classes

    def module(self, seed: int = 0) -> NormalisedNetwork:
        """Return the network as it is shipped, with random weights."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self._shipped("cpu")

    def _shipped(self, device: str) -> NormalisedNetwork:
        network = build(self.architecture, device=device)
        network.set_schedule(1.0)
        return NormalisedNetwork(deploy_(network), GREY_MEAN, GREY_STD)


def preset_networks(sizes: Sequence[int] = SIZES) -> list[CalibrationNetwork]:
    """Return every preset at every size that it divides."""
    found = [(name, load_preset(name).architecture.for_task()) for name in preset_names()]
    return [
        CalibrationNetwork(f"{_plain(name)}-{size}", architecture, size)
        for name, architecture in found
        for size in sizes
        if size % architecture.size_divisor == 0
    ]


def draw_networks(count: int, seed: int, profile: Profile, sizes: Sequence[int] = SIZES) -> list[CalibrationNetwork]:
    """Return ``count`` networks that ``profile`` can run, the same for the same seed.

    First those that settle the classes of kernels that ``profile`` does not cover: each in as many networks as count as
    enough, each time the network with most that is wanted for its latency. Then those that together contain everything
    else that has a price; then one from each slice of the range of predicted latencies. Raises UserError for fewer than
    10 or more than 24.
    """
    if not FEWEST <= count <= MOST:
        raise UserError(f"{count} networks were asked for; a calibration takes {FEWEST} to {MOST} of them.")
    candidates = _candidates(seed, profile, sizes)
    latency_ms = {each.name: profile.predict(each.kernels).latency_ms for each in candidates}
    middle = float(np.median(list(latency_ms.values())))
    candidates = [each for each in candidates if latency_ms[each.name] <= SLOWEST * middle]
    covered = profile.validation.covered if profile.validation else frozenset()
    contained = Counter(name for each in candidates for name in each.kernel_classes - covered)
    wanted = Counter({name: LEAST_NETWORKS for name, number in contained.items() if number >= LEAST_NETWORKS})
    chosen = _cover(candidates, latency_ms, wanted, count, [])
    known = frozenset[str]().union(*(each.classes for each in chosen))
    missing = Counter({name: 1 for each in candidates for name in each.classes - known})
    chosen = _cover(candidates, latency_ms, missing, min(max(count * 2 // 3, len(chosen) + RARE), count), chosen)
    rest = sorted((each for each in candidates if each not in chosen), key=lambda each: latency_ms[each.name])
    slices = np.array_split(np.arange(len(rest)), max(count - len(chosen), 1))
    generator = np.random.default_rng(seed)
    drawn = [rest[int(generator.choice(part))] for part in slices if len(part)]
    return [*chosen, *drawn][:count]


def _candidates(seed: int, profile: Profile, sizes: Sequence[int]) -> list[CalibrationNetwork]:
    """Return presets and sampled architectures that the device can run, at every size that they divide."""
    drawn = []
    for index in range(CANDIDATES):
        size = sizes[index % len(sizes)]
        space, _ = FreeSpace.standard(size).restricted(profile.forbidden_features)
        drawn.append(CalibrationNetwork(f"sampled-{index:02d}-{size}", space.sample(seed_of(seed, index)), size))
    forbidden = profile.forbidden_features.keys()
    return drawn + [each for each in preset_networks(sizes[:1]) if not each.architecture.features & forbidden]


def seed_of(seed: int, index: int) -> int:
    """Return the seed of the ``index``-th network of a draw."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1)[0])


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9-]", "-", name)


def _cover(
    candidates: Sequence[CalibrationNetwork],
    latency_ms: dict[str, float],
    wanted: Counter[str],
    most: int,
    chosen: Sequence[CalibrationNetwork],
) -> list[CalibrationNetwork]:
    """Return ``chosen`` and networks that contain each class as often as ``wanted``, ``most`` in all.

    Each time the one is taken that brings most of what is wanted for its latency; what few candidates contain counts
    more, or common classes would take all places.
    """
    found = list(chosen)
    contained = Counter(name for each in candidates for name in each.classes)
    while len(found) < most:
        gains = {
            each: sum(1 / contained[name] for name in each.classes if wanted[name] > 0) / latency_ms[each.name] ** 0.5
            for each in candidates
            if each not in found
        }
        best = max(gains, key=lambda each: gains[each], default=None)
        if best is None or not gains[best]:
            break
        wanted.subtract({name: 1 for name in best.classes if wanted[name] > 0})
        found.append(best)
    return found
