"""Files of weights on this machine: where they lie, and whether they are what they should be."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from ussearch.errors import UserError
from ussearch.files import sha256_of, write_atomically
from ussearch.weights.catalogue import WeightsSource, known_weights

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
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "torch"
    yield Path(os.environ.get("TORCH_HOME", cache)).expanduser() / "hub" / "checkpoints" / source.file


def located(source: WeightsSource) -> Path | None:
    """Return the file of ``source`` on this machine; None where there is none. Its content is not looked at."""
    return next((path for path in places_of(source) if path.is_file()), None)


def require_file(source: WeightsSource) -> tuple[Path, str]:
    """Return the file of ``source`` and its SHA-256; raises UserError where it is missing or another file."""
    path = located(source)
    if path is None:
        raise UserError(
            f"The weights {source.name} are not on this machine: expected {source.file} (SHA-256 {source.sha256}) in "
            f"{weights_folder()}; get them with: ussearch weights get {source.name}."
        )
    sha256 = sha256_of(path)
    if not source.has_digest(sha256):
        raise UserError(
            f"{path} is damaged or another file than the weights {source.name} (SHA-256 {sha256}, expected "
            f"{source.sha256}): remove it and get them with: ussearch weights get {source.name}."
        )
    return path, sha256


def require_digest(name: str, file: Path, sha256: str) -> Path:
    """Return where the very file lies that a study started from: ``file``, or another place of the catalogue's.

    Raises UserError where it is gone or has changed.
    """
    sources = [source for source in known_weights() if source.name == name]
    for path in (file, *(place for source in sources for place in places_of(source))):
        if path.is_file() and sha256_of(path) == sha256:
            return path
    remedy = f"get them with: ussearch weights get {name}" if sources else "bring the file back"
    state = "has changed" if file.is_file() else "is not there"
    raise UserError(
        f"Training starts from the weights {name} (SHA-256 {sha256}), and {file} {state}: {remedy}, or start another "
        "study with --pretrained off."
    )


def add(file: Path) -> tuple[WeightsSource, Path]:
    """Copy a file that the catalogue knows by its SHA-256 into the user's folder, and return its entry and its place.

    Raises UserError where it is none of them, and where it cannot be written.
    """
    if not file.is_file():
        state = "is a folder" if file.is_dir() else "does not exist"
        raise UserError(f"{file} {state}: expected a file of weights that was downloaded elsewhere.")
    if file.stat().st_size > MOST_BYTES:
        raise UserError(f"{file} is larger than {MOST_BYTES >> 30} GiB: expected a file of weights.")
    sha256 = sha256_of(file)
    source = next((source for source in known_weights() if source.has_digest(sha256)), None)
    if source is None:
        named = next((source for source in known_weights() if source.file == file.name), None)
        if named is not None:
            raise UserError(
                f"{file} is damaged or another file (SHA-256 {sha256}, that of {named.name} is {named.sha256}): fetch "
                f"it again, such as with: ussearch weights get {named.name}."
            )
        raise UserError(
            f"{file} is none of the known weights (SHA-256 {sha256}; see: ussearch weights list): weights of your own "
            "network are not kept here but given to each run, with --pretrained FILE."
        )
    place = weights_folder() / source.file
    if not (place.is_file() and sha256_of(place) == sha256):
        write_atomically(place, file.read_bytes())
    return source, place
