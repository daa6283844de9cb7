"""What a run shows while it works and when it is done. Without a terminal: plain lines."""

from __future__ import annotations

import time
from types import TracebackType

from ussearch.cli.console import EXTRAPOLATED, console, counted, interval, milliseconds, say, score, score_line
from ussearch.cli.crash import remember_study
from ussearch.cli.live import LiveView
from ussearch.cli.plan_lines import print_plan
from ussearch.cli.result_lines import verdict_line
from ussearch.evaluators import Costs
from ussearch.evaluators.evaluation import TRAINED
from ussearch.events import (
    CandidateSkipped,
    EnsembleChosen,
    Event,
    FilesRead,
    PairChosen,
    PlanReady,
    SearchFinished,
    SearchStarted,
    StageStarted,
    StepEvaluated,
    TrainingEpoch,
    TrialFinished,
    TrialRepeated,
    TrialStarted,
    WidthMultiplierEvaluated,
)
from ussearch.pairs import Pair
from ussearch.studies import TrialRecord

SILENCE_S = 30
"""Without a terminal, a line is printed at least this often while something trains."""
WIDE = 132
"""Columns that the lines about trials need."""
STAGES = {
    "plan": "Preparing data and plan",
    "search": "Searching",
    "full training": "Training the pair at full length",
    "ensemble": "Choosing what answers in the cloud",
    "compress": "Making the edge network small",
    "route": "Fitting the router",
    "export": "Exporting",
    "verify": "Verifying the bundle",
}


class RunProgress:
    """Listens to the events of a run and draws them."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live = LiveView(quiet)
        self._total = self._finished = 0
        self._of = ""
        self._running: dict[int, float] = {}
        self._trainings: dict[str, int] = {}
        self._last_line = time.monotonic()

    def __enter__(self) -> RunProgress:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def __call__(self, event: Event) -> None:
        """Draw one event."""
        if isinstance(event, PlanReady):
            remember_study(event.folder)
        if not self._quiet:
            self._draw(event)

    def _draw(self, event: Event) -> None:
        match event:
            case StageStarted() | FilesRead():
                self._stage(event)
            case PlanReady(plan, folder):
                print_plan(plan)
                console.print(f"Study: {folder}", soft_wrap=True)
                baselines = {name: summary.get("objective") or 0.0 for name, summary in plan.baselines.items()}
                self._live.expect(plan.config.edge.network_limit_ms(plan.config.image_size), baselines)
            case CandidateSkipped(name, reason):
                console.print(f"  preset {name} left out: {reason}")
            case SearchStarted(finished, total, expected):
                self._total, self._finished = expected or total, finished
                self._of = f"about {expected}" if expected else str(total)
                if finished:
                    console.print(f"  {finished} of {self._of} trials are finished already")
                self._live.begin(f"{finished} of {self._of} trials", self._total, finished)
            case TrainingEpoch(trial_id=None):
                self._training(event)
            case TrialStarted() | TrialRepeated() | TrainingEpoch():
                self._follow(event)
            case TrialFinished(record, front):
                self._running.pop(record.trial_id, None)
                self._finished += 1
                self._show_running()
                self._trial(record, front)
                self._live.show_front(record, front)
            case SearchFinished():
                self._live.hide_front()
                self._finish_search(event)
            case PairChosen(pair):
                self._pair(pair)
            case EnsembleChosen(choice):
                say(f"  cloud: {choice.sentence}")
            case StepEvaluated(verdict) | WidthMultiplierEvaluated(verdict):
                say(f"  {verdict_line(verdict)}")

    def _stage(self, event: StageStarted | FilesRead) -> None:
        match event:
            case StageStarted(name):
                self._live.begin(STAGES[name])
                console.print(f"{STAGES[name]} …")
            case FilesRead(done, total):
                text = f"{done} of {total} files read"
                self._live.update(f"{STAGES['plan']}: {text}", done, total)
                self._sign_of_life(text)

    def _follow(self, event: TrialStarted | TrialRepeated | TrainingEpoch) -> None:
        """Note how far a trial has come; several may run at a time."""
        match event:
            case TrialStarted(trial_id):
                self._running[trial_id] = 0.0
            case TrialRepeated(trial_id, reason):
                self._running.pop(trial_id, None)
                say(f"  trial {trial_id} begins anew: {reason}")
            case TrainingEpoch(_, record, epochs, int(trial_id)):
                self._running[trial_id] = record.epoch / epochs
                self._sign_of_life(str(event))
        self._show_running()

    def _show_running(self) -> None:
        """Draw which trials run, and how far all of them have come; ``_running`` holds the share that each has done."""
        names = ", ".join(str(trial_id) for trial_id in sorted(self._running)) or "–"
        done = self._finished + sum(self._running.values())
        total = max(self._total, self._finished + len(self._running))
        self._live.update(f"{self._finished} of {self._of} trials, now {names}", done, total)

    def _trial(self, record: TrialRecord, front: tuple[TrialRecord, ...]) -> None:
        self._last_line = time.monotonic()
        mark = "on the front" if any(each.trial_id == record.trial_id for each in front) else ""
        mark = "  ".join(filter(None, (mark, record.told_start, _stopped(record))))
        if _narrow():
            console.print(f"{_short(record)}  {mark}".rstrip())
            return
        costs = record.costs("edge")
        where = ", ".join(tier for tier in ("edge", "cloud") if record.feasible(tier)) or "too large"
        outcome = f"failed: {record.evaluation.failure}" if record.failed else score_line(record.evaluation.metrics)
        console.print(
            f"  {record.trial_id:3d} {record.role:6s} {record.short_label:16s} {outcome}  {_latency(costs)} ms "
            f"{costs.memory_mib:5.0f} MiB  fits {where}  {record.evaluation.training_seconds:4.0f} s  {mark}"
        )

    def _sign_of_life(self, text: str) -> None:
        """Print a line where there is no bar to look at and nothing was printed for a while."""
        if not console.is_terminal and time.monotonic() - self._last_line > SILENCE_S:
            self._last_line = time.monotonic()
            console.print(f"  {text}")

    def _finish_search(self, event: SearchFinished) -> None:
        if event.shortfall:
            console.print(f"The search ended early: {event.shortfall}.")
        if not event.front:
            console.print(
                "No candidate beats the trivial baselines yet: train longer (--epochs) or search more (--trials)."
            )
            return
        console.print(f"Front ({counted(len(event.front), 'candidate')} above every trivial baseline, fastest first):")
        for record in event.front:
            costs = record.costs("edge")
            figures = f"{score_line(record.evaluation.metrics)} {_latency(costs)} ms"
            line = _short(record) if _narrow() else f"  {record.trial_id:3d} {record.short_label:16s} {figures}"
            console.print(f"{line} ({interval(costs.latency_interval_ms)})")
        console.print("In brackets: where nine in ten networks like those that were measured lie.")
        if any(record.costs("edge").extrapolated for record in event.front):
            console.print(EXTRAPOLATED)

    def _warn_of_a_weaker_cloud(self, pair: Pair) -> None:
        if pair.cloud.score < pair.edge.score:
            console.print(
                f"No other candidate is stronger than the edge's so far (objective {pair.edge.score:.3f}, the cloud's "
                f"{pair.cloud.score:.3f}): full training decides, and an average may hold both; a longer search finds "
                "stronger ones."
            )

    def _pair(self, pair: Pair) -> None:
        self._last_line = time.monotonic()
        console.print(f"Pair: trial {pair.edge.number} for the device, trial {pair.cloud.number} for the cloud.")
        self._warn_of_a_weaker_cloud(pair)

    def _training(self, event: TrainingEpoch) -> None:
        """Draw how far the trainings after the search are; each may have been continued at any epoch."""
        epoch, epochs = event.record.epoch, event.epochs
        running = {name: done for name, done in self._trainings.items() if done < epochs}
        if event.title not in running:
            self._live.begin("")
        self._trainings = running | {event.title: epoch}
        names = "; ".join(f"{name} {done} of {epochs}" for name, done in self._trainings.items())
        self._live.update(names, sum(self._trainings.values()), epochs * len(self._trainings))
        self._sign_of_life(str(event))
        if event.tier is not None and epoch in (epochs, epochs // 2):
            console.print(f"  {event}, validation lesion Dice {score(event.record.lesion_dice)}")


def _narrow() -> bool:
    """Tell whether the lines about trials would be broken on this terminal."""
    return console.is_terminal and console.width < WIDE


def _short(record: TrialRecord) -> str:
    """Return what a narrow terminal shows of a trial."""
    if record.failed:
        return f"  {record.trial_id:3d} {record.short_label:16s} failed: {record.evaluation.failure}"
    metrics = record.evaluation.metrics
    figures = f"objective {score(metrics.get('objective'))}  lesion Dice {score(metrics.get('lesion_dice'))}"
    return f"  {record.trial_id:3d} {record.short_label:15s} {figures} {_latency(record.costs('edge'))} ms"


def _stopped(record: TrialRecord) -> str:
    """Return how accuracy was come by, unless in full training; the front compares it with its like only."""
    fidelity = record.evaluation.fidelity
    return fidelity if fidelity != TRAINED else ""


def _latency(costs: Costs) -> str:
    """Return predicted milliseconds for a column, marked where they are extrapolated."""
    return f"{milliseconds(costs.latency_ms, costs.extrapolated):>7s}"
