"""A search with real training on tiny data, run as a process of its own that tests kill.

``python -m tests.studies.driver FOLDER TRIALS [CRASH [WORKERS]]``: creates or resumes the study. CRASH is
``POINT:SLOT``: the process kills itself (SIGKILL) before the weights, the record or the result of that slot is written,
or after it. With WORKERS trials run in that many processes.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from tests.configurations import study_config
from tests.evaluators.conftest import disc_images, disc_split
from ussearch.errors import UserError
from ussearch.evaluators import Recipe, TrainEvaluator
from ussearch.events import Event, TrainingEpoch
from ussearch.hardware_profiles import load_profile
from ussearch.search_spaces import FreeSpace
from ussearch.studies import DataSource, SearchInterrupted, Study, search
from ussearch.studies import study as study_module
from ussearch.studies.executors import ProcessExecutor
from ussearch.studies.locking import held
from ussearch.studies.resources import SearchResources
from ussearch.studies.storage import StudyStorage
from ussearch.studies.study import LOCK

torch.set_num_threads(1)


def arrange_crash(point: str, trial_id: int) -> None:
    """Make the process kill itself at a point of writing a trial."""

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    write, finish = study_module.write_atomically, StudyStorage.finish

    def dying_write(path: Path, content: str | bytes) -> None:
        if path.name == point and path.parent.name == f"{trial_id:04d}":
            die()
        write(path, content)

    def dying_finish(self: StudyStorage, number: int, record: Any) -> None:
        if record.trial_id == trial_id and point == "tell":
            die()
        finish(self, number, record)
        if record.trial_id == trial_id and point == "told":
            die()

    study_module.write_atomically = dying_write  # type: ignore[attr-defined]
    StudyStorage.finish = dying_finish  # type: ignore[method-assign]


def drive(folder: Path, trials: int, crash: str = "", workers: str = "1") -> int:
    """Create or resume the study and search it; return the exit status that the command line would give."""
    if crash:
        point, _, trial_id = crash.partition(":")
        arrange_crash(point, int(trial_id))
    images, space = disc_images(), FreeSpace.standard(32)
    profiles = {"edge": load_profile("jetson-nano"), "cloud": load_profile("x86-server")}
    recipe = Recipe(epochs=1, batch_size=8)
    config = study_config(
        trials=trials,
        image_size=32,
        **profiles,
        recipe=recipe,
        data=DataSource.of(images),
        space=dict(space.choices),
        seed=3,
        workers=int(workers),
    )
    split = disc_split(images)

    def on_event(event: Event) -> None:
        if isinstance(event, TrainingEpoch):
            print(f"epoch of trial {event.trial_id}", flush=True)  # noqa: T201

    try:
        with held(folder / LOCK):
            resumed = (folder / "study.yaml").exists()
            study = Study.resume(folder, config) if resumed else Study.create(folder, config, split, images)
            evaluator = TrainEvaluator(images, split, recipe, profiles)  # type: ignore[arg-type]
            resources = None if workers == "1" else SearchResources(lambda each: ProcessExecutor(each, int(workers)))
            search(study, evaluator, space, on_event=on_event, resources=resources)
    except UserError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    except SearchInterrupted as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(drive(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))
