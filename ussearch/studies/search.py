"""The search: draft, evaluate, keep, tell; killed at any point, it continues where it was."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from ussearch.errors import UserError
from ussearch.evaluators import CostsByEnd, EpochRecord, Evaluator
from ussearch.search_spaces import Architecture, SearchSpace
from ussearch.studies import events
from ussearch.studies.drafting import MAX_DRAFTS, Candidate, derived_seed, draft, end_of
from ussearch.studies.events import OnEvent
from ussearch.studies.front import front
from ussearch.studies.records import TrialRecord
from ussearch.studies.storage import StudyStorage, storage_errors
from ussearch.studies.study import Study


class SearchInterrupted(Exception):
    """The user stopped the search; the message says how to continue it. The command line exits with 130."""


def search(
    study: Study,
    evaluator: Evaluator,
    space: SearchSpace,
    seeds: Sequence[Architecture] = (),
    on_event: OnEvent = events.ignore,
) -> tuple[TrialRecord, ...]:
    """Evaluate candidates until the study has ``config.trials`` of them, and return all finished trials.

    ``seeds`` are presets (built for the study's task, with their names), evaluated first in the given order; the
    rest is sampled from ``space``, each end getting its share. Candidates that fit neither end are never
    trained, architectures that are there already neither. With one thread the same configuration gives the same
    architectures and the same Dice, whether or not the search was killed in between.

    Raises:
        SearchInterrupted: on Ctrl-C, after the running trial was given up.
        UserError: another process is working on the study, or it was begun with other seeds.
    """
    if tuple(seed.name for seed in seeds) != study.config.seeds:
        raise UserError(
            f"The study in {study.folder} was planned with the seed presets {list(study.config.seeds)}, not "
            f"{[seed.name for seed in seeds]}: resume with the same."
        )
    with study.lock(), storage_errors(study.folder):
        return _Search(study, evaluator, space, seeds, on_event).run()


class _Search:
    """One driver at work."""

    def __init__(
        self,
        study: Study,
        evaluator: Evaluator,
        space: SearchSpace,
        seeds: Sequence[Architecture],
        on_event: OnEvent,
    ) -> None:
        self._study, self._evaluator, self._space, self._seeds = study, evaluator, space, seeds
        self._tell = on_event
        self._total = study.config.trials
        self._records = {record.slot: record for record in study.trials()}
        self._storage = StudyStorage.in_file(study.folder / "study.db", space.choices)
        self._running: int | None = None
        self._shortfall: str | None = None

    def run(self) -> tuple[TrialRecord, ...]:
        """Fill every empty slot in order."""
        self._storage.reconcile(self._ordered())
        self._tell(events.SearchStarted(len(self._records), self._total))
        self._study.log(f"search of {self._total} trials begins; {len(self._records)} are finished")
        try:
            if not self._study.baselines:
                self._study.keep_baselines(self._evaluator.baselines())
            self._fill()
        except KeyboardInterrupt as error:
            raise SearchInterrupted(self._give_up()) from error
        finally:
            if self._running is not None:
                self._storage.abandon(self._running)
        self._study.log(f"search ends with {len(self._records)} trials; {self._shortfall or 'complete'}")
        self._tell(events.SearchFinished(len(self._records), self._total, self._shortfall, self._front()))
        return self._ordered()

    def _fill(self) -> None:
        seeds = self._usable_seeds()
        for slot in range(self._total):
            if slot in self._records:
                continue
            candidate = seeds[slot] if slot < len(seeds) else self._sampled(slot, slot - len(seeds))
            if candidate is None:
                return
            self._evaluate(candidate)

    def _usable_seeds(self) -> list[Candidate]:
        """Return the presets that are trained, each in its slot; tell why others are not."""
        candidates: list[Candidate] = []
        for architecture in self._seeds:
            costs, reason = self._seed_costs(architecture, {each.architecture.id for each in candidates})
            if costs is None:
                self._study.log(f"preset {architecture.name} is not trained: {reason}")
                self._tell(events.CandidateSkipped(architecture.name, reason))
            else:
                candidates.append(Candidate(len(candidates), "preset", architecture, costs))
        return candidates

    def _seed_costs(self, architecture: Architecture, taken: set[str]) -> tuple[CostsByEnd | None, str]:
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

    def _sampled(self, slot: int, sampled: int) -> Candidate | None:
        """Return the sampled candidate number ``sampled``; None, with a reason kept, where none can be found."""
        config = self._study.config
        end = end_of(sampled, config.edge_share)
        earlier = [record for record in self._ordered() if record.slot < slot]
        candidate = draft(config, self._space, self._evaluator, earlier, slot=slot, end=end)
        if candidate is None:
            self._shortfall = f"{MAX_DRAFTS} drafts for trial {slot} gave no new architecture within the {end} limits"
        return candidate

    def _evaluate(self, candidate: Candidate) -> None:
        slot, architecture = candidate.slot, candidate.architecture
        self._tell(events.TrialStarted(slot, candidate.role, architecture, candidate.costs))
        self._running = self._storage.begin(candidate)
        started = _now()

        def on_epoch(record: EpochRecord) -> None:
            self._tell(events.EpochFinished(slot, record, self._study.config.recipe.epochs))

        seed = derived_seed(self._study.config.seed, slot, 1)
        evaluation = self._evaluator.evaluate(architecture, seed, on_epoch)
        record = TrialRecord(
            slot=slot,
            role=candidate.role,
            name=architecture.name,
            architecture_id=architecture.id,
            choices=candidate.choices,
            sampler_attributes=candidate.sampler_attributes,
            started=started,
            finished=_now(),
            evaluation=evaluation,
        )
        self._study.keep(record, architecture)
        self._storage.finish(self._running, record)
        self._running = None
        self._records[slot] = record.model_copy(update={"evaluation": evaluation.model_copy(update={"weights": None})})
        self._study.log(_line(record))
        self._tell(events.TrialFinished(self._records[slot], self._front()))

    def _front(self) -> tuple[TrialRecord, ...]:
        """Return the front on the device of all finished trials."""
        return front(self._ordered(), "edge", baselines=self._study.baselines)

    def _give_up(self) -> str:
        """Return what to tell a user who stopped the search."""
        message = (
            f"Stopped after {len(self._records)} of {self._total} trials, all of them kept: the same command with "
            f"--resume continues the study in {self._study.folder}."
        )
        self._study.log(message)
        return message

    def _ordered(self) -> tuple[TrialRecord, ...]:
        return tuple(self._records[slot] for slot in sorted(self._records))


def _line(record: TrialRecord) -> str:
    outcome = f"failed: {record.evaluation.failure}" if record.failed else f"selection {record.dice:.4f}"
    return f"trial {record.slot} ({record.role}, {record.label}) {outcome}"


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
