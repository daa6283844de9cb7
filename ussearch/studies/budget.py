"""A budget is a promise: how a run's time is shared out, and what was decided by the clock, to be replayed."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ussearch import schema
from ussearch.errors import UserError
from ussearch.files import write_atomically

Stage = str
SHARES: Mapping[Stage, float] = MappingProxyType(
    {"search": 0.45, "full training": 0.27, "compress": 0.12, "route": 0.11, "export": 0.05}
)
"""Of the time that is left when the plan is made, by stage in their order; what a stage leaves goes to those after."""
LEAST_BASES = 2
"""So many of the cheapest bases are trained at any budget."""
GRACE_S = 60.0
"""A run may end so long after its budget, and a tenth of it besides."""


@dataclass
class PlanLog:
    """What was decided by the clock, one JSON line each, in ``plan.jsonl`` of a study.

    A decision that is there already is taken as it is: a resumed study does what it did. A line that a kill tore is
    left out.
    """

    path: Path
    begun: float | None = None
    """When this sitting began, by ``clock``; None: now."""
    clock: Callable[[], float] = time.monotonic
    _before_s: float = field(init=False, default=0.0)
    _begun: float = field(init=False)
    _known: dict[str, Any] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Read what there is; time goes on from its last line."""
        self._begun = self.clock() if self.begun is None else self.begun
        for line in self._lines():
            self._known[line["decision"]] = line["value"]
            self._before_s = max(self._before_s, float(line["elapsed_s"]))

    @property
    def elapsed_s(self) -> float:
        """How long the run has worked so far, all of its sittings together."""
        return self._before_s + self.clock() - self._begun

    def decided(self, decision: str, decide: Callable[[], Any]) -> Any:
        """Return the value of a decision: as it was taken before, else what ``decide`` says now, which is kept."""
        if decision not in self._known:
            self.keep(decision, decide())
        return self._known[decision]

    def keep(self, decision: str, value: Any) -> None:
        """Add a decision."""
        self._known[decision] = value
        line = schema.PLAN_LINE.to_json({"elapsed_s": round(self.elapsed_s, 3), "decision": decision, "value": value})
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def decisions(self) -> dict[str, Any]:
        """Return everything that was decided, by name in order."""
        return dict(self._known)

    def _lines(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        whole, _, torn = self.path.read_text(encoding="utf-8").rpartition("\n")
        if torn:
            write_atomically(self.path, whole + "\n" if whole else "")
        return [self._read(text, number) for number, text in enumerate(whole.split("\n"), 1) if text]

    def _read(self, text: str, number: int) -> dict[str, Any]:
        try:
            found: dict[str, Any] = schema.PLAN_LINE.from_json(text, f"{self.path}, line {number}")
        except ValueError as error:
            raise UserError(f"{self.path} is damaged in line {number}: restore it, or start another study.") from error
        return found


@dataclass
class Budget:
    """The time of a run in ``seconds``, shared out among the ``stages`` that it has."""

    seconds: float
    log: PlanLog
    stages: Collection[Stage] = tuple(SHARES)

    def leave_out(self, stage: Stage) -> None:
        """Let the others have the time of a stage that has no use for it."""
        self.stages = [each for each in self.stages if each != stage]

    def left_s(self) -> float:
        """Return what is left of the budget; 0 where it is used up."""
        return max(self.seconds - self.log.elapsed_s, 0.0)

    def share_s(self, stage: Stage, since: Stage | None = None) -> float:
        """Return the time of a stage that begins now: its share of what is left for it and those after it.

        ``since`` is the stage that begins now where it is an earlier one.
        """
        names = list(SHARES)
        ahead = [name for name in names[names.index(since or stage) :] if name in self.stages]
        return self.left_s() * SHARES[stage] / sum(SHARES[name] for name in ahead)

    def decided_share_s(self, stage: Stage) -> float:
        """Return the time of a stage, as it was decided when it first began."""
        return float(self.log.decided(f"seconds for {stage}", lambda: round(self.share_s(stage), 3)))


@dataclass
class SearchClock:
    """Says which slots of a search may begin within its share of a budget."""

    budget: Budget

    def __call__(self, trial_id: int, seconds: float) -> bool:
        """Return whether the slot's candidate, which should take so many ``seconds``, may begin; the first ones do."""
        log = self.budget.log
        end_s = float(
            log.decided("the search ends at", lambda: round(log.elapsed_s + self.budget.share_s("search"), 3))
        )
        if trial_id < LEAST_BASES:
            return True
        return bool(log.decided(f"trial {trial_id} begins", lambda: log.elapsed_s + seconds <= end_s))
