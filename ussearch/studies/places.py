"""Where studies lie when nobody says where."""

from __future__ import annotations

import re
from pathlib import Path

from ussearch.errors import UserError
from ussearch.studies.request import RunRequest

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
