"""Where studies lie, also when nobody says where, and whose they are while they are searched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ussearch.errors import UserError
from ussearch.files import require_writable
from ussearch.studies.locking import held, missing_folders, remove_empty
from ussearch.studies.request import RunRequest
from ussearch.studies.study import LOCK, Study

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


@contextmanager
def claimed(request: RunRequest) -> Iterator[Path]:
    """Be the only driver of the folder of a run's study for the block; a new folder that stays empty is removed.

    Runs that start at once without a name for their study get two folders. Raises UserError where the folder holds a
    study that the run does not continue, cannot be written, or has another driver that is alive.
    """
    folder = study_folder(request)
    require_usable(folder, request.resume)
    missing = missing_folders(folder)
    while request.study is None and not request.resume and not _made(folder):
        folder = study_folder(request)
        missing = [folder]
    try:
        with held(folder / LOCK):
            yield folder
    finally:
        remove_empty(missing)


def _made(folder: Path) -> bool:
    """Make a new folder; False where another run was faster."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    return True


def require_usable(folder: Path, resume: bool) -> None:
    """Raise UserError where a study cannot be kept in ``folder``, before any work is done for it."""
    if not resume:
        Study.refuse_existing(folder)
    elif Study.exists(folder):
        return
    require_writable(folder, f"No study can be kept in {folder}", "choose another --study folder")


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
