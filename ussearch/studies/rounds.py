"""Rounds of a search: bases first, then again and again children of what is there, and those that go on.

What stands in a slot is a pure function of its number and of the records that it may see, so that a study can be
repeated and resumed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ussearch.evaluators import Tier
from ussearch.evaluators.evaluation import standing
from ussearch.search_spaces.edits import neutral
from ussearch.search_spaces.space import FREE, FREE_PREFIX
from ussearch.studies.front import Floats, distinguished, losses_of, non_dominated
from ussearch.studies.records import TrialRecord

ROUND = 6
"""Slots of a round."""
CONTINUED = 2
"""Of them, the last ones: trials that go on from where they stand."""
CHILD_SHARE = 0.25
"""Length of a child's training, and of one that goes on, in courses of a base (``docs/results/inheritance.md``)."""
NEAR = 0.02
"""What is no worse than a front by this objective may go on, too: as much as two seeds differ by."""


@dataclass(frozen=True)
class Rounds:
    """What the slots behind ``bases`` bases hold; ``epochs`` is the course of a base."""

    bases: int
    epochs: int

    @property
    def child_epochs(self) -> int:
        """How long a child is trained, and how long a trial goes on."""
        return max(1, round(CHILD_SHARE * self.epochs))

    def goes_on(self, slot: int) -> bool:
        """Return whether the slot is for a trial that goes on, where there is one."""
        return (slot - self.bases) % ROUND >= ROUND - CONTINUED

    def trainings(self, trials: int) -> float:
        """Return how many courses of a base the children of ``trials`` slots take, each of a network as large."""
        return max(trials - self.bases, 0) * self.child_epochs / self.epochs


def goes_on_from(records: Sequence[TrialRecord], tier: Tier, taken: Collection[int]) -> TrialRecord | None:
    """Return the trial that goes on: the youngest that lies on or near the front of an end; None without one.

    Each trial goes on once: ``taken`` have.
    """
    near = [record for record in near_front(records, tier) if record.trial_id not in taken]
    return min(near, key=lambda r: (r.evaluation.age_epochs, -(r.objective or 0.0), r.trial_id), default=None)


def near_front(records: Sequence[TrialRecord], tier: Tier, near: float = NEAR) -> list[TrialRecord]:
    """Return the trials within the limits of an end that lie on its front, or would with ``near`` more.

    The cloud is searched for strength: there a front is the strongest, latency and memory are limits. Each architecture
    counts with its best trial. What is beaten once stays beaten, whatever comes later.
    """
    good = best_of_each([r for r in records if not r.failed and r.feasible(tier)])
    if not good:
        return []
    losses = distinguished(losses_of(good, tier))
    losses = losses[:, :1] if tier == "cloud" else losses
    return [record for number, record in enumerate(good) if non_dominated(_raised(losses, number, near))[number]]


SPENT_AFTER = 2 * ROUND
"""A trial keeps its weights for so many slots, however it compares: a candidate near it may come."""


def spent(records: Sequence[TrialRecord], slot: int) -> frozenset[int]:
    """Return the trials from whose weights nothing starts any more in ``slot`` and those after it.

    They are beaten on both ends, and had no children by the time that this was first asked. ``records`` are those that
    the slot may see.
    """
    tiers: tuple[Tier, Tier] = ("edge", "cloud")
    needed = {record.trial_id for tier in tiers for record in near_front(records, tier)}
    old = [r.trial_id for r in records if r.trial_id + SPENT_AFTER <= slot and r.trial_id not in needed]
    births = [(r.evaluation.inherited.relative, r.trial_id) for r in records if r.evaluation.inherited]
    parents = {parent for parent, child in births if child < parent + SPENT_AFTER}
    return frozenset(old) - parents


def crowded_out(records: Sequence[TrialRecord], gone: Collection[int], most_bytes: float) -> frozenset[int]:
    """Return the trials whose weights leave so that all that are kept take no more than ``most_bytes``.

    ``gone`` have left before. The beaten go before those near a front, the older before the younger; those on the
    front of an end stay, whatever they take.
    """
    kept = [record for record in records if record.trial_id not in gone and record.weights_bytes]
    tiers: tuple[Tier, Tier] = ("edge", "cloud")
    near, on_front = (
        {record.trial_id for tier in tiers for record in near_front(records, tier, within)} for within in (NEAR, 0.0)
    )
    surplus = sum(record.weights_bytes for record in kept) - most_bytes
    leaving: set[int] = set()
    for record in sorted(kept, key=lambda r: (r.trial_id in near, r.trial_id)):
        if surplus > 0 and record.trial_id not in on_front:
            leaving.add(record.trial_id)
            surplus -= record.weights_bytes
    return frozenset(leaving)


def _raised(losses: Floats, number: int, by: float) -> Floats:
    """Return losses where one row's objective is better."""
    raised: Floats = losses.copy()
    raised[number, 0] -= by
    return raised


def best_of_each(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return of each architecture the trial that went furthest, then the best; in order of trials."""
    best: dict[str, TrialRecord] = {}
    for record in records:
        known = best.get(record.architecture_id)
        if known is None or _worth(record) > _worth(known):
            best[record.architecture_id] = record
    return sorted(best.values(), key=lambda record: record.trial_id)


def _worth(record: TrialRecord) -> tuple[float, float]:
    return standing(record.evaluation.fidelity), record.objective or 0.0


def relative_of(choices: Mapping[str, Any], records: Sequence[TrialRecord]) -> TrialRecord | None:
    """Return the trained relative that a candidate starts from: of its base, by the fewest edits; None without one.

    Among equally near ones the older and better goes first. Free compositions are of one base where they were composed
    alike.
    """
    kin = [
        record
        for record in best_of_each([r for r in records if not r.failed])
        if record.choices is not None and _base_of(record.choices) == _base_of(choices)
    ]
    return min(kin, key=lambda r: (_distance(choices, r.choices or {}), -_worth(r)[1], r.trial_id), default=None)


def _base_of(choices: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what candidates of one base have in common: its name, or all that a free composition is made of."""
    base = choices.get("base")
    return (
        base,
        *(sorted(each for each in choices.items() if each[0].startswith(FREE_PREFIX)) if base == FREE else ()),
    )


SHAPES = ("width", "depth", "kernel", "expansion", "family", "deep_stages", "stem_stride", "decoder")
"""Parts of names of edits that change shapes: what differs in them is inherited only in part."""


def _distance(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[int, int]:
    """Return by how many edits two candidates differ, those that change shapes first."""
    differing = [name for name in one if one[name] != other.get(name, neutral().get(name))]
    return sum(any(part in name for part in SHAPES) for name in differing), len(differing)
