"""Where studies lie when nobody says where."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from ussearch.errors import UserError
from ussearch.studies.request import RunRequest
from ussearch.studies.study import Study

STUDIES = Path("studies")


def study_folder(request: RunRequest) -> Path:
    """Return the folder that was asked for, or the next free ``studies/DATA-PROFILE-NNN``.

    ``resume`` without a folder means the latest such study. Raises UserError where there is none to resume.
    """
    if request.study is not None:
        return request.study
    name = "phantoms" if request.data is None else request.data.resolve().name
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{name}-{request.profile}")
    numbers = [int(path.name[-3:]) for path in STUDIES.glob(f"{stem}-[0-9][0-9][0-9]")]
    if request.resume:
        if not numbers:
            raise UserError(f"There is no study {STUDIES / stem}-NNN to resume: name its folder with --study.")
        return STUDIES / f"{stem}-{max(numbers):03d}"
    return STUDIES / f"{stem}-{max(numbers, default=0) + 1:03d}"


def require_usable(folder: Path, resume: bool) -> None:
    """Raise UserError where a study cannot be kept in ``folder``, before any work is done for it."""
    if not resume:
        Study.refuse_existing(folder)
    elif Study.exists(folder):
        Study.open(folder).require_free()
        return
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise UserError(f"No study can be kept in {folder}: {place} cannot be written; choose another --study folder.")


def as_continued(request: RunRequest, folder: Path) -> RunRequest:
    """Return the request with data and workers of the study that it continues, where it names none."""
    if not request.resume or not Study.exists(folder):
        return request
    config = Study.open(folder).config
    known: dict[str, Any] = {}
    if request.workers is None:
        known["workers"] = config.workers
    if request.data is None and config.data.phantoms is None:
        known |= {"data": Path(config.data.root), "reader": request.reader or config.data.reader}
    return request.model_copy(update=known)
