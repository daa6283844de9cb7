"""The architectures that a search begins with: presets by name, the user's own from files, earlier winners."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ussearch.errors import UserError
from ussearch.search_spaces import Architecture, load_preset, preset_names

YAML = (".yaml", ".yml")
WEIGHTS = "weights.safetensors"


def is_own(name: str) -> bool:
    """Return whether what was asked for is the user's own, and no preset."""
    return name.endswith(YAML) or earlier_trial(name) is not None


def earlier_trial(name: str) -> tuple[Path, int] | None:
    """Return folder and number of ``STUDY:TRIAL``; None for anything else."""
    folder, colon, number = name.rpartition(":")
    return (Path(folder).expanduser(), int(number)) if folder and colon and number.isdecimal() else None


def earlier_weights(names: Iterable[str]) -> dict[str, Path]:
    """Return the weights of the trials of earlier studies among ``names``: as fully trained as they are there.

    Raises UserError where a trial has none any more.
    """
    found: dict[str, Path] = {}
    for name in names:
        if (trial := earlier_trial(name)) is None:
            continue
        folder, number = trial
        places = [folder / kind / f"{number:04d}" / WEIGHTS for kind in ("finalists", "trials")]
        existing = [place for place in places if place.is_file()]
        if not existing:
            raise UserError(
                f"Trial {number} of {folder} has no weights any more: name one of its front (ussearch pareto {folder}) "
                "or its architecture.yaml alone."
            )
        found[name] = existing[0]
    return found


def initial_architecture(name: str, own: Mapping[str, Architecture] | None = None) -> Architecture:
    """Return a preset, or the user's own architecture, for grey images and one class; raises UserError.

    ``own`` has architectures that a study read before. One without a name is called by its id, since the file's name
    stays with the user.
    """
    if own and name in own:
        return own[name]
    if not is_own(name):
        return load_preset(name).architecture.for_task()
    path = Path(name).expanduser()
    if (trial := earlier_trial(name)) is not None:
        path = trial[0] / "trials" / f"{trial[1]:04d}" / "architecture.yaml"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"Cannot read the architecture {name}: expected a preset's name, an architecture.yaml, such as those in a "
            "study's trials, or STUDY:TRIAL; check --warm-start and --base."
        ) from error
    found = Architecture.from_yaml(text, name).for_task()
    return found if found.name else found.model_copy(update={"name": found.id})


def initial_candidates(
    named: Sequence[str] | None, own: Mapping[str, Architecture] | None = None, more: Sequence[str] = ()
) -> dict[str, Architecture]:
    """Return every architecture that a search may begin with, by what it was asked for.

    Those ``named``, else all presets; and in any case those of ``more``.
    """
    names = [*(preset_names() if named is None else named), *more]
    return {name: initial_architecture(name, own) for name in dict.fromkeys(names)}
