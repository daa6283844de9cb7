"""What a study that goes on keeps of what was decided for it, whatever this version or machine would decide today."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ussearch.errors import UserError
from ussearch.evaluators import Pretrained, Recipe
from ussearch.hardware_profiles import Profile
from ussearch.hardware_profiles.catalogue import is_shipped
from ussearch.run_config import RunConfig
from ussearch.search_spaces import Architecture, FreeSpace
from ussearch.studies.study import Study
from ussearch.weights import require_digest


@dataclass(frozen=True)
class Kept:
    """Decisions of a study that is resumed; empty for a new one.

    Attributes:
        profiles: shipped profiles by name. They hold the prices that its trials were judged by, also where this version
            ships others. A file of the user's own that has changed since is not among them: the study is refused then.
        pretrained: what its networks start from, where that is asked for as the study did; else None.
        architectures: initial architectures that came from files, by what was given.
        space: from which its candidates are drawn, where an older version drew them from another.
        recipe: by which its candidates are trained, where it was left to the program and is so again.
    """

    profiles: Mapping[str, Profile] = field(default_factory=dict)
    pretrained: Pretrained | None = None
    architectures: Mapping[str, Architecture] = field(default_factory=dict)
    space: FreeSpace | None = None
    recipe: Recipe | None = None

    @classmethod
    def of(cls, config: RunConfig, folder: Path | None) -> Kept:
        """Return what the study in ``folder`` keeps, where the run continues one.

        Raises UserError where candidates were judged in a way that this version does not have, and where weights that
        networks start from are gone or have changed.
        """
        if folder is None or not config.output.resume or not Study.exists(folder):
            return cls()
        before = Study.open(folder).config
        if before.evaluator != "train" or before.halving is not None:
            former = "--halving, by brackets" if before.halving else f"--evaluator {before.evaluator}, by a ladder"
            raise UserError(
                f"The study in {folder} was made with {former} that this version does not have: what "
                "is finished can be inspected and exported (ussearch pareto, ussearch export); start anew in another "
                "study folder."
            )
        folders = () if config.profiles_dir is None else (config.profiles_dir,)
        profiles = {each.name: each for each in before.profiles.values() if is_shipped(each.name, folders)}
        usual = before.run.training.recipe is None and config.training.recipe is None
        free = before.search_space
        kept = cls(
            profiles,
            architectures=before.own_architectures,
            space=free if isinstance(free, FreeSpace) else None,
            recipe=before.recipe if usual else None,
        )
        if before.run.training.pretrained != config.training.pretrained:
            return kept
        for start in before.pretrained.starts:
            require_digest(start.weights, Path(start.file), start.sha256)
        return replace(kept, pretrained=before.pretrained)
