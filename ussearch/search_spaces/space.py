"""The searched space: every candidate is a base, as published or of a user's own, and edits of it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from ussearch.errors import UserError
from ussearch.search_spaces.architecture import Architecture
from ussearch.search_spaces.edits.apply import edited
from ussearch.search_spaces.edits.choices import SAME, derivation, derived, edit_choices, neutral, sentence
from ussearch.search_spaces.edits.draws import crossed, few_edits, meaningful, mutated
from ussearch.search_spaces.encoding import encode
from ussearch.search_spaces.free_space import FreeSpace, Removal, Trial
from ussearch.search_spaces.presets import load_preset, preset_names

FREE = "free"
"""The base that is composed of choices of its own, by no publication."""
FREE_PREFIX = "free_"
Choices = Mapping[str, Any]
_FEATURES = {
    "stage_family": "block:{}",
    "stage_attention": "attention:{}",
    "level_skip": "skip:{}",
    "activation": "activation:{}",
    "bottleneck": "bottleneck:{}",
}
_SPECIAL_FEATURES = {
    ("upsampling", "transposed"): "block:transposed",
    ("upsampling", "bilinear"): "resample:bilinear",
    ("upsampling", "nearest"): "resample:nearest",
    ("decoder", "fusible"): "block:fusible",
    ("detail", "on"): "detail_branch",
}


@dataclass(frozen=True)
class SearchSpace:
    """Bases and edits for square images of ``image_size`` pixels.

    The set of choices is fixed, so that evolutionary samplers can cross any two parents; choices that have no meaning
    for a base have no effect on it.
    """

    image_size: int
    bases: Mapping[str, Architecture]
    """Published networks and a user's own, by name; without the free composition."""
    choices: Mapping[str, tuple[Any, ...]]
    titles: Mapping[str, str] = field(default_factory=dict)
    """What bases are called in sentences, where it is not their name."""

    @classmethod
    def standard(
        cls, image_size: int, own: Mapping[str, Architecture] | None = None, titles: Mapping[str, str] | None = None
    ) -> SearchSpace:
        """Return the space of all presets that fit the image, the free composition and a user's ``own`` bases.

        Raises UserError where the image's side is no multiple of 32.
        """
        presets = {name: load_preset(name) for name in preset_names()}
        bases = {name: preset.architecture.for_task() for name, preset in presets.items()}
        known = {name: preset.title for name, preset in presets.items()}
        bases |= own or {}
        bases = {name: base for name, base in bases.items() if image_size % base.size_divisor == 0}
        free = FreeSpace.standard(image_size)
        choices = {"base": (*bases, FREE), **edit_choices()}
        choices |= {FREE_PREFIX + name: values for name, values in free.choices.items()}
        return cls(
            image_size, MappingProxyType(bases), MappingProxyType(choices), MappingProxyType(known | dict(titles or {}))
        )

    @classmethod
    def of_choices(
        cls, image_size: int, choices: Mapping[str, tuple[Any, ...]], own: Mapping[str, Architecture] | None = None
    ) -> SearchSpace:
        """Return the space with these ``choices``, as a study keeps them; ``own`` has bases that are no presets."""
        known = cls.standard(image_size, own).based_on(choices["base"])
        return replace(known, choices=MappingProxyType(dict(choices)))

    @property
    def free(self) -> FreeSpace:
        """The free composition alone."""
        own = {name.removeprefix(FREE_PREFIX): values for name, values in self._free_choices.items()}
        return FreeSpace(self.image_size, MappingProxyType(own))

    def suggest(self, trial: Trial) -> Architecture:
        """Ask ``trial`` for every choice and return the architecture."""
        return self.compose({name: trial.suggest_categorical(name, values) for name, values in self.choices.items()})

    def base(self, choices: Choices) -> Architecture:
        """Return what the edits of a set of choices start from."""
        if choices["base"] == FREE:
            return self.free.compose(
                {name.removeprefix(FREE_PREFIX): choices[name] for name in choices if name.startswith(FREE_PREFIX)}
            )
        return self.bases[choices["base"]]

    def compose(self, choices: Choices) -> Architecture:
        """Return the architecture of a full set of choices."""
        name, base = choices["base"], self.base(choices)
        made = edited(base, choices, self.image_size)
        if made is base:
            return made
        meant = {edit: choices[edit] for edit in meaningful(made)}
        title = f"free composition {base.id}" if name == FREE else self.titles.get(name, name)
        composed = {each: choices[each] for each in self._free_choices if name == FREE}
        return made.model_copy(
            update={"name": sentence(title, meant), "derivation": derivation(name, composed | meant)}
        )

    def told(self, choices: Choices) -> Architecture:
        """Return the architecture of a full set of choices, told without edits that change nothing beside the others.

        Slower than ``compose`` by as many compositions as there are edits.
        """
        made = self.compose(choices)
        if not made.derivation:
            return made
        kept = dict(choices)
        for edit, value in neutral().items():
            if kept[edit] != value and self.compose(kept | {edit: value}).id == made.id:
                kept[edit] = value
        return self.compose(kept)

    def sample(self, seed: int) -> Architecture:
        """Return a base, each equally likely, with a few edits at random; or a free composition."""
        return self.compose(self.draw(np.random.default_rng(seed)))

    def draw(self, generator: np.random.Generator) -> dict[str, Any]:
        """Return the choices of ``sample``."""
        names = self.choices["base"]
        choices = self.unedited(names[int(generator.integers(len(names)))])
        if choices["base"] == FREE:
            return choices | {
                name: values[int(generator.integers(len(values)))] for name, values in self._free_choices.items()
            }
        return choices | few_edits(self.edits_of(choices), self.choices, generator)

    def child(self, parents: Sequence[Choices], generator: np.random.Generator) -> dict[str, Any]:
        """Return the choices of a child: of two ``parents`` of one base crossed, or of one, with a change or more."""
        first, second = (parents[int(generator.integers(len(parents)))] for _ in range(2))
        made = crossed(first, second, generator) if first["base"] == second["base"] else dict(first)
        return mutated(made, self.edits_of(made), self.choices, generator)

    def edits_of(self, choices: Choices) -> tuple[str, ...]:
        """Return the names of the choices that have a meaning for the base of some, without the base itself."""
        free = tuple(self._free_choices) if choices["base"] == FREE else ()
        return (*free, *meaningful(self.base(choices)))

    @property
    def _free_choices(self) -> dict[str, tuple[Any, ...]]:
        return {name: values for name, values in self.choices.items() if name.startswith(FREE_PREFIX)}

    def unedited(self, base: str) -> dict[str, Any]:
        """Return the choices of a base as it is."""
        return {name: values[0] for name, values in self.choices.items()} | neutral() | {"base": base}

    def choices_of(self, architecture: Architecture) -> dict[str, Any] | None:
        """Return choices that compose this very architecture, or None where the space has none.

        A base is found by its content, what was edited by what it says of its derivation, what was composed freely by
        its blocks.
        """
        for name, base in self.bases.items():
            if base.id == architecture.id:
                return self.unedited(name)
        found = derived(architecture.derivation, self.choices) if architecture.derivation else None
        if found is not None and found[0] in self.choices["base"]:
            choices = self.unedited(found[0]) | found[1]
            return choices if self.compose(choices).id == architecture.id else None
        free = self.free.choices_of(architecture) if FREE in self.choices["base"] else None
        if free is None:
            return None
        return self.unedited(FREE) | {FREE_PREFIX + name: value for name, value in free.items()}

    def contains(self, architecture: Architecture) -> bool:
        """Return whether some set of choices composes this architecture (whatever its name)."""
        return self.choices_of(architecture) is not None

    @staticmethod
    def encode(architecture: Architecture) -> np.ndarray:
        """Return the fixed-length float vector of any architecture (see ``encoding``)."""
        return encode(architecture)

    def restricted(self, forbidden: Mapping[str, str]) -> tuple[SearchSpace, tuple[Removal, ...]]:
        """Return the space without bases and values that need a forbidden feature, and what was removed and why.

        ``forbidden`` maps feature names (``Architecture.features``) to reasons. Raises UserError where no base is left.
        """
        removals: list[Removal] = []
        bases: dict[str, Architecture] = {}
        for name, base in self.bases.items():
            refused = sorted(base.features & forbidden.keys())
            if refused:
                removals.append(Removal("base", name, forbidden[refused[0]]))
            else:
                bases[name] = base
        free, of_free = self.free.restricted(forbidden)
        removals += [Removal(FREE_PREFIX + each.choice, each.value, each.reason) for each in of_free]
        kept: dict[str, tuple[Any, ...]] = {"base": (*bases, FREE)}
        for name, values in edit_choices().items():
            reasons = {value: _reason(name, value, forbidden) for value in values}
            kept[name] = tuple(value for value in values if reasons[value] is None)
            removals += [Removal(name, value, reason) for value, reason in reasons.items() if reason is not None]
        kept |= {FREE_PREFIX + name: values for name, values in free.choices.items()}
        if not bases:
            raise UserError("The profile forbids every base: relax its rules.")
        return replace(self, bases=MappingProxyType(bases), choices=MappingProxyType(kept)), tuple(removals)

    def based_on(self, names: Collection[str], *, free: bool = True) -> SearchSpace:
        """Return the space whose bases are those of ``names`` that it has, and the free composition if it is wanted."""
        bases = {name: base for name, base in self.bases.items() if name in names}
        choices = {**self.choices, "base": (*bases, FREE) if free else tuple(bases)}
        return replace(self, bases=MappingProxyType(bases), choices=MappingProxyType(choices))

    @property
    def log10_size(self) -> float:
        """Decimal logarithm of the number of combinations of bases and edits (several may give one architecture)."""
        edits = sum(math.log10(len(values)) for name, values in self.choices.items() if name in neutral())
        free = 10**0 if FREE not in self.choices["base"] else 10**self.free.log10_size
        return edits + math.log10(len(self.bases) + free)


def _reason(name: str, value: Any, forbidden: Mapping[str, str]) -> str | None:
    """Return why a value cannot stay, or None."""
    if value == SAME:
        return None
    role = name.rpartition("_")[0] if name.rpartition("_")[2].isdigit() else name
    features = (_SPECIAL_FEATURES.get((role, value), ""), _FEATURES.get(role, "").format(value))
    return next((forbidden[feature] for feature in features if feature in forbidden), None)
