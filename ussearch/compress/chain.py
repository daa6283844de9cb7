"""The chain: every step is tried, measured, and kept or undone; a stronger attempt first, then milder ones."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ussearch import schema
from ussearch.compress.acceptance import StepRecord, Verdict, accept
from ussearch.compress.candidate import FORM, CompressionCandidate
from ussearch.compress.context import Context
from ussearch.compress.evaluate import Measures, evaluate, model_file
from ussearch.compress.speed import SpeedComparison
from ussearch.compress.steps import STEPS, Failure, Step
from ussearch.errors import UserError
from ussearch.evaluators import TrainingFailed
from ussearch.evaluators.metrics.paired_bootstrap import Change, paired_change
from ussearch.events import StepEvaluated
from ussearch.files import found_at, staged_directory, write_atomically

RECORD = "record.json"


def steps_named(names: Sequence[str] | None = None) -> tuple[Step, ...]:
    """Return the steps of a chain in their order, all of them or those named; raises UserError for an unknown name."""
    wanted = set(names if names is not None else STEPS.names())
    for name in sorted(wanted):
        STEPS[name]  # raises for an unknown name
    return tuple(STEPS[name]() for name in STEPS if name in wanted)


@dataclass
class Chain:
    """One candidate on its way; ``records`` has every attempt so far."""

    context: Context
    candidate: CompressionCandidate
    records: list[StepRecord] = field(default_factory=list)
    undone: list[tuple[StepRecord, CompressionCandidate]] = field(default_factory=list)
    """Attempts that did not pass, with what they had made."""
    trainings_left: float = math.inf
    """How many trainings of ``context.epochs`` a budget still pays for; milder attempts ask for more of them."""

    def run(self, steps: Sequence[Step]) -> CompressionCandidate:
        """Try every step in order and return what is left; what was finished before is read, not done again."""
        for step in steps:
            for record, after in self._attempts(step):
                self.records.append(record)
                self.context.on_event(StepEvaluated(record))
                if record.kept:
                    self.candidate = after
                elif record.tried:
                    self.undone.append((record, after))
        return self.candidate

    def _attempts(self, step: Step) -> Iterator[tuple[StepRecord, CompressionCandidate]]:
        """Yield a step's attempts until one is kept or there is no milder one."""
        before = evaluate(self.candidate, self.context)
        why = step.skip_reason(self.candidate, self.context)
        if why:
            yield nothing_made(step, before, f"not tried: {why}"), self.candidate
            return
        relaxed: Step | None = step
        while relaxed is not None:
            if relaxed.trainings() > self.trainings_left:
                why = f"not tried: its {relaxed.trainings()} trainings did not fit into the budget"
                yield nothing_made(relaxed, before, why), self.candidate
                return
            record, after = attempt(relaxed, self.candidate, before, self.context)
            if record.tried:  # what cannot be made fails before it is trained
                self.trainings_left -= relaxed.trainings()
            yield record, after
            relaxed = None if record.kept else relaxed.relaxed(_failure(record))


def _failure(record: StepRecord) -> Failure:
    """Return why an attempt was not kept."""
    if not record.tried:
        return "impossible"
    return "slower" if record.speed is not None and record.speed.slower else "worse"


def attempt(
    step: Step, candidate: CompressionCandidate, before: Measures, context: Context
) -> tuple[StepRecord, CompressionCandidate]:
    """Return the record of one attempt and its candidate; both are kept in the context's folder by their content.

    A failure is not kept: its reason may be gone the next time, and what was trained before it is kept anyway.
    """
    place = context.place(step.name, candidate.digest, dict(step.settings), context.max_drop, *context.speed.key)
    kept = found_at(place)
    if (kept / RECORD).is_file():
        record = StepRecord.model_validate(schema.STEP.read(kept / RECORD))
        return record, CompressionCandidate.load(kept) if (kept / FORM).is_file() else candidate
    start = time.perf_counter()
    try:
        after = step.apply(candidate, context)
        record = _judged(step, candidate, after, before, context)
    except (UserError, TrainingFailed) as error:
        return nothing_made(step, before, f"failed: {error}"), candidate
    record = record.model_copy(update={"seconds": time.perf_counter() - start})
    return record, _kept(place, record, after)


def nothing_made(step: Step, before: Measures, reason: str) -> StepRecord:
    """Return the record of a step of which nothing is left to compare."""
    return StepRecord(step=step.name, settings=dict(step.settings), before=before, kept=False, reason=reason)


def _kept(place: Path, record: StepRecord, after: CompressionCandidate) -> CompressionCandidate:
    """Write an attempt's outcome in one go, and return its candidate as it lies there."""
    with staged_directory(place) as staging:
        if record.tried:
            after.save(staging)
        write_atomically(staging / RECORD, schema.STEP.to_json(record.model_dump(mode="json")))
    return CompressionCandidate.load(place) if record.tried else after


def _judged(
    step: Step, candidate: CompressionCandidate, after: CompressionCandidate, before: Measures, context: Context
) -> StepRecord:
    """Measure an attempt and judge it; the control is only made for what speed has not refused."""
    if after.digest == candidate.digest:
        return nothing_made(step, before, "it changes nothing")
    found = evaluate(after, context)
    speed = compared(candidate, after, context)
    change = paired_change(before.dice, found.dice, context.groups, context.seed)
    smaller = found.file_bytes < before.file_bytes

    def judged(control: Change | None) -> Verdict:
        return accept(speed, change, control, retrained=step.retrains, smaller=smaller, max_drop=context.max_drop)

    verdict, control = judged(None), None
    if verdict.kept and step.retrains:
        made = step.control(candidate, context)
        if made is not None:
            control = paired_change(before.dice, evaluate(made, context).dice, context.groups, context.seed)
            verdict = judged(control)
    return StepRecord(
        step=step.name,
        settings=dict(step.settings),
        before=before,
        after=found,
        speed=speed,
        change=change,
        control=control,
        kept=verdict.kept,
        reason=verdict.reason,
        details=dict(after.settings),
    )


def compared(before: CompressionCandidate, after: CompressionCandidate, context: Context) -> SpeedComparison:
    """Return how fast ``after`` is beside ``before``."""
    same_network = before.architecture.id == after.architecture.id and before.fused == after.fused
    if same_network and before.precision == after.precision == "fp32":
        return context.speed.unchanged(model_file(after, context), "the same operators")
    files = model_file(before, context), model_file(after, context)
    return context.speed.compare(*files, after.precision, same_network=same_network)
