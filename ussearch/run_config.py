"""One configuration of a run, which the command line, ``--config run.yaml``, ``ussearch.run`` and ``study.yaml`` share.

Adding an option is one field here, with its description, and its use: the option's name, help, type and range, the
commented file of ``ussearch config`` and the key of ``ussearch.run`` are all read off the field (``run_options.py``).
What is None is left to the program; in ``study.yaml`` nothing is.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_serializer

from ussearch.errors import UserError
from ussearch.storage_url import kept

SamplerName = Literal["surrogate", "tpe", "gp", "nsgaii", "nsgaiii", "random"]
FolderMeaning = Literal["split", "classes", "patients"]
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds_from(text: str) -> float:
    """Return the seconds of ``30m``, ``1.5h``, ``90s`` or ``90``; raises UserError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip().lower())
    if not match:
        raise UserError(f"{text!r} is no time: expected a number with s, m, h or d, such as 30m.")
    return float(match[1]) * _SECONDS[match[2]]


def _as_seconds(value: Any) -> Any:
    try:
        return seconds_from(value) if isinstance(value, str) else value
    except UserError as error:
        raise ValueError(str(error)) from error


def _as_names(value: Any) -> Any:
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


Duration = Annotated[float, BeforeValidator(_as_seconds)]
"""Seconds; written as a number or as ``90s``, ``30m``, ``2h``, ``1d``."""
Names = Annotated[tuple[str, ...], BeforeValidator(_as_names)]
"""Names; written as a list or as ``a,b``."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class DataOptions(_Section):
    """What the networks learn from."""

    path: Path | None = Field(default=None, description="Data set; the built-in phantoms where left out.")
    reader: str | None = Field(default=None, description="Layout of the data, instead of recognising it.")
    split_file: Path | None = Field(default=None, description="Published split to use.")
    lesion: str | None = Field(default=None, description="Labels of the masks that are lesion, such as 1,2 or cyst.")
    fill_outlines: bool = Field(default=False, description="Masks are outlines; what they enclose is lesion.")
    folders: FolderMeaning | None = Field(
        default=None, description="What sub-folders mean: split, classes or patients."
    )
    groups: str | None = Field(
        default=None,
        description="Images that stay together: folder, a pattern such as '(?P<patient>[0-9]+)_', or a CSV column.",
    )
    grey_scale: str | None = Field(default=None, description="Values that become black and white: LOW,HIGH.")
    region: str | None = Field(
        default=None, description="Ultrasound region of DICOM files: largest, whole or a number from 1."
    )
    phantoms: int = Field(default=300, ge=40, description="How many phantoms, where no data is given.")


class SpaceOptions(_Section):
    """Which architectures are candidates."""

    image_size: int | None = Field(default=None, ge=32, description="Side in pixels, a multiple of 32.")
    warm_start: Names | None = Field(
        default=None, description="Networks to try first: presets or architecture.yaml files, NAME,FILE…"
    )
    base: Names | None = Field(
        default=None,
        description="Networks to edit, too: STUDY:TRIAL, an earlier winner with its weights, or FILE.yaml.",
    )
    edge_share: float = Field(default=0.5, ge=0, le=1, description="Share of sampled trials drawn for the device.")


class SamplerSettings(_Section):
    """Who proposes architectures: the sampler that knows costs exactly, or one of Optuna's."""

    name: SamplerName = Field(default="surrogate", description="surrogate, tpe, gp, nsgaii, nsgaiii or random.")
    population: int = Field(default=8, ge=2, description="Small, so that evolution happens within tens of trials.")
    startup: int = Field(default=4, ge=2, description="Trials before surrogate and gp learn from them.")


class SearchOptions(_Section):
    """How many candidates there are, who proposes them and how long they are trained."""

    trials: int | None = Field(default=None, ge=1, description="Candidates to train, presets included.")
    sampler: SamplerSettings = SamplerSettings()
    max_weights_gib: float = Field(
        default=2.0, ge=0, description="GiB of trials' weights that a study keeps; those on the front stay beyond it."
    )


class TrainingOptions(_Section):
    """How long networks are trained, and by which recipe."""

    epochs: int | None = Field(default=None, ge=1, description="Length of each candidate's training.")
    final_epochs: int | None = Field(default=None, ge=1, description="Length of the full training of the pair.")
    final_restarts: int | None = Field(
        default=None,
        ge=0,
        description="Full trainings of each network from random starts, besides the one that goes on; the best counts.",
    )
    pretrained: str = Field(
        default="auto",
        description="Weights to start from: auto (what is on this machine), off, NAME (ussearch weights list) or FILE.",
    )
    recipe: Path | None = Field(default=None, description="YAML with other settings of the training recipe.")


class CompressionOptions(_Section):
    """Whether the edge network goes through the chain of compression."""

    enabled: bool = Field(default=True, description="Prune, distil and quantise the edge network, where it helps.")
    max_drop: float = Field(default=1.0, ge=0, description="Points of mean Dice that a step of the chain may lose.")


class RoutingOptions(_Section):
    """The decision between edge and cloud."""

    offload_share: float | None = Field(
        default=None, ge=0, le=1, description="Share of images that may go to the cloud; default: 0.2 where that pays."
    )


class ExecutionOptions(_Section):
    """With what a run works; of these only ``workers`` has a part in what it finds."""

    accelerator: str = Field(default="auto", description="Where training runs: auto, cpu, cuda (every card) or cuda:N.")
    workers: int | None = Field(
        default=None, ge=1, description="Trials trained at a time; part of the study. One a core else, at most 4."
    )
    threads: int = Field(
        default=0, ge=0, description="CPU threads of each worker, or of one where only this is given; 0: all cores."
    )
    ray: str | None = Field(default=None, description="Train on this Ray cluster: auto or HOST:PORT.")
    storage: str | None = Field(
        default=None, repr=False, description="Database of the study, such as postgresql://HOST/NAME."
    )
    trial_timeout: Duration | None = Field(default=None, ge=1, description="Longest a trial may take, such as 2h.")

    @field_serializer("storage")
    def _without_password(self, storage: str | None) -> str | None:
        return None if storage is None else kept(storage)

    @property
    def trials_at_a_time(self) -> int:
        """The workers, where they are decided; else 1."""
        return self.workers or 1

    def worker_threads(self, cores: int) -> int:
        """Return the intra-op threads of one worker: an equal share of the cores, one on a cluster."""
        if self.threads or self.ray is not None:
            return self.threads or 1
        return max(1, cores // self.trials_at_a_time)


class OutputOptions(_Section):
    """Where a run is kept."""

    study: Path | None = Field(default=None, description="Folder of the study; a new one below studies/ else.")
    resume: bool = Field(default=False, exclude=True, description="Continue the study; nothing finished is lost.")
    out: Path | None = Field(default=None, description="Folder of the bundle; inside the study else.")


class RunConfig(_Section):
    """A run: what the user asks for, or what it was resolved to."""

    profile: str = Field(description="Edge device, such as jetson-nano (see: ussearch profiles).")
    cloud_profile: str = Field(default="x86-server", description="Where the strong network runs.")
    profiles_dir: Path | None = Field(default=None, description="Folder with profiles of your own.")
    max_latency_ms: float | None = Field(
        default=None, gt=0, description="Limit on the device, post-processing included; that of the profile else."
    )
    budget: Duration | None = Field(
        default=None, ge=1, description="Time of the whole run, such as 30m: it ends with a bundle then."
    )
    seed: int = Field(default=0, ge=0, description="Of everything random.")
    data: DataOptions = DataOptions()
    space: SpaceOptions = SpaceOptions()
    search: SearchOptions = SearchOptions()
    training: TrainingOptions = TrainingOptions()
    compression: CompressionOptions = CompressionOptions()
    routing: RoutingOptions = RoutingOptions()
    execution: ExecutionOptions = ExecutionOptions()
    output: OutputOptions = OutputOptions()

    def given(self) -> dict[str, Any]:
        """Return everything as it was given, ready for another configuration; a dump has no password and no resume."""
        return _given(self)

    def changed(self, **sections: dict[str, Any]) -> RunConfig:
        """Return the configuration with other values in some sections: ``changed(search={"trials": 4})``."""
        update = {name: getattr(self, name).model_copy(update=values) for name, values in sections.items()}
        return self.model_copy(update=update)


def _given(section: BaseModel) -> dict[str, Any]:
    return {name: _given(value) if isinstance(value, BaseModel) else value for name, value in section}
