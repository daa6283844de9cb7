"""The search: draft, evaluate, keep, tell; killed at any point, it continues where it was."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

from ussearch import events
from ussearch.errors import UserError
from ussearch.evaluators import CostsByTier, Evaluation, Evaluator, Tier, TrainingTask
from ussearch.evaluators.inheritance import Relative
from ussearch.events import OnEvent
from ussearch.search_spaces import Architecture, SearchSpace
from ussearch.studies.brackets import Brackets, reached_by
from ussearch.studies.executors import EpochDone, Executor, Message, TaskOutcome, after, keep_traceback, loss_of
from ussearch.studies.front import front
from ussearch.studies.records import TrialRecord
from ussearch.studies.resources import SearchResources
from ussearch.studies.rounds import Rounds, goes_on_from, relative_of
from ussearch.studies.storage import StudyStorage, storage_errors
from ussearch.studies.study import Study
from ussearch.studies.suggest import MAX_SUGGESTIONS, AnySpace, SearchPhase, Suggestion, derived_seed, suggest, tier_of

LOG = logging.getLogger(__name__)
LAG_PER_WORKER = 4
"""For every worker after the first, a candidate is drafted without the records of this many slots just before its own.

Which records a draft sees must not depend on which trial happens to finish first, or no study could be repeated. With
a lag of 2 a slot that takes twice as long as others leaves workers without work: simulated with log-normal times
(σ = 0.7, as presets and samples have), 2 to 16 workers are busy for 94 to 73 % of the time, with 4 for 99 to 95 %.
"""


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
    phase: SearchPhase | None = None,
) -> tuple[TrialRecord, ...]:
    """Evaluate candidates until the study has ``config.trials`` of them, and return all finished trials.

    A search in several parts says with ``phase`` which of them this is.

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
    phase = phase or SearchPhase.whole(study.config)
    with storage_errors(study.folder, resources.storage), closing(resources.executor(evaluator)) as executor:
        return _Search(
            study, evaluator, space, seeds=seeds, on_event=on_event, resources=resources, executor=executor, phase=phase
        ).run()


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


@dataclass
class _Pending:
    """A candidate that is with the workers; ``number`` is that of its Optuna trial.

    ``lost`` is how its first try ended, where it did not count. ``reached`` is what it was worth when it stopped at a
    rung, where it waits for the others of its bracket.
    """

    candidate: Suggestion
    task: TrainingTask
    number: int
    submitted: float
    started: str = field(default_factory=_now)
    lost: TaskOutcome | None = None
    reached: Evaluation | None = None
    waiting: bool = False


class _Search:
    """One driver at work."""

    def __init__(
        self,
        study: Study,
        evaluator: Evaluator,
        space: AnySpace,
        *,
        seeds: Sequence[Architecture],
        on_event: OnEvent,
        resources: SearchResources,
        executor: Executor,
        phase: SearchPhase,
    ) -> None:
        self._phase = phase
        self._study, self._evaluator, self._space, self._seeds = study, evaluator, space, seeds
        self._tell, self._resources, self._executor = on_event, resources, executor
        self._timings = resources.timings
        self._timings.workers = executor.workers
        self._total = phase.until
        self._lag = LAG_PER_WORKER * (study.config.workers - 1)
        self._brackets = Brackets.of(study.config)
        self._records = {record.trial_id: record for record in study.trials()}
        self._storage = StudyStorage.of(study.folder, space.choices, resources.storage)
        self._rounds: Rounds | None = None
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
        self._tell(events.SearchStarted(len(self._records), self._total))
        LOG.info("search of %d trials begins; %d are finished", self._total, len(self._records))
        try:
            if not self._study.baselines:
                self._study.keep_baselines(self._evaluator.baselines())
            self._fill()
        except KeyboardInterrupt as error:
            self._executor.close()
            raise SearchInterrupted(self._give_up()) from error
        finally:
            for pending in self._pending.values():
                self._storage.abandon(pending.number)
        self._note_staff()
        LOG.info("search ends with %d trials; %s", len(self._records), self._shortfall or "complete")
        self._tell(events.SearchFinished(len(self._records), self._total, self._shortfall, self._front()))
        return self._ordered()

    def _fill(self) -> None:
        with self._timings.driver("opening"):
            seeds = self._usable_seeds()
            if isinstance(self._space, SearchSpace) and self._brackets is None:
                self._rounds = Rounds(len(seeds), self._study.config.recipe.epochs)
        while True:
            self._hand_out(seeds)
            if not self._pending:
                return
            with self._timings.driver("waiting"):
                outcome = self._executor.collect(self._pass_on)
            with self._timings.driver("keeping"):
                self._take_back(outcome)

    def _hand_out(self, seeds: Sequence[Suggestion]) -> None:
        """Give the workers every candidate that may be drafted by now."""
        while self._more and self._may_be_drafted(self._next, len(seeds)):
            trial_id = self._next
            if trial_id not in self._records:
                with self._timings.driver("drafting"):
                    candidate = self._candidate(trial_id, seeds)
                if candidate is None:
                    return
                with self._timings.driver("handing out"):
                    self._submit(candidate)
            self._next += 1

    def _candidate(self, trial_id: int, seeds: Sequence[Suggestion]) -> Suggestion | None:
        given = seeds[trial_id] if trial_id < len(seeds) else self._phase.given.get(trial_id)
        if given is not None:
            return given
        tier = tier_of(trial_id - len(seeds), self._phase.config.edge_share)
        going_on = self._going_on(trial_id, tier) if self._rounds and self._rounds.goes_on(trial_id) else None
        return going_on or self._sampled(trial_id, tier)

    def _going_on(self, trial_id: int, tier: Tier) -> Suggestion | None:
        """Return the trial that goes on in a slot; None where none is to."""
        begun = [each.candidate.continues for each in self._pending.values()]
        taken = {each for each in begun if each is not None}
        taken |= {r.continues for r in self._ordered() if r.trial_id < trial_id and r.continues is not None}
        found = goes_on_from(self._seen_by(trial_id), tier, taken)
        if found is None:
            return None
        architecture, costs = self._study.architecture(found.trial_id), found.evaluation.costs
        return Suggestion(trial_id, found.role, architecture, costs, found.choices, starts_from=found)

    def _seen_by(self, trial_id: int) -> list[TrialRecord]:
        """Return the records that a draft for ``trial_id`` may learn from."""
        return [record for record in self._ordered() if record.trial_id < self._learnt_from(trial_id)]

    @property
    def _more(self) -> bool:
        return self._shortfall is None and self._next < self._total

    def _may_be_drafted(self, trial_id: int, seeds: int) -> bool:
        """Return whether all that a draft for ``trial_id`` looks at is known; presets only wait in line."""
        if trial_id < seeds and self._brackets is None:
            return len(self._pending) <= self._lag
        return all(earlier in self._records for earlier in range(self._learnt_from(trial_id)))

    def _learnt_from(self, trial_id: int) -> int:
        """Return how many slots, from the first on, a draft for ``trial_id`` may learn from."""
        return trial_id - self._lag if self._brackets is None else self._brackets.start(trial_id)

    def _usable_seeds(self) -> list[Suggestion]:
        """Return the presets that are trained, each in its slot; tell why others are not."""
        candidates: list[Suggestion] = []
        for architecture in self._seeds:
            costs, reason = self._seed_costs(architecture, {each.architecture.id for each in candidates})
            if costs is None:
                LOG.info("preset %s is not trained: %s", architecture.name, reason)
                self._tell(events.CandidateSkipped(architecture.name, reason))
            else:
                known = self._space.choices_of(architecture) if isinstance(self._space, SearchSpace) else None
                candidates.append(Suggestion(len(candidates), "preset", architecture, costs, known))
        return candidates

    def _seed_costs(self, architecture: Architecture, taken: set[str]) -> tuple[CostsByTier | None, str]:
        """Return the costs of a preset that fits an end, or why it is not trained."""
        if architecture.id in taken:
            return None, "the same architecture is there already"
        try:
            costs = self._evaluator.costs(architecture)
        except ValueError as error:
            return None, str(error)
        if any(each.feasible for each in costs.values()):
            return costs, ""
        return None, "it keeps within the limits of neither the edge nor the cloud profile"

    def _sampled(self, trial_id: int, tier: Tier) -> Suggestion | None:
        """Return a sampled candidate for an end; None, with a reason kept, where none can be found."""
        known = [self._phase.learnt(record) for record in self._seen_by(trial_id)]
        earlier = [record for record in known if record is not None]
        candidate = suggest(
            self._phase.config,
            self._space,
            self._evaluator,
            earlier,
            trial_id=trial_id,
            tier=tier,
            taken=self._taken_before(trial_id),
        )
        if candidate is None:
            self._shortfall = (
                f"{MAX_SUGGESTIONS} drafts for trial {trial_id} gave no new architecture within the {tier} limits"
            )
        elif self._rounds is not None and candidate.choices is not None:
            candidate = replace(candidate, starts_from=relative_of(candidate.choices, earlier))
        return candidate

    def _taken_before(self, trial_id: int) -> set[str]:
        """Return the ids of all architectures in earlier slots, finished or not: the same, whoever is faster."""
        finished = {record.architecture_id for record in self._records.values() if record.trial_id < trial_id}
        return finished | {each.candidate.architecture.id for each in self._pending.values()}

    def _submit(self, candidate: Suggestion) -> None:
        trial_id, architecture = candidate.trial_id, candidate.architecture
        seed = derived_seed(self._study.config.seed, trial_id, 1)
        limit_s = self._resources.limit_s(architecture)
        task = TrainingTask(architecture, seed, trial_id, limit_s=limit_s, title=f"trial {trial_id}")
        relative = candidate.starts_from
        if relative is not None and self._rounds is not None:
            recipe = self._study.config.recipe.inheriting(self._rounds.child_epochs)
            task = replace(task, relative=self._relative(relative), recipe=recipe)
        if self._brackets is not None:
            task = replace(task, until_epoch=self._brackets.lengths[0], checkpoint=self._study.checkpoint(trial_id))
        self._pending[trial_id] = _Pending(candidate, task, self._storage.begin(candidate), self._timings.clock())
        self._executor.submit(task)
        self._note_staff()

    def _relative(self, record: TrialRecord) -> Relative:
        state = self._study.weights(record.trial_id)
        age_epochs = record.evaluation.age_epochs
        return Relative(record.trial_id, age_epochs, self._study.architecture(record.trial_id), state)

    def _pass_on(self, message: Message) -> None:
        """Tell what a worker says."""
        pending = self._pending[message.trial_id]
        if isinstance(message, EpochDone):
            epochs = (pending.task.recipe or self._study.config.recipe).epochs
            self._tell(events.TrainingEpoch(pending.task.title, message.record, epochs, message.trial_id))
        elif pending.reached is None:
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
        evaluation = outcome.evaluation or self._failed(pending, outcome.reason)
        if self._brackets is None:
            self._keep(pending, evaluation)
        else:
            pending.reached, pending.waiting = evaluation, True
            self._advance(self._brackets, outcome.trial_id)

    def _advance(self, brackets: Brackets, trial_id: int) -> None:
        """Keep whoever of the slot's bracket is stopped or trained in full, and train on whoever is promoted."""
        members = brackets.members(trial_id, self._next)
        waiting = {each: pending for each in members if (pending := self._pending.get(each)) and pending.waiting}
        evaluations = {each: pending.reached for each, pending in waiting.items() if pending.reached is not None}
        reached = {each: reached_by(waiting[each].candidate.role, found) for each, found in evaluations.items()}
        decisions = brackets.decide(members, self._records, reached)
        for each, pending in waiting.items():
            if each in decisions.train:
                pending.waiting = False
                pending.task = replace(pending.task, until_epoch=decisions.train[each])
                self._executor.submit(pending.task)
            elif each in decisions.stop or reached[each].ended:
                self._keep(pending, evaluations[each])
        self._note_staff()

    def _failed(self, pending: _Pending, reason: str) -> Evaluation:
        """Return the evaluation of a candidate whose worker was lost twice."""
        return Evaluation(
            architecture_id=pending.candidate.architecture.id,
            seed=pending.task.seed,
            fidelity=self._evaluator.fidelity,
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
            evaluation=evaluation,
        )
        self._study.keep(record, architecture)
        self._storage.finish(pending.number, record)
        self._study.checkpoint(trial_id).unlink(missing_ok=True)
        del self._pending[trial_id]
        self._records[trial_id] = record.model_copy(
            update={"evaluation": evaluation.model_copy(update={"weights": None})}
        )
        self._note_staff()
        LOG.log(logging.WARNING if record.failed else logging.INFO, "%s", _line(record))
        self._tell(events.TrialFinished(self._records[trial_id], self._front()))

    def _note_staff(self) -> None:
        at_work = sum(not pending.waiting for pending in self._pending.values())
        self._timings.staffed(at_work, ending=not self._more)

    def _front(self) -> tuple[TrialRecord, ...]:
        """Return the front on the device of all finished trials."""
        return front(self._ordered(), "edge", baselines=self._study.baselines)

    def _give_up(self) -> str:
        """Return what to tell a user who stopped the search."""
        message = (
            f"Stopped after {len(self._records)} of {self._total} trials, all of them kept: the same command with "
            f"--resume continues the study in {self._study.folder}."
        )
        LOG.info("stopped after %d of %d trials", len(self._records), self._total)
        return message

    def _ordered(self) -> tuple[TrialRecord, ...]:
        return tuple(self._records[trial_id] for trial_id in sorted(self._records))


def _line(record: TrialRecord) -> str:
    outcome = f"failed: {record.evaluation.failure}" if record.failed else f"objective {record.objective:.4f}"
    return f"trial {record.trial_id} ({record.role}, {record.label}) {outcome}"
