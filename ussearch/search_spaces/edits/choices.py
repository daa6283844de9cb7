"""Which edits there are, their values, and how they are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SAME = "same"
"""Of an edit with named values: the base's own."""
STAGES, LEVELS = 8, 7
"""So many stages and levels have edits of their own; the published networks have no more."""


@dataclass(frozen=True)
class Edit:
    """One thing that can be changed: ``values`` begin with the one that changes nothing."""

    name: str
    values: tuple[Any, ...]
    each: str = ""
    """``stage`` or ``level`` where every one of them has this edit; empty for the whole network."""

    @property
    def neutral(self) -> Any:
        """The value that changes nothing."""
        return self.values[0]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its choices."""
        if not self.each:
            return (self.name,)
        return tuple(f"{self.name}_{index}" for index in range(STAGES if self.each == "stage" else LEVELS))


WIDTHS = (1.0, 0.5, 0.625, 0.75, 0.875, 1.25, 1.5)
EDITS = (
    Edit("width_multiplier", (1.0, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.25, 1.5)),
    Edit("input_scale", (1.0, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875)),
    Edit("deep_stages", (0, -2, -1, 1)),
    Edit("stem_stride", (SAME, 1, 2)),
    Edit("activation", (SAME, "relu", "relu6", "leaky", "hswish", "swish")),
    Edit("bottleneck", (SAME, "none", "nonlocal", "dual_affinity")),
    Edit("detail", (SAME, "off", "on")),
    Edit("decoder", (SAME, "lrse", "light", "fusible", "depthwise", "plain")),
    Edit("upsampling", (SAME, "bilinear", "nearest", "transposed")),
    Edit("deep_supervision", (SAME, "off", "on")),
    Edit("stage_width", WIDTHS, "stage"),
    Edit("stage_depth", (0, -1, 1, 2), "stage"),
    Edit("stage_kernel", (SAME, 3, 5, 7), "stage"),
    Edit("stage_expansion", (1.0, 0.5, 0.75, 1.5), "stage"),
    Edit("stage_family", (SAME, "dwsep", "mbconv", "convnext", "asym", "fusible", "conv"), "stage"),
    Edit("stage_attention", (SAME, "none", "se", "eca", "cbam", "spatial_gate"), "stage"),
    Edit("level_width", WIDTHS, "level"),
    Edit("level_skip", (SAME, "none", "concat", "add", "attention_gate"), "level"),
)
"""All edits, in the order in which they are told."""


def edit_choices() -> dict[str, tuple[Any, ...]]:
    """Return the values of every edit by the name of its choice."""
    return {name: edit.values for edit in EDITS for name in edit.names}


def neutral() -> dict[str, Any]:
    """Return the choices that change nothing."""
    return {name: edit.neutral for edit in EDITS for name in edit.names}


def changed(choices: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of ``choices`` that are edits and not neutral."""
    return {name: choices[name] for name, value in neutral().items() if choices.get(name, value) != value}


def derivation(base: str, choices: Mapping[str, Any]) -> str:
    """Return a candidate as text that ``derived`` reads: ``lv-unet; stage_width_2=0.75; decoder=light``.

    ``choices`` that are no edits are those of a base that is composed; all of them are told.
    """
    told = {name: value for name, value in choices.items() if name not in neutral()} | changed(choices)
    return "; ".join([base, *(f"{name}={value}" for name, value in told.items())])


def derived(text: str, values: Mapping[str, tuple[Any, ...]] | None = None) -> tuple[str, dict[str, Any]] | None:
    """Return the base and the edits of a ``derivation``; None where it names what does not exist.

    ``values`` are those of a space, where a base may be composed; those of the edits without.
    """
    base, *parts = text.split("; ")
    values = edit_choices() if values is None else values
    edits: dict[str, Any] = {}
    for part in parts:
        name, _, told = part.partition("=")
        found = [value for value in values.get(name, ()) if str(value) == told]
        if not found:
            return None
        edits[name] = found[0]
    return base, edits


def sentence(title: str, choices: Mapping[str, Any]) -> str:
    """Return a candidate in words: ``LV-UNet, stage 3 × 0.75, decoder light``. Stages and levels count from 1."""
    return ", ".join([title, *(_told(name, value) for name, value in changed(choices).items())])


_WORDS = {
    "width_multiplier": "all widths × {value:g}",
    "input_scale": "image × {value:g}",
    "deep_stages": "{value:+d} stages at the deep end",
    "stem_stride": "stem stride {value}",
    "deep_supervision": "deep supervision {value}",
    "stage_width": "stage {at} × {value:g}",
    "stage_depth": "stage {at} {value:+d} blocks",
    "stage_kernel": "stage {at} kernel {value}",
    "stage_expansion": "stage {at} expansion × {value:g}",
    "stage_family": "stage {at} {value}",
    "stage_attention": "stage {at} attention {value}",
    "level_width": "level {at} × {value:g}",
    "level_skip": "level {at} skip {value}",
}


def _told(name: str, value: Any) -> str:
    role, _, number = name.rpartition("_")
    if not number.isdigit():
        role, number = name, "0"
    words = _WORDS.get(role, role + " {value}")
    return words.format(at=int(number) + 1, value=value).replace("_", " ")
