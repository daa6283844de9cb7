"""What ``--pretrained`` may say, looked at before anything heavy is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ussearch.errors import UserError
from ussearch.registry import nearest_names
from ussearch.weights.catalogue import WeightsSource, known_weights, weights_named
from ussearch.weights.files import require_file

Automatic = Literal["auto", "off"]
AUTO: Automatic = "auto"
OFF: Automatic = "off"
_SUFFIXES = (".safetensors", ".pth", ".pt")


def require_pretrained(text: str) -> None:
    """Raise UserError where ``--pretrained`` names what is not there, or a file that is damaged."""
    found = asked_for(text)
    if isinstance(found, WeightsSource):
        require_file(found)


def asked_for(text: str) -> Automatic | Path | WeightsSource:
    """Return ``auto``, ``off``, the entry of a name, or a file; raises UserError where it is none of these."""
    if text in (AUTO, OFF):
        return AUTO if text == AUTO else OFF
    if any(source.name == text for source in known_weights()):
        return weights_named(text)
    path = Path(text).expanduser()
    if path.is_file():
        return path
    if text and path.is_dir():
        raise UserError(f"{path} is a folder: expected a file of weights, such as {path / 'weights.safetensors'}.")
    if path.suffix in _SUFFIXES or len(path.parts) > 1:
        raise UserError(f"{path} does not exist: expected a file of weights, a name (ussearch weights list), or auto.")
    names = [source.name for source in known_weights()]
    raise UserError(
        f"--pretrained {text!r} is not possible: expected auto, off, a file or a name; {nearest_names(text, names)}"
    )
