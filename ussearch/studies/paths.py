"""Where studies lie, also when nobody says where, and whose they are while they are searched."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ussearch.errors import UserError
from ussearch.files import require_writable
from ussearch.run_config import RunConfig
from ussearch.studies.locking import held, is_lock, missing_folders, remove_empty
from ussearch.studies.study import LOCK, SPLIT, Study

STUDIES = Path("studies")


def study_folder(config: RunConfig) -> Path:
    """Return the folder that was asked for, or the next free ``studies/DATA-PROFILE-NNN``.

    ``resume`` without a folder means the latest such study. Raises UserError where there is none to resume.
    """
    if config.output.study is not None:
        return config.output.study
    path = config.data.path
    data = None if path is None else (path.parent if path.is_file() else path).resolve()  # of a manifest its folder
    if data in STUDIES.resolve().parents:
        raise UserError(f"A study in {STUDIES}/ would lie inside the data set: name a folder for it with --study.")
    name = "phantoms" if data is None else data.name
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{name}-{config.profile}")
    numbers = [int(path.name[-3:]) for path in STUDIES.glob(f"{stem}-[0-9][0-9][0-9]")]
    if config.output.resume:
        if not numbers:
            raise UserError(f"There is no study {STUDIES / stem}-NNN to resume: name its folder with --study.")
        return STUDIES / f"{stem}-{max(numbers):03d}"
    return STUDIES / f"{stem}-{max(numbers, default=0) + 1:03d}"


@contextmanager
def claimed(config: RunConfig) -> Iterator[Path]:
    """Be the only driver of the folder of a run's study for the block; a new folder that stays empty is removed.

    Runs that start at once without a name for their study get two folders. Raises UserError where the folder holds a
    study that the run does not continue, cannot be written, or has another driver that is alive.
    """
    folder = study_folder(config)
    require_usable(folder, config.output.resume)
    missing = missing_folders(folder)
    while config.output.study is None and not config.output.resume and not _made(folder):
        folder = study_folder(config)
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
    foreign = _foreign_in(folder)
    if foreign is not None:
        raise UserError(
            f"{folder} holds {foreign.name}, which is of no study: a new study needs a new or an empty folder, choose "
            "another one with --study."
        )
    require_writable(folder, f"No study can be kept in {folder}", "choose another --study folder")


def _foreign_in(folder: Path) -> Path | None:
    """Return a file or folder that is not what a driver leaves that died before its study began; None without one.

    Hidden ones do not count: a study has no such files, but systems put theirs everywhere.
    """
    if not folder.is_dir() or not os.access(folder, os.R_OK):  # told by others
        return None
    begun = {LOCK, SPLIT} if is_lock(folder / LOCK) else set()
    visible = (each for each in sorted(folder.iterdir()) if not each.name.startswith("."))
    return next((each for each in visible if each.name not in begun), None)


def asked_before(study: Path | str | None, resume: bool) -> dict[str, Any] | None:
    """Return what a study that is resumed was asked for, as ``study.yaml`` has it; None where there is no such study.

    Where its database lies is asked for anew: the file holds no password.
    """
    if study is None or not resume or not Study.exists(Path(study)):
        return None
    config = Study.open(Path(study)).config
    content = config.run.given()
    phantoms = {} if config.data.phantoms is None else {"phantoms": config.data.phantoms["count"]}
    return {
        **content,
        "data": {**content["data"], **phantoms},
        "execution": {**content["execution"], "storage": None},
    }


def as_continued(config: RunConfig, folder: Path) -> RunConfig:
    """Return the configuration with data and workers of the study that it continues, where it names none.

    Raises UserError where it asks for another full training or latency limit than the study's: what is finished would
    not be made again.
    """
    if not config.output.resume or not Study.exists(folder):
        return config
    before = Study.open(folder).config
    for name, title in (("final_epochs", "epochs of the full training"), ("final_restarts", "full trainings")):
        asked, known = getattr(config.training, name), getattr(before, name)
        if asked is not None and asked != known:
            raise UserError(
                f"The study in {folder} was made with another number of {title} ({known}, not {asked}): resume with "
                "the same, or name another study folder."
            )
    if config.max_latency_ms is not None and config.max_latency_ms != before.run.max_latency_ms:
        known_ms = before.edge.limits.latency_target_ms
        raise UserError(
            f"The study in {folder} was made with another latency limit ({known_ms:.1f} ms, not "
            f"{config.max_latency_ms:.1f}): resume with the same, or name another study folder."
        )
    changes: dict[str, Any] = {}
    if config.execution.workers is None:
        changes["execution"] = {"workers": before.workers}
    if config.data.path is None and before.data.phantoms is None:
        changes["data"] = {"path": Path(before.data.root), "reader": config.data.reader or before.data.reader}
    return config.changed(**changes)
