"""The architectures that a search tries first: presets by name, and the user's own from files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ussearch.errors import UserError
from ussearch.search_spaces import Architecture, load_preset, preset_names

YAML = (".yaml", ".yml")


def initial_architecture(name: str, own: Mapping[str, Architecture] | None = None) -> Architecture:
    """Return a preset, or the architecture of a YAML file, for grey images and one class; raises UserError.

    ``own`` has architectures of files that a study read before. One without a name is called by its id, since the
    file's name stays with the user.
    """
    if own and name in own:
        return own[name]
    if not name.endswith(YAML):
        return load_preset(name).architecture.for_task()
    try:
        text = Path(name).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"Cannot read the architecture {name}: expected a preset's name or an architecture.yaml, such as those in "
            "a study's trials; check --warm-start."
        ) from error
    found = Architecture.from_yaml(text, name).for_task()
    return found if found.name else found.model_copy(update={"name": found.id})


def initial_candidates(
    named: Sequence[str] | None, own: Mapping[str, Architecture] | None = None
) -> dict[str, Architecture]:
    """Return every architecture that a search may begin with, by what it was asked for: else all presets."""
    return {name: initial_architecture(name, own) for name in (preset_names() if named is None else named)}
