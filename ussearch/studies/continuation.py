"""May a study go on with what is asked now? Only where everything that its results depend on is the same."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from pydantic import BaseModel

from ussearch.errors import UserError
from ussearch.hardware_profiles import Profile
from ussearch.studies.config import StudyConfig
from ussearch.studies.data_source import DataSource

_DECISIVE: Mapping[str, str] = {
    "seed": "seed",
    "image_size": "image size",
    "edge": "edge profile",
    "cloud": "cloud profile",
    "recipe": "training recipe",
    "space": "search space",
    "initial_architectures": "list of initial architectures",
    "edge_share": "share of edge trials",
    "sampler": "sampler",
    "evaluator": "evaluator",
    "workers": "number of workers",
    "run.search.max_weights_gib": "limit of kept weights",
    "pretrained": "choice of pretrained weights",
}
"""Fields that results depend on, with their names in errors."""


def require_same_study(made: StudyConfig, asked: StudyConfig, folder: str) -> None:
    """Raise UserError where the study in ``folder``, made as ``made`` says, cannot be continued as is ``asked`` now."""
    drawn_alike = (asked.seed, asked.image_size) == (made.seed, made.image_size)
    # NOTE: other phantoms are drawn from another seed or in another size, and that is what the user changed.
    if asked.data.fingerprint != made.data.fingerprint and (drawn_alike or asked.data.name != made.data.name):
        raise UserError(
            f"The study in {folder} was made with the data set {_named(made.data)}, not with {_named(asked.data)}"
            f"{_read_otherwise(made.data, asked.data)}: resume with the same data, or name another study folder."
        )
    for field, title in _DECISIVE.items():
        before, after = attrgetter(field)(made), attrgetter(field)(asked)
        # NOTE: which presets are planned follows from the number of trials; a study keeps those it began with.
        replanned = field in ("initial_architectures", "pretrained") and made.trials != asked.trials
        if before != after and not replanned:
            raise UserError(
                f"The study in {folder} was made with another {title} ({_difference(before, after)}): resume "
                "with the same, or name another study folder."
            )


def _named(data: DataSource) -> str:
    return f"{data.name!r} ({data.images} images, fingerprint {data.fingerprint[:12]})"


def _read_otherwise(before: DataSource, after: DataSource) -> str:
    """Return in which option of the reading two data sets differ; nothing where they do in none."""
    if before.reading is None or after.reading is None:
        return ""
    asked = [
        {"lesion": each.masks.lesion, **each.model_dump(include={"region", "folders", "groups", "grey_scale"})}
        for each in (before.reading, after.reading)
    ]
    return "" if asked[0] == asked[1] else f" (read with {_difference(*asked)})"


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
