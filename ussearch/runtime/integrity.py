"""A bundle's integrity: one changed, missing or added byte or file and it is refused.

``bundle.yaml`` lists the SHA-256 of every file, ``bundle.sha256`` that of ``bundle.yaml``. This finds damage
and carelessness; it is no signature, since whoever can rewrite the files can rewrite the digests.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from ussearch.errors import UserError
from ussearch.files import inside, sha256_of
from ussearch.runtime.manifest import ServingManifest

MANIFEST = "bundle.yaml"
SEAL = "bundle.sha256"
HINT = "copy or export the bundle again"
AnyManifest = TypeVar("AnyManifest", bound=ServingManifest)


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below ``folder`` by its POSIX path, without the manifest and its
    seal.
    """
    return {name: sha256_of(folder / name) for name in file_names(folder) if name not in {MANIFEST, SEAL}}


def file_names(folder: Path) -> list[str]:
    """Return the POSIX paths of everything below ``folder`` that is not a folder, sorted; links are not
    followed.
    """
    paths = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    return sorted(path.relative_to(folder).as_posix() for path in paths)


def write_manifest(folder: Path, text: str) -> None:
    """Write the ``text`` of a manifest and its digest into ``folder``."""
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    (folder / SEAL).write_text(_seal_text(folder), encoding="utf-8")


def verified_manifest(folder: Path, model: type[AnyManifest]) -> AnyManifest:
    """Return the manifest of the bundle in ``folder``, read as a ``model``, after every byte was checked.

    Raises UserError where ``folder`` is no bundle, or names the file that is changed, missing, added or a
    link.
    """
    if not (folder / MANIFEST).is_file() or not (folder / SEAL).is_file():
        raise UserError(f"{folder} is not a bundle (no {MANIFEST} with {SEAL}): give a folder that export wrote.")
    try:
        if (folder / SEAL).read_bytes() != _seal_text(folder).encode():
            raise UserError(f"{folder / MANIFEST} was changed (it does not fit {SEAL}): {HINT}.")
        manifest = model.from_text((folder / MANIFEST).read_text(encoding="utf-8"), str(folder / MANIFEST))
        _check_files(folder, manifest.files)
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror}): {HINT}.") from error
    return manifest


def _check_files(folder: Path, files: Mapping[str, str]) -> None:
    found = set(file_names(folder)) - {MANIFEST, SEAL}
    for name in sorted(found | set(files)):
        path = inside(folder, name)
        if name not in files:
            raise UserError(f"{folder / name} does not belong to the bundle: remove it, or {HINT}.")
        if name not in found:
            raise UserError(f"{folder / name} is missing from the bundle: {HINT}.")
        if (folder / name).is_symlink() or sha256_of(path) != files[name]:
            raise UserError(f"{folder / name} was changed (its SHA-256 differs from {MANIFEST}): {HINT}.")


def _seal_text(folder: Path) -> str:
    return f"{sha256_of(folder / MANIFEST)}  {MANIFEST}\n"
