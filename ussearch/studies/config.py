"""The resolved configuration of a study: everything that its results depend on."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib import metadata
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from ussearch import schema
from ussearch.datasets import ImageSet
from ussearch.documents import parse_yaml
from ussearch.errors import UserError
from ussearch.evaluators import End, Recipe
from ussearch.hardware_profiles import Profile
from ussearch.studies.halving import Halving
from ussearch.studies.storage_url import hide_passwords

SamplerName = Literal["nsgaii", "nsgaiii", "tpe", "random", "surrogate"]
_PACKAGES = ("ussearch", "torch", "optuna", "monai", "numpy")


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataSource(_Data):
    """Which data a study learns from."""

    name: str
    reader: str
    root: str
    fingerprint: str
    images: int
    phantoms: dict[str, Any] | None = None
    """The generator's parameters, where the data was made up."""

    @classmethod
    def of(cls, image_set: ImageSet, root: str = "", phantoms: dict[str, Any] | None = None) -> DataSource:
        """Describe a prepared data set that was read from ``root``, or made with the parameters ``phantoms``."""
        return cls(
            name=image_set.name,
            reader=image_set.reader,
            root=root,
            fingerprint=image_set.fingerprint,
            images=len(image_set),
            phantoms=phantoms,
        )


EvaluatorName = Literal["train", "shared", "auto"]
"""Train every candidate; or judge most by shared weights, or by the whole ladder's cheapest rung, where trusted."""


class SamplerSettings(_Data):
    """Which Optuna sampler proposes architectures."""

    name: SamplerName = "nsgaii"
    population: int = Field(default=8, ge=2, description="small, so that evolution happens within tens of trials")
    startup: int = Field(default=4, ge=2, description="random trials before the surrogate learns from them")


def installed_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed as a package"
    return versions


def command_line() -> str:
    """Return the command that is running, without passwords."""
    return shlex.join(map(hide_passwords, sys.argv))


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


class StudyConfig(_Data):
    """What was asked for, resolved; written to ``study.yaml``."""

    trials: int = Field(ge=1)
    """How many candidates in all, seeds included; a resumed study may ask for more."""
    image_size: int
    edge: Profile
    cloud: Profile
    recipe: Recipe
    final_epochs: int = Field(default=100, ge=1)
    """Length of the training of the two networks that are chosen in the end."""
    final_seeds: int = Field(default=1, ge=1)
    """How often each of them is trained, from different random starts; the best on validation is kept."""
    halving: Halving | None = None
    """Brackets of candidates of which only the best are trained at full length; None: all are."""
    data: DataSource
    space: dict[str, tuple[Any, ...]]
    """Choices of the sampled space, after what a device cannot run was removed."""
    seeds: tuple[str, ...] = ()
    """Names of the presets that are evaluated first, in order."""
    skipped: dict[str, str] = {}
    """Presets that were left out, with the reason."""
    edge_share: float = Field(default=0.5, ge=0, le=1)
    """Share of the sampled trials that must fit the device; the others need to fit the cloud only."""
    sampler: SamplerSettings = SamplerSettings()
    evaluator: EvaluatorName = "train"
    shared_epochs: int = Field(default=20, ge=1)
    """Length of the training of shared weights, where the evaluator uses them."""
    seed: int = Field(default=0, ge=0)
    workers: int = Field(default=1, ge=1)
    """How many trials are evaluated at a time: it decides which records each draft may learn from."""
    command_line: str = Field(default_factory=command_line)
    versions: dict[str, str] = Field(default_factory=installed_versions)
    created: str = Field(default_factory=_now)

    @property
    def profiles(self) -> dict[End, Profile]:
        """Return the two ends' profiles."""
        return {"edge": self.edge, "cloud": self.cloud}

    @property
    def final_recipe(self) -> Recipe:
        """The recipe at the length of the two networks that are chosen in the end."""
        return self.recipe.model_copy(update={"epochs": self.final_epochs, "steps": None})

    def to_yaml(self) -> str:
        """Return YAML that ``from_yaml`` reads back to an equal value."""
        return yaml.safe_dump(schema.STUDY.numbered(self.model_dump(mode="json")), sort_keys=False, allow_unicode=True)

    @classmethod
    def from_yaml(cls, text: str, source: str = "study.yaml") -> StudyConfig:
        """Read a configuration; raises UserError naming ``source`` and the first field that is wrong."""
        return parse_yaml(cls, text, source, schema.STUDY, "restore it or start anew")

    def check_continued_by(self, other: StudyConfig, folder: str) -> None:
        """Raise UserError where ``other`` asks for something else than this study, so that it cannot continue it."""
        if other.data.fingerprint != self.data.fingerprint:
            raise UserError(
                f"The study in {folder} was made with the data set {_named(self.data)}, not with {_named(other.data)}: "
                "resume with the same data, or name another study folder."
            )
        for field, title in _DECISIVE.items():
            before, after = getattr(self, field), getattr(other, field)
            # NOTE: which presets are planned follows from the number of trials; a study keeps those it began with.
            replanned = field == "seeds" and self.trials != other.trials
            if before != after and not replanned:
                raise UserError(
                    f"The study in {folder} was made with another {title} ({_difference(before, after)}): resume "
                    "with the same, or name another study folder."
                )


_DECISIVE: Mapping[str, str] = {
    "seed": "seed",
    "image_size": "image size",
    "edge": "edge profile",
    "cloud": "cloud profile",
    "recipe": "training recipe",
    "space": "search space",
    "seeds": "list of seed presets",
    "edge_share": "share of edge trials",
    "sampler": "sampler",
    "evaluator": "evaluator",
    "workers": "number of workers",
    "halving": "successive halving",
}
"""Fields that results depend on, with their names in errors."""


def _named(data: DataSource) -> str:
    return f"{data.name!r} ({data.images} images, fingerprint {data.fingerprint[:12]})"


def _difference(before: Any, after: Any) -> str:
    """Return the first thing that differs between two values, in words."""
    if isinstance(before, Profile) and isinstance(after, Profile) and before.name != after.name:
        return f"{before.name}, not {after.name}"
    if isinstance(before, BaseModel) and isinstance(after, BaseModel):
        before, after = before.model_dump(mode="json"), after.model_dump(mode="json")
    if isinstance(before, dict) and isinstance(after, dict):
        key = next(key for key in {**before, **after} if before.get(key) != after.get(key))
        return f"{key}: {_difference(before.get(key), after.get(key))}"
    return f"{before}, not {after}"
