"""Files of weights on this machine: where they lie, whether they are what they should be, and what they hold."""

from __future__ import annotations

import importlib.util
import os
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path

import platformdirs
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ussearch.errors import UserError
from ussearch.evaluators.pretrained.catalogue import WeightsSource
from ussearch.files import sha256_of

FOLDER_VARIABLE = "USSEARCH_WEIGHTS_DIR"
"""Environment variable with another folder for weights than the platform's place for a user's data."""
MOST_BYTES = 2 << 30
"""No network in reach is larger; guards against reading what cannot be weights."""


def weights_folder() -> Path:
    """Return the folder in which a user's weights are kept."""
    own = os.environ.get(FOLDER_VARIABLE)
    return Path(own) if own else platformdirs.user_data_path("ussearch") / "weights"


def places_of(source: WeightsSource) -> Iterator[Path]:
    """Yield where the file of ``source`` may lie: the user's folder, an installed package, PyTorch's cache."""
    yield weights_folder() / source.file
    if source.member is not None:
        package, _, inside = source.member.partition("/")
        found = importlib.util.find_spec(package)  # does not run the package
        if found is not None and found.origin is not None:
            yield Path(found.origin).parent / inside
    home = os.environ.get("TORCH_HOME", os.path.join(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "torch"))
    yield Path(home).expanduser() / "hub" / "checkpoints" / source.file


def located(source: WeightsSource) -> Path | None:
    """Return the file of ``source`` on this machine; None where there is none. Its content is not looked at."""
    return next((path for path in places_of(source) if path.is_file()), None)


def how_to_get(source: WeightsSource) -> str:
    """Return what brings the file here, as a hint for people."""
    return f"ussearch weights get {source.name}"


def require_file(source: WeightsSource) -> tuple[Path, str]:
    """Return the file of ``source`` and its SHA-256; raises UserError where it is missing or another file."""
    path = located(source)
    if path is None:
        raise UserError(
            f"The weights {source.name} are not on this machine: expected {source.file} (SHA-256 {source.sha256}) in "
            f"{weights_folder()}; get them with: {how_to_get(source)}."
        )
    sha256 = sha256_of(path)
    if not source.has_digest(sha256):
        raise UserError(
            f"{path} is damaged or another file than the weights {source.name}: its SHA-256 is {sha256}, expected "
            f"{source.sha256}; delete it and get them with: {how_to_get(source)}."
        )
    return path, sha256


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the named tensors of a file, safetensors or what ``torch.save`` wrote of a state dict.

    Nothing in the file is executed. Raises UserError where it is no such file.
    """
    expected = "expected a .safetensors file or a PyTorch state dict"
    if not path.is_file():
        raise UserError(f"{path} does not exist: {expected} with --pretrained.")
    if path.stat().st_size > MOST_BYTES:
        raise UserError(f"{path} is larger than {MOST_BYTES >> 30} GiB: {expected}.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} cannot be read as weights ({_first_line(error)}): {expected}.") from error
    nested = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not nested or not all(isinstance(each, Tensor) for each in nested.values()):
        raise UserError(f"{path} holds no named tensors: {expected}.")
    return dict(nested)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
