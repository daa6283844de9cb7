"""A whole search as one row: the real one, on a study in a folder; a killed one goes on where it was."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from searched.bench import EDGE, IMAGE_SIZE, Bench
from ussearch.events import Event, TrialFinished, TrialStarted
from ussearch.files import write_atomically
from ussearch.run_config import RunConfig
from ussearch.studies import DataSource, Study, StudyConfig, TrialRecord, search
from ussearch.studies.resources import SearchResources
from ussearch.studies.samplers import architecture_pricing
from ussearch.studies.slots import Slots

SAMPLERS = ("surrogate", "tpe", "gp", "nsgaii", "random")
FROM_CHANCE = "-from-chance"
"""Ends the name of a sampler whose candidates inherit nothing."""
MOST_TRIALS = 200
NOTE = "noted.json"


def name_of(sampler: str, seed: int) -> str:
    """Return the name of a row."""
    return f"search-{sampler}-{seed}"


def made(bench: Bench, sampler: str, seed: int, seconds: float) -> dict[str, Any]:
    """Return a row, which is made where it is not there yet: a search of so many processor-seconds."""
    name = name_of(sampler, seed)
    if (found := bench.known(name)) is not None:
        return found
    study = _study(bench, sampler, seed)
    with Study.driven(study.folder) as driven:
        clock = _Clock(bench, driven)
        resources = SearchResources(may_begin=lambda trial_id, _: clock.spent + clock.running < seconds)
        with _from_chance() if sampler.endswith(FROM_CHANCE) else _as_it_is():
            search(driven, bench.evaluator(), bench.searched, bench.bases.seeds, clock, resources=resources)
        trials = [clock.note(record) for record in driven.trials()]
    row = bench.keep(name, {"name": name, "sampler": sampler, "seed": seed, "limit": seconds, "trials": trials})
    shutil.rmtree(study.folder)
    return row


@contextmanager
def _from_chance() -> Iterator[None]:
    """Let a search train every candidate from chance for a whole course, as it would without bases."""
    with patch.object(Slots, "rounds", None), patch.object(architecture_pricing, "CHILD_SHARE", 1.0):
        yield


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


def _study(bench: Bench, sampler: str, seed: int) -> Study:
    """Return the study of a row, begun or new."""
    folder = bench.scratch / name_of(sampler, seed)
    if Study.exists(folder):
        return Study.open(folder)
    seeds = bench.bases.seeds
    run = RunConfig.model_validate(
        {
            "profile": EDGE,
            "cloud_profile": EDGE,
            "seed": seed,
            "search": {"trials": MOST_TRIALS, "sampler": {"name": sampler.removesuffix(FROM_CHANCE)}},
            "space": {"image_size": IMAGE_SIZE, "edge_share": 1.0, "warm_start": [each.name for each in seeds]},
            "execution": {"workers": 1},
        }
    )
    config = StudyConfig(
        run=run,
        edge=bench.profile,
        cloud=bench.profile,
        recipe=bench.recipe,
        data=DataSource.of(bench.images),
        space=dict(bench.searched.choices),
    )
    return Study.create(folder, config, bench.split)


@dataclass
class _Clock:
    """Counts the processor-seconds of a search, and judges its trials in between, off the clock.

    What stood finished before a kill was noted then; what a kill undid is not counted.
    """

    bench: Bench
    study: Study
    spent: float = 0.0
    mark: float = field(default_factory=time.process_time)
    begun: float = 0.0

    def __post_init__(self) -> None:
        self.spent = sum(self.note(record)["seconds"] for record in self.study.trials())
        self.mark = time.process_time()

    @property
    def running(self) -> float:
        """The seconds since the last trial was finished."""
        return time.process_time() - self.mark

    def __call__(self, event: Event) -> None:
        """Note a trial that is finished."""
        if isinstance(event, TrialStarted):
            self.begun = time.process_time()
        elif isinstance(event, TrialFinished):
            seconds = self.running
            self.note(event.record, seconds, time.process_time() - self.begun)
            self.spent += seconds
            print(f"{self.study.folder.name}: {self.spent:.0f} s, {_told(event.record)}", flush=True)
            self.mark = time.process_time()

    def note(self, record: TrialRecord, seconds: float | None = None, training: float = 0.0) -> dict[str, Any]:
        """Return what is kept of a trial; one that a kill left without a note is charged with its training."""
        path = self.study.trial_folder(record.trial_id) / NOTE
        if path.exists():
            known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return known
        evaluation = record.evaluation
        note = {
            "trial": record.trial_id,
            "architecture": record.architecture_id,
            "told": record.name,
            "continues": record.continues,
            "relative": evaluation.inherited and evaluation.inherited.relative,
            "share": evaluation.inherited and round(evaluation.inherited.share, 3),
            "epochs": evaluation.epochs,
            "validated": evaluation.objective,
            "judged": None if record.failed else self.bench.judged(self.study.network(record.trial_id)),
            "latency_ms": record.costs().latency_ms,
            "macs": record.costs().macs,
            "training_seconds": round(evaluation.training_seconds if seconds is None else training, 2),
            "seconds": round(evaluation.training_seconds if seconds is None else seconds, 2),
            "failure": evaluation.failure,
        }
        write_atomically(path, json.dumps(note) + "\n")
        return note


def _told(record: TrialRecord) -> str:
    outcome = record.evaluation.failure or f"{record.objective:.4f} at {record.costs().latency_ms:.1f} ms"
    return f"trial {record.trial_id}: {record.label}, {outcome}"
