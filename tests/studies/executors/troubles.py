"""Evaluators that get their workers into trouble; workers import this module."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from tests.studies.conftest import FormulaEvaluator, epoch_record
from ussearch.accelerators import SpoiltProcess
from ussearch.errors import UserError
from ussearch.evaluators import Evaluation, OnEpoch, TrainingTask


class TroubledEvaluator(FormulaEvaluator):
    """Gives the formula's figures; what goes wrong with a seed, and how often at most, is in ``troubles``.

    Each attempt is noted in ``folder`` as SEED.NUMBER, holding the id of the process that made it.
    """

    def __init__(self, folder: Path, troubles: Mapping[int, tuple[str, int]] | None = None) -> None:
        super().__init__()
        self.folder, self.troubles = folder, dict(troubles or {})

    def attempts(self, seed: int) -> int:
        return len(list(self.folder.glob(f"{seed}.*")))

    def evaluate(self, task: TrainingTask, on_epoch: OnEpoch | None = None) -> Evaluation:
        seed = task.seed
        kind, times = self.troubles.get(seed, ("", 0))
        attempt = self.attempts(seed) + 1
        (self.folder / f"{seed}.{attempt}").write_text(str(os.getpid()))
        time.sleep(int.from_bytes(os.urandom(1), "big") / 2000)  # who is first must not matter
        if on_epoch:
            on_epoch(epoch_record())
        if attempt <= times:
            if kind == "out of memory on the GPU":
                evaluation = super().evaluate(task)
                return evaluation.model_copy(update={"failure": "OutOfMemoryError: CUDA out of memory.", "metrics": {}})
            self._fail(kind)
        return super().evaluate(task)

    def _fail(self, kind: str) -> None:
        match kind:
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "crash":
                os.abort()
            case "talking crash":
                os.write(2, b"".join(b"line %d of what it said\n" % number for number in range(2000)))
                os.abort()
            case "hang":
                time.sleep(600)
            case "memory":
                raise MemoryError("no room for 7 TiB")
            case "bug":
                raise TypeError("this is\na defect")
            case "spoilt":
                raise SpoiltProcess("CUDA error: device-side assert triggered")
            case "mend":
                raise UserError("Give another folder.")


class Unsendable(FormulaEvaluator):
    """Cannot be unpacked by a worker."""

    def __reduce__(self) -> tuple[object, ...]:
        return _refuse_to_unpack, ()


def _refuse_to_unpack() -> None:
    raise ImportError("no such driver on this machine")
