"""The resolved configuration of a study: everything that its results depend on."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib import metadata
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from typing_extensions import Self

from ussearch import schema
from ussearch.documents import parse_yaml
from ussearch.evaluators import FROM_SCRATCH, Pretrained, Recipe, Tier
from ussearch.evaluators.training.recipe import recipe_of_record
from ussearch.hardware_profiles import Profile
from ussearch.hardware_profiles.profile_text import profile_yaml
from ussearch.run_config import RunConfig, SamplerSettings
from ussearch.search_spaces import Architecture, FreeSpace, SearchSpace
from ussearch.storage_url import hide_passwords
from ussearch.studies.data_source import DataSource
from ussearch.studies.initial import initial_architecture

USUAL_FINAL_EPOCHS = 100
_PACKAGES = ("ussearch", "torch", "optuna", "monai", "numpy")


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


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


class FullLength(_Data):
    """How long a network of the pair is trained, from so many random starts besides going on from its trial."""

    epochs: int = Field(ge=1)
    restarts: int = Field(ge=0)


class StudyConfig(_Data):
    """What was asked for, resolved; written to ``study.yaml``."""

    run: RunConfig
    """The run as it was asked for, with everything decided; a resumed study may ask for more trials."""
    edge: Profile
    cloud: Profile
    recipe: Recipe
    """Of every candidate."""
    data: DataSource
    space: dict[str, tuple[Any, ...]]
    """Choices of the sampled space, after what a device cannot run was removed."""
    pretrained: Pretrained = FROM_SCRATCH
    """What networks start from that others trained; files, with their digests."""
    own_architectures: dict[str, Architecture] = {}
    """Initial architectures that came from files, by what was given, as they were then."""
    skipped: dict[str, str] = {}
    """Presets that were left out, with the reason."""
    cloud_length: FullLength | None = None
    """Of the cloud's full training, where a budget left it another one than the edge's; None: the same."""
    evaluator: Literal["train", "shared", "auto"] = "train"
    """How candidates are judged; in studies of before 0.2.0 some may have been by shared weights or short trainings."""
    halving: dict[str, int] | None = None
    """The brackets of a study of before 0.2.0 in which only the best were trained in full; None: there are none."""
    command_line: str = Field(default_factory=command_line)
    versions: dict[str, str] = Field(default_factory=installed_versions)
    created: str = Field(default_factory=_now)

    @field_validator("recipe", mode="before")
    @classmethod
    def _whole(cls, recipe: Any) -> Any:
        """Read a recipe that says everything which there was when it was written."""
        return recipe_of_record(recipe) if isinstance(recipe, Mapping) else recipe

    @model_validator(mode="after")
    def _decided(self) -> Self:
        """Refuse a run of which something was left open."""
        if None in (self.run.search.trials, self.run.space.image_size):
            raise ValueError("run: trials and image size must be decided")
        return self

    @property
    def trials(self) -> int:
        """How many candidates in all, presets included."""
        return self.run.search.trials or 0

    def counted(self, finished: int) -> str:
        """Return how many trials are finished and how many there are to be, of which a budget may leave some out."""
        most = "at most " if self.run.budget is not None and finished < self.trials else ""
        return f"{finished} of {most}{self.trials} trial{'' if self.trials == 1 else 's'}"

    @property
    def image_size(self) -> int:
        """Side of the network's input in pixels."""
        return self.run.space.image_size or 0

    @property
    def initial_architectures(self) -> tuple[str, ...]:
        """Names of the presets that are evaluated first, in order."""
        return self.run.space.warm_start or ()

    def initial(self, name: str) -> Architecture:
        """Return one of the initial architectures."""
        return initial_architecture(name, self.own_architectures)

    @property
    def initial_names(self) -> tuple[str, ...]:
        """What the initial architectures are called."""
        own = self.own_architectures
        return tuple(own[name].name if name in own else name for name in self.initial_architectures)

    @property
    def search_space(self) -> SearchSpace | FreeSpace:
        """The space whose choices these are; studies of 0.1 composed freely, without bases."""
        if "base" not in self.space:
            return FreeSpace(self.image_size, self.space)
        own = {each.name: each for each in self.own_architectures.values()}
        return SearchSpace.of_choices(self.image_size, self.space, own)

    @property
    def edge_share(self) -> float:
        """Share of the sampled trials that must fit the device; the others need to fit the cloud only."""
        return self.run.space.edge_share

    @property
    def sampler(self) -> SamplerSettings:
        """Who proposes architectures."""
        return self.run.search.sampler

    @property
    def final_epochs(self) -> int:
        """Length of the training of the two networks that are chosen in the end; ``full_length`` tells them apart."""
        return self.run.training.final_epochs or USUAL_FINAL_EPOCHS

    @property
    def final_restarts(self) -> int:
        """How often each of them is trained from random starts, besides going on; the best on validation is kept."""
        return 1 if (asked := self.run.training.final_restarts) is None else asked

    def full_length(self, tier: Tier) -> FullLength:
        """Return how long an end is trained."""
        edge = FullLength(epochs=self.final_epochs, restarts=self.final_restarts)
        return edge if tier == "edge" else self.cloud_length or edge

    @property
    def seed(self) -> int:
        """Of everything random."""
        return self.run.seed

    @property
    def workers(self) -> int:
        """How many trials are evaluated at a time: it decides which records each draft may learn from."""
        return self.run.execution.trials_at_a_time

    def changed(self, **sections: dict[str, Any]) -> StudyConfig:
        """Return the configuration with other values in sections of the run, as ``RunConfig.changed`` does."""
        return self.model_copy(update={"run": self.run.changed(**sections)})

    @property
    def profiles(self) -> dict[Tier, Profile]:
        """Return the two ends' profiles."""
        return {"edge": self.edge, "cloud": self.cloud}

    @property
    def final_recipe(self) -> Recipe:
        """The recipe at full length, that of the edge network."""
        return self.recipe.model_copy(update={"epochs": self.final_epochs, "steps": None})

    def to_yaml(self) -> str:
        """Return YAML that ``from_yaml`` reads back to an equal value."""
        return profile_yaml(schema.STUDY.numbered(self.model_dump(mode="json")))

    @classmethod
    def from_yaml(cls, text: str, source: str = "study.yaml") -> StudyConfig:
        """Read a configuration; raises UserError naming ``source`` and the first field that is wrong."""
        return parse_yaml(cls, text, source, schema.STUDY, "restore it or start anew")
