"""The search: draft, evaluate, keep, tell; killed at any point, it continues where it was."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timezone
from statistics import median

from ussearch import events
from ussearch.errors import UserError
from ussearch.evaluators import Evaluation, Evaluator, TrainingTask
from ussearch.events import OnEvent
from ussearch.search_spaces import Architecture
from ussearch.studies.database import storage_errors
from ussearch.studies.executors import EpochDone, Executor, Message, TaskOutcome, after, keep_traceback, loss_of
from ussearch.studies.front import front
from ussearch.studies.records import TrialRecord
from ussearch.studies.resources import SearchResources
from ussearch.studies.slots import Slots
from ussearch.studies.storage import StudyStorage
from ussearch.studies.study import Study
from ussearch.studies.suggest import AnySpace, Suggestion

LOG = logging.getLogger(__name__)


class SearchInterrupted(Exception):
    """The user stopped the search; the message says how to continue it. The command line exits with 130."""


def search(
    study: Study,
    evaluator: Evaluator,
    space: AnySpace,
    seeds: Sequence[Architecture] = (),
    on_event: OnEvent = events.ignore,
    *,
    resources: SearchResources | None = None,
) -> tuple[TrialRecord, ...]:
    """Evaluate candidates until the study has ``config.trials`` of them, and return all finished trials.

    ``seeds`` are presets (built for the study's task, with their names), evaluated first in the given order; the
    rest is sampled from ``space``, each end getting its share. In a space of bases and edits a candidate starts from
    its nearest trained relative and is trained for a part of the course, and trials on or near the front go on
    (``rounds``). Candidates that fit neither end are never
    trained, architectures that are there already neither. A trial whose worker is lost is tried once more, then kept
    as failed. With one thread a worker the same configuration gives the same architectures and the same Dice, whether
    or not the search was killed in between, and by whatever ``resources`` it is carried out. Whoever calls this is the
    study's only driver (``Study.driven``, ``paths.claimed``).

    Raises:
        SearchInterrupted: on Ctrl-C, after the running trials were given up.
        UserError: the study was begun with other seeds, or its database cannot be used.
    """
    if tuple(seed.name for seed in seeds) != study.config.initial_names:
        raise UserError(
            f"The study in {study.folder} was planned with the initial architectures "
            f"{list(study.config.initial_names)}, not {[seed.name for seed in seeds]}: resume with the same."
        )
    resources = resources or SearchResources()
    with storage_errors(study.folder, resources.storage), closing(resources.executor(evaluator)) as executor:
        return _Search(Slots(study, evaluator, space, seeds, on_event), resources, executor).run()


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


@dataclass
class _Pending:
    """A candidate that is with the workers; ``number`` is that of its Optuna trial.

    ``lost`` is how its first try ended, where it did not count.
    """

    candidate: Suggestion
    task: TrainingTask
    number: int
    submitted: float
    started: str = field(default_factory=_now)
    lost: TaskOutcome | None = None


class _Search:
    """One driver at work."""

    def __init__(self, slots: Slots, resources: SearchResources, executor: Executor) -> None:
        study = slots.study
        self._slots, self._study, self._tell = slots, study, slots.tell
        self._resources, self._executor = resources, executor
        self._timings = resources.timings
        self._timings.workers = executor.workers
        self._total = study.config.trials
        self._records = {record.trial_id: record for record in study.trials()}
        self._storage = StudyStorage.of(study.folder, slots.space.choices, resources.storage)
        self._pending: dict[int, _Pending] = {}
        self._next = 0
        self._shortfall: str | None = None

    def run(self) -> tuple[TrialRecord, ...]:
        """Fill every empty slot, in order of slots as far as the workers go."""
        self._note_staff()
        with self._timings.driver("opening"):
            self._storage.reconcile(self._ordered())
            for trial_id in self._records:  # a kill just after a record was written leaves the checkpoint behind
                self._study.checkpoint(trial_id).unlink(missing_ok=True)
        self._tell(events.SearchStarted(len(self._records), self._total, self._resources.expected))
        LOG.info("search of %d trials begins; %d are finished", self._total, len(self._records))
        try:
            if not self._study.baselines:
                self._study.keep_baselines(self._slots.evaluator.baselines())
            self._fill()
        except KeyboardInterrupt as error:
            self._executor.close()
            raise SearchInterrupted(self._give_up()) from error
        finally:
            for pending in self._pending.values():
                self._storage.abandon(pending.number)
            self._storage.close()
        self._note_staff()
        LOG.info("search ends with %d trials; %s", len(self._records), self._shortfall or "complete")
        self._tell(events.SearchFinished(len(self._records), self._total, self._shortfall, self._front()))
        return self._ordered()

    def _fill(self) -> None:
        with self._timings.driver("opening"):
            bases = self._slots.bases
            LOG.info("%d bases", len(bases))
        while True:
            self._hand_out()
            if not self._pending:
                return
            with self._timings.driver("waiting"):
                outcome = self._executor.collect(self._pass_on)
            with self._timings.driver("keeping"):
                self._take_back(outcome)

    def _hand_out(self) -> None:
        """Give the workers every candidate that may be drafted by now."""
        slots = self._slots
        while self._more and slots.may_be_drafted(self._next, self._records.keys(), len(self._pending)):
            if self._next not in self._records and not self._resources.may_begin(self._next, self._child_seconds()):
                LOG.info("the time of the search is used up before trial %d", self._next)
                self._total = self._next
                self._study.end_at(self._total)
                return
            if self._next not in self._records:
                with self._timings.driver("drafting"):
                    pending = [each.candidate for each in self._pending.values()]
                    candidate = slots.candidate(self._next, self._records, pending)
                if candidate is None:
                    self._shortfall = slots.shortfall
                    return
                with self._timings.driver("handing out"):
                    self._submit(candidate, slots.task(candidate, self._resources.limit_s(candidate.architecture)))
            self._next += 1

    def _child_seconds(self) -> float:
        """Return how long a child usually takes here; 0 before one is finished."""
        seconds = [r.evaluation.training_seconds for r in self._ordered() if r.evaluation.inherited is not None]
        return median(seconds) if seconds else 0.0

    @property
    def _more(self) -> bool:
        return self._shortfall is None and self._next < self._total

    def _submit(self, candidate: Suggestion, task: TrainingTask) -> None:
        number = self._storage.begin(candidate)
        self._pending[candidate.trial_id] = _Pending(candidate, task, number, self._timings.clock())
        self._executor.submit(task)
        self._note_staff()

    def _pass_on(self, message: Message) -> None:
        """Tell what a worker says."""
        pending = self._pending[message.trial_id]
        if isinstance(message, EpochDone):
            epochs = (pending.task.recipe or self._study.config.recipe).epochs
            self._tell(events.TrainingEpoch(pending.task.title, message.record, epochs, message.trial_id))
        else:
            pending.started = _now()
            self._timings.begun(pending.submitted)
            candidate = pending.candidate
            self._tell(events.TrialStarted(candidate.trial_id, candidate.role, candidate.architecture, candidate.costs))

    def _take_back(self, outcome: TaskOutcome) -> None:
        """Keep what a worker found; what was lost is tried once more."""
        pending = self._pending[outcome.trial_id]
        self._timings.evaluation_s += outcome.seconds
        reason = loss_of(outcome)
        outcome = after(pending.lost, outcome)
        keep_traceback(self._study.trial_folder(outcome.trial_id), outcome)
        if reason is not None and pending.lost is None:
            pending.lost = outcome
            LOG.warning("trial %d is tried again: %s", outcome.trial_id, reason)
            self._tell(events.TrialRepeated(outcome.trial_id, reason))
            self._executor.submit(pending.task)
            return
        self._keep(pending, outcome.evaluation or self._failed(pending, outcome.reason))

    def _failed(self, pending: _Pending, reason: str) -> Evaluation:
        """Return the evaluation of a candidate whose worker was lost twice."""
        return Evaluation(
            architecture_id=pending.candidate.architecture.id,
            seed=pending.task.seed,
            fidelity=self._slots.evaluator.fidelity,
            epochs=self._study.config.recipe.epochs,
            image_size=self._study.config.image_size,
            accelerator="unknown",
            costs=pending.candidate.costs,
            failure=f"given up after a second try: {reason}",
        )

    def _keep(self, pending: _Pending, evaluation: Evaluation) -> None:
        candidate = pending.candidate
        trial_id, architecture = candidate.trial_id, candidate.architecture
        if candidate.starts_from is not None:
            pretrained = candidate.starts_from.evaluation.pretrained
            evaluation = evaluation.model_copy(update={"pretrained": pretrained})
        record = TrialRecord(
            trial_id=trial_id,
            role=candidate.role,
            name=architecture.name,
            architecture_id=architecture.id,
            choices=candidate.choices,
            continues=candidate.continues,
            sampler_attributes=candidate.sampler_attributes,
            started=pending.started,
            finished=_now(),
            weights_bytes=sum(value.nbytes for value in (evaluation.weights or {}).values()),
            evaluation=evaluation,
        )
        self._study.keep(record, architecture)
        self._storage.finish(pending.number, record)
        self._study.checkpoint(trial_id).unlink(missing_ok=True)
        del self._pending[trial_id]
        self._records[trial_id] = record.model_copy(
            update={"evaluation": evaluation.model_copy(update={"weights": None})}
        )
        self._drop_weights()
        self._note_staff()
        LOG.log(logging.WARNING if record.failed else logging.INFO, "%s", _line(record))
        self._tell(events.TrialFinished(self._records[trial_id], self._front()))

    def _drop_weights(self) -> None:
        """Delete weights from which nothing starts any more, also where the search is killed now and resumed."""
        unfinished = next(slot for slot in range(self._total + 1) if slot not in self._records)
        for trial_id in self._slots.spent(unfinished, self._records):
            self._study.drop_weights(trial_id)

    def _note_staff(self) -> None:
        self._timings.staffed(len(self._pending), ending=not self._more)

    def _front(self) -> tuple[TrialRecord, ...]:
        """Return the front on the device of all finished trials."""
        return front(self._ordered(), "edge", baselines=self._study.baselines)

    def _give_up(self) -> str:
        """Return what to tell a user who stopped the search."""
        expected = self._resources.expected
        of = self._total if expected is None else f"about {expected}"
        message = (
            f"Stopped after {len(self._records)} of {of} trials, all of them kept: the same command with "
            f"--resume continues the study in {self._study.folder}."
        )
        LOG.info("stopped after %d of %d trials", len(self._records), self._total)
        return message

    def _ordered(self) -> tuple[TrialRecord, ...]:
        return tuple(self._records[trial_id] for trial_id in sorted(self._records))


def _line(record: TrialRecord) -> str:
    outcome = f"failed: {record.evaluation.failure}" if record.failed else f"objective {record.objective:.4f}"
    return f"trial {record.trial_id} ({record.role}, {record.label}) {outcome}"
