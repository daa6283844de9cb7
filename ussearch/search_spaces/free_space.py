"""The sampled space: independent choices from which any combination composes a legal architecture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from ussearch.errors import UserError
from ussearch.search_spaces.architecture import Architecture
from ussearch.search_spaces.compose import MAX_STAGES, Choices, compose, max_downsamplings, recover
from ussearch.search_spaces.encoding import encode

Values = tuple[Any, ...]

STAGE_WIDTHS: tuple[tuple[int, ...], ...] = (
    (16, 24, 32, 48),
    (24, 32, 48, 64),
    (32, 48, 64, 96, 128),
    (48, 64, 96, 128, 160),
    (64, 96, 128, 192, 256),
    (64, 96, 128, 192, 256),
)
"""Widths by stage after the stem, multiples of 8 (an odd width costs a third of the speed, deployment.md)."""

STAGE_CHOICES: Mapping[str, Values] = MappingProxyType(
    {
        "family": ("dwsep", "mbconv", "convnext", "asym", "fusible", "conv"),
        "depth": (1, 2, 3),
        "kernel": (3, 5, 7),
        "expansion": (1, 2, 3, 4, 6),
        "attention": ("none", "se", "eca", "cbam", "spatial_gate"),
    }
)
SKIPS: Values = ("none", "concat", "add", "attention_gate")
NETWORK_CHOICES: Mapping[str, Values] = MappingProxyType(
    {
        "stem_width": (8, 16, 24, 32),
        "stem_stride": (1, 2),
        "stages": (3, 4, 5, 6),
        "flat_stages": (0, 1),
        "activation": ("relu", "relu6", "leaky", "hswish", "swish"),
        "decoder": ("lrse", "light", "fusible", "depthwise", "plain"),
        "upsampling": ("bilinear", "nearest", "transposed"),
        "experts": (1, 4),
        "decoder_ratio": (0.5, 1.0),
        "full_resolution": (False, True),
        "detail": (False, True),
        "deep_supervision": (False, True),
    }
)

_FEATURE_OF_ROLE = {
    "family": "block:{}",
    "attention": "attention:{}",
    "skip": "skip:{}",
    "activation": "activation:{}",
    "upsampling": "upsampling:{}",
}
_SPECIAL_FEATURES = {
    ("experts", 4): "dynamic_conv",
    ("upsampling", "transposed"): "block:transposed",
    ("upsampling", "bilinear"): "resample:bilinear",
    ("upsampling", "nearest"): "resample:nearest",
    ("decoder", "fusible"): "block:fusible",
    ("detail", True): "detail_branch",
}


class Trial(Protocol):
    """What the space needs of an Optuna trial."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """Return one of ``choices``."""


@dataclass(frozen=True)
class Removal:
    """A value that left the space and why."""

    choice: str
    value: Any
    reason: str


def role_of(name: str) -> str:
    """Return the role of a choice: ``attention_2`` is an ``attention``."""
    stem, _, number = name.rpartition("_")
    return stem if number.isdigit() else name


def _standard_choices() -> dict[str, Values]:
    choices = dict(NETWORK_CHOICES)
    for index in range(MAX_STAGES):
        choices[f"width_{index}"] = STAGE_WIDTHS[index]
        choices.update({f"{role}_{index}": values for role, values in STAGE_CHOICES.items()})
        choices[f"skip_{index}"] = SKIPS
    return choices


@dataclass(frozen=True)
class FreeSpace:
    """Choices over architectures for square images of ``image_size`` pixels.

    The set of choices is fixed (no conditional ones), so that evolutionary samplers can cross any two parents;
    values without effect are ignored by ``compose``.
    """

    image_size: int
    choices: Mapping[str, Values]

    @classmethod
    def standard(cls, image_size: int) -> FreeSpace:
        """Return the whole space; raises UserError where ``image_size`` is no multiple of 32."""
        if image_size < 32 or image_size % 32:
            nearest = max(32, round(image_size / 32) * 32)
            raise UserError(f"Image size {image_size} is no multiple of 32; the nearest is {nearest}.")
        space = cls(image_size, MappingProxyType(_standard_choices()))
        return space._within_resolution()

    def _within_resolution(self) -> FreeSpace:
        """Drop numbers of stages that could not halve the image that often."""
        limit = max_downsamplings(self.image_size) + 1
        stages = tuple(count for count in self.choices["stages"] if count <= max(limit, 3))
        return replace(self, choices=MappingProxyType({**self.choices, "stages": stages}))

    def suggest(self, trial: Trial) -> Architecture:
        """Ask ``trial`` for every choice and return the architecture."""
        return self.compose({name: trial.suggest_categorical(name, values) for name, values in self.choices.items()})

    def compose(self, choices: Choices) -> Architecture:
        """Return the architecture of a full set of choices."""
        return compose(choices, self.image_size)

    def sample(self, seed: int) -> Architecture:
        """Return an architecture drawn with every value of every choice equally likely."""
        generator = np.random.default_rng(seed)
        return self.compose({name: values[generator.integers(len(values))] for name, values in self.choices.items()})

    def choices_of(self, architecture: Architecture) -> dict[str, Any] | None:
        """Return choices that compose this very architecture, or None where the space has none."""
        return recover(architecture, self.choices, self.image_size)

    def contains(self, architecture: Architecture) -> bool:
        """Return whether some set of choices composes this architecture (whatever its name)."""
        return self.choices_of(architecture) is not None

    @staticmethod
    def encode(architecture: Architecture) -> np.ndarray:
        """Return the fixed-length float vector of any architecture, preset or sampled (see ``encoding``)."""
        return encode(architecture)

    def restricted(self, forbidden: Mapping[str, str]) -> tuple[FreeSpace, tuple[Removal, ...]]:
        """Return the space without values that need a forbidden feature, and what was removed with the reason.

        ``forbidden`` maps feature names (``Architecture.features``) to reasons. Raises UserError
        where a choice would be left without a value.
        """
        removals: list[Removal] = []
        kept: dict[str, Values] = {}
        for name, values in self.choices.items():
            reasons = {value: _reason(role_of(name), value, forbidden) for value in values}
            kept[name] = tuple(value for value in values if reasons[value] is None)
            removals += [Removal(name, value, reason) for value, reason in reasons.items() if reason is not None]
            if not kept[name]:
                raise UserError(f"The profile forbids every value of {role_of(name)!r} ({values}): relax its rules.")
        return replace(self, choices=MappingProxyType(kept)), tuple(removals)

    @property
    def log10_size(self) -> float:
        """Decimal logarithm of the number of combinations (several may give one architecture)."""
        return sum(math.log10(len(values)) for values in self.choices.values())


def _reason(role: str, value: Any, forbidden: Mapping[str, str]) -> str | None:
    """Return why a value cannot stay, or None."""
    features = [_SPECIAL_FEATURES.get((role, value), ""), _FEATURE_OF_ROLE.get(role, "").format(value)]
    return next((forbidden[feature] for feature in features if feature in forbidden), None)
