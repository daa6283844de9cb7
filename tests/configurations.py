"""Configurations of runs and studies from few words."""

from __future__ import annotations

from typing import Any

from ussearch.run_config import RunConfig
from ussearch.run_options import config_from
from ussearch.studies import StudyConfig

PLACES = {
    **{"trials": ("search", "trials"), "sampler": ("search", "sampler")},
    **{"max_weights_gib": ("search", "max_weights_gib")},
    **{"image_size": ("space", "image_size"), "edge_share": ("space", "edge_share")},
    **{"initial_architectures": ("space", "warm_start"), "workers": ("execution", "workers")},
    **{"final_epochs": ("training", "final_epochs"), "final_restarts": ("training", "final_restarts")},
}


def run_config(**options: Any) -> RunConfig:
    """Return the configuration of a run, for the profile ``p`` unless another one is named."""
    return config_from({"profile": "p", **options})


def study_config(**settings: Any) -> StudyConfig:
    """Return the configuration of a study; what belongs to its run may stand beside the rest."""
    run: dict[str, Any] = {"profile": settings["edge"].name, "cloud_profile": settings["cloud"].name}
    if "seed" in settings:
        run["seed"] = settings.pop("seed")
    for name, (section, key) in PLACES.items():
        if name in settings:
            run.setdefault(section, {})[key] = settings.pop(name)
    return StudyConfig(run=RunConfig.model_validate(run), **settings)
