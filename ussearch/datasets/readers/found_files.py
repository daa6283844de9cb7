"""Every file below a folder, linked folders included, and what its place among the folders says."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ussearch.datasets.dicom import DICOM_SUFFIXES, is_dicom
from ussearch.datasets.readers.folder_names import Role, folder_name, plain_name
from ussearch.errors import UserError
from ussearch.runtime.frames import RASTER_SUFFIXES

_SYSTEM_FOLDERS = {"__macosx", "@eadir", "__pycache__", "$recycle.bin", "system volume information"}
_SYSTEM_FILES = {"thumbs.db", "desktop.ini", "dicomdir"}
_LOOK = 1 << 16  # bytes at either end of a file
_NAMED_SUFFIXES = 5  # letters of a suffix that names a type; DICOM files without one may end in .1234567


@dataclass(frozen=True)
class FoundFile:
    """A file and what its folders say.

    Attributes:
        path: of the file.
        place: its path below the folder that was searched, POSIX.
        role: images, masks or pictures made of both, by the folders that it lies in; None where these do not tell.
        part: the part of a split that a folder names.
        folders: names of the other folders, the outermost first: classes, patients.
        aside: what the name of the images' or masks' folder says besides, such as benign of ``benign_masks``.
        stem: the file's name without its suffix.
    """

    path: Path
    place: str
    role: Role | None
    part: str | None
    folders: tuple[str, ...]
    aside: str
    stem: str

    @property
    def folder(self) -> str:
        """The folder that it lies in, below the one that was searched; empty for that one itself."""
        return self.place.rpartition("/")[0]

    @cached_property
    def is_raster(self) -> bool:
        """Whether the suffix is that of a raster image."""
        return self.path.suffix.lower() in RASTER_SUFFIXES

    @cached_property
    def is_image(self) -> bool:
        """Whether it can be an image: a raster file, or a DICOM file, told by its mark where no suffix does."""
        suffix = self.path.suffix.lower()
        if suffix in RASTER_SUFFIXES or suffix in DICOM_SUFFIXES:
            return True
        return not _names_a_type(suffix) and is_dicom(self.path)


def files_below(folder: Path) -> list[FoundFile]:
    """Return every visible file below ``folder``, in order of their paths; links to folders are followed.

    Raises UserError where a folder cannot be listed.
    """
    found: list[FoundFile] = []

    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename} cannot be listed ({error.strerror}): give yourself the right to read it.")

    for place, names, files in os.walk(folder, onerror=refuse, followlinks=True):
        names[:] = sorted(name for name in names if _is_visible(name) and not _is_loop(Path(place, name), folder))
        inside = Path(place).relative_to(folder)
        below = "" if inside == Path() else f"{inside.as_posix()}/"
        role, part, folders, aside = meaning_of(inside.parts)
        for name in sorted(files):
            if not name.startswith(".") and name.lower() not in _SYSTEM_FILES:
                path = Path(place, name)
                stem = plain_name(_stem(path))
                found.append(FoundFile(path, below + name, role, part, folders, aside, stem))
    return sorted(found, key=lambda file: file.place.split("/"))


def ends_of(path: Path) -> str:
    """Return the beginning and the end of a file as text; empty where it cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(_LOOK)
            file.seek(max(len(head), path.stat().st_size - _LOOK))
            return (head + b"\n" + file.read()).decode("utf-8", "replace")
    except OSError:
        return ""


def _is_visible(name: str) -> bool:
    return not name.startswith(".") and name.lower() not in _SYSTEM_FOLDERS


def _is_loop(path: Path, top: Path) -> bool:
    """Tell whether a folder below ``top`` links to one that it was reached through, or that holds such a one."""
    if not path.is_symlink():
        return False
    target = path.resolve()
    passed = [top, *(above for above in path.parents if top in above.parents)]
    return any(real == target or target in real.parents for real in (above.resolve() for above in passed))


def _names_a_type(suffix: str) -> bool:
    return 1 < len(suffix) <= _NAMED_SUFFIXES and not suffix[1:].isdigit()


def _stem(path: Path) -> str:
    known = path.suffix.lower() in RASTER_SUFFIXES | DICOM_SUFFIXES or _names_a_type(path.suffix)
    return path.stem if known else path.name


def meaning_of(names: tuple[str, ...]) -> tuple[Role | None, str | None, tuple[str, ...], str]:
    """Return role, part, other folders and what the role's folder says besides, of a path of folders.

    The outermost folder that names a role decides, and a folder inside of it where its name can be nothing else.
    """
    role: Role | None = None
    part: str | None = None
    folders: list[str] = []
    aside = ""
    for name in names:
        says = folder_name(name)
        if says.role is not None and (role is None or says.plain):
            role, part, aside = says.role, part or says.part, says.rest or aside
        elif says.role is None and says.part is not None and part is None:
            part = says.part
        else:
            folders.append(plain_name(name))
    return role, part, tuple(folders), aside
