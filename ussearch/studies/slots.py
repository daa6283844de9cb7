"""What stands in each slot of a search: a base, a trial that goes on, or a candidate that a sampler proposes.

A function of the slot's number and of the records that it may see, whoever is faster, so that a study can be repeated
and resumed.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from ussearch import events
from ussearch.evaluators import CostsByTier, Evaluator, Recipe, Tier, TrainingTask
from ussearch.events import OnEvent
from ussearch.search_spaces import Architecture, SearchSpace
from ussearch.studies.records import TrialRecord
from ussearch.studies.rounds import Rounds, crowded_out, goes_on_from, relative_of, spent
from ussearch.studies.study import Study
from ussearch.studies.suggest import MAX_SUGGESTIONS, AnySpace, Suggestion, derived_seed, suggest, tier_of

LOG = logging.getLogger(__name__)
LAG_PER_WORKER = 4
"""For every worker after the first, a candidate is drafted without the records of this many slots just before its own.

Which records a draft sees must not depend on which trial happens to finish first, or no study could be repeated. With
a lag of 2 a slot that takes twice as long as others leaves workers without work: simulated with log-normal times
(σ = 0.7, as presets and samples have), 2 to 16 workers are busy for 94 to 73 % of the time, with 4 for 99 to 95 %.
"""
LEAST_SEEN = 2
"""So many bases a child sees, where there are as many, however large the lag: it has nothing to start from else."""


@dataclass
class Slots:
    """Drafts candidates of ``study``; ``seeds`` are the bases that are tried first, in order."""

    study: Study
    evaluator: Evaluator
    space: AnySpace
    seeds: Sequence[Architecture]
    tell: OnEvent
    shortfall: str | None = None
    """Why the last draft gave none."""
    _crowded_out: dict[int, frozenset[int]] = field(default_factory=dict)

    @cached_property
    def bases(self) -> tuple[Suggestion, ...]:
        """The seeds that are trained, each in its slot; tells why others are not."""
        bases: list[Suggestion] = []
        for architecture in self.seeds:
            costs, reason = self._base_costs(architecture, {each.architecture.id for each in bases})
            if costs is None:
                LOG.info("preset %s is not trained: %s", architecture.name, reason)
                self.tell(events.CandidateSkipped(architecture.name, reason))
            else:
                known = self.space.choices_of(architecture) if isinstance(self.space, SearchSpace) else None
                bases.append(Suggestion(len(bases), "preset", architecture, costs, known))
        return tuple(bases)

    @property
    def rounds(self) -> Rounds | None:
        """How children are trained; None in a space without bases, where every candidate is trained alike."""
        return Rounds(len(self.bases), self._recipe.epochs) if isinstance(self.space, SearchSpace) else None

    def may_be_drafted(self, trial_id: int, finished: Collection[int], waiting: int) -> bool:
        """Return whether all that a draft for ``trial_id`` looks at is known; bases only wait in line."""
        if trial_id < len(self.bases):
            return waiting <= self._lag
        return all(earlier in finished for earlier in range(self._seen(trial_id)))

    def candidate(
        self, trial_id: int, records: Mapping[int, TrialRecord], pending: Sequence[Suggestion]
    ) -> Suggestion | None:
        """Return what stands in slot ``trial_id``; None, with a ``shortfall``, where no candidate can be found.

        ``records`` are all finished trials by id, ``pending`` the candidates of earlier slots that are not finished.
        """
        if trial_id < len(self.bases):
            return self.bases[trial_id]
        earlier = [records[each] for each in sorted(records) if each < trial_id]
        seen = [record for record in earlier if record.trial_id < self._seen(trial_id)]
        tier = tier_of(trial_id - len(self.bases), self.study.config.edge_share)
        usable = self._with_weights(seen, trial_id)
        if self.rounds is not None and self.rounds.goes_on(trial_id):
            begun = {*(r.continues for r in earlier), *(each.continues for each in pending)}
            found = goes_on_from(usable, tier, {each for each in begun if each is not None})
            if found is not None:
                return self._going_on(trial_id, found)
        taken = {*(r.architecture_id for r in earlier), *(each.architecture.id for each in pending)}
        drawn = self._sampled(trial_id, tier, seen, taken)
        if drawn is not None and self.rounds is not None and drawn.choices is not None:
            drawn = replace(drawn, starts_from=relative_of(drawn.choices, usable))
        return drawn

    def spent(self, slot: int, records: Mapping[int, TrialRecord]) -> frozenset[int]:
        """Return the trials from whose weights nothing starts any more in ``slot`` and those after it."""
        if self.rounds is None:
            return frozenset()
        return self._gone([records[each] for each in sorted(records) if each < self._seen(slot)], slot)

    def _with_weights(self, seen: Sequence[TrialRecord], slot: int) -> list[TrialRecord]:
        gone = self._gone(seen, slot)
        return [record for record in seen if record.trial_id not in gone]

    def _gone(self, seen: Sequence[TrialRecord], slot: int) -> frozenset[int]:
        """Return the trials whose weights are spent by ``slot``, or had to leave for others in it or a slot before."""
        most_bytes = self.study.config.run.search.max_weights_gib * 2**30
        if sum(record.weights_bytes for record in seen) <= most_bytes:
            return spent(seen, slot)
        crowded: frozenset[int] = frozenset()
        for each in range(len(self.bases), slot + 1):
            if each not in self._crowded_out:
                known = [record for record in seen if record.trial_id < self._seen(each)]
                self._crowded_out[each] = crowded | crowded_out(known, crowded | spent(known, each), most_bytes)
            crowded = self._crowded_out[each]
        return crowded | spent(seen, slot)

    def task(self, candidate: Suggestion, limit_s: float | None) -> TrainingTask:
        """Return how a candidate is trained."""
        trial_id, relative = candidate.trial_id, candidate.starts_from
        seed = derived_seed(self.study.config.seed, trial_id, 1)
        task = TrainingTask(candidate.architecture, seed, trial_id, limit_s=limit_s, title=f"trial {trial_id}")
        if relative is None or self.rounds is None:
            return replace(task, checkpoint=self.study.checkpoint(trial_id))
        start = self.study.relative(relative.trial_id)
        return replace(task, relative=start, recipe=self._recipe.inheriting(self.rounds.child_epochs))

    @property
    def _recipe(self) -> Recipe:
        return self.study.config.recipe

    @property
    def _lag(self) -> int:
        return LAG_PER_WORKER * (self.study.config.workers - 1)

    def _seen(self, trial_id: int) -> int:
        """Return how many slots, from the first on, a draft for ``trial_id`` may learn from."""
        return max(trial_id - self._lag, min(LEAST_SEEN, len(self.bases)) if self.rounds else 0)

    def _going_on(self, trial_id: int, record: TrialRecord) -> Suggestion:
        architecture, costs = self.study.architecture(record.trial_id), record.evaluation.costs
        return Suggestion(trial_id, record.role, architecture, costs, record.choices, starts_from=record)

    def _sampled(
        self, trial_id: int, tier: Tier, seen: Sequence[TrialRecord], taken: Collection[str]
    ) -> Suggestion | None:
        found = suggest(self.study.config, self.space, self.evaluator, seen, trial_id=trial_id, tier=tier, taken=taken)
        if found is None:
            self.shortfall = (
                f"{MAX_SUGGESTIONS} drafts for trial {trial_id} gave no new architecture within the {tier} limits"
            )
        return found

    def _base_costs(self, architecture: Architecture, taken: Collection[str]) -> tuple[CostsByTier | None, str]:
        """Return the costs of a seed that fits an end, or why it is not trained."""
        if architecture.id in taken:
            return None, "the same architecture is there already"
        try:
            costs = self.evaluator.costs(architecture)
        except ValueError as error:
            return None, str(error)
        if any(each.feasible for each in costs.values()):
            return costs, ""
        return None, "it keeps within the limits of neither the edge nor the cloud profile"
