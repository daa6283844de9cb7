"""What a run shows while it works and when it is done. Without a terminal: plain lines."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from ussearch.cli.chain_lines import verdict_line, waterfall_table
from ussearch.cli.console import console
from ussearch.cli.duration import spoken
from ussearch.cli.tables import EXTRAPOLATED, counted, interval, milliseconds
from ussearch.evaluators import CONVENTION, Costs
from ussearch.evaluators.fidelity import TRAINED, standing
from ussearch.pairs import Pair
from ussearch.pipeline import (
    CompressionEpoch,
    Delivery,
    Event,
    FinalistEpoch,
    FoldEpoch,
    PairChosen,
    PlanReady,
    StageStarted,
    StepJudged,
    UniformJudged,
)
from ussearch.studies import StudyConfig, TrialRecord
from ussearch.studies.events import (
    CandidateSkipped,
    EpochFinished,
    RungChosen,
    RungMeasured,
    SearchFinished,
    SearchStarted,
    SharedWeightsTrained,
    TrialFinished,
    TrialRepeated,
    TrialStarted,
)
from ussearch.studies.plan import Plan

SILENCE_S = 30
"""Without a terminal, a line is printed at least this often while something trains."""
SHARE_TOLERANCE = 0.15
"""By how much the share that goes to the cloud may exceed what was asked for before it is worth a line."""
STAGES = {
    "plan": "Preparing data and plan",
    "search": "Searching",
    "full training": "Training the pair at full length",
    "compress": "Making the edge network small",
    "route": "Fitting the router",
    "export": "Exporting",
    "verify": "Verifying the bundle",
}


class RunProgress:
    """Listens to the events of a run and draws them."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=quiet,
        )
        self._task: TaskID | None = None
        self._total = self._finished = 0
        self._running: dict[int, float] = {}
        self._trainings: dict[str, int] = {}
        self._last_line = time.monotonic()

    def __enter__(self) -> RunProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, event: Event) -> None:
        """Draw one event."""
        if self._quiet:
            return
        match event:
            case StageStarted(name):
                self._stage(name)
            case PlanReady(plan, folder):
                print_plan(plan)
                console.print(f"Study: {folder}")
            case CandidateSkipped(name, reason):
                console.print(f"  preset {name} left out: {reason}")
            case SearchStarted(finished, total):
                self._total, self._finished = total, finished
                if finished:
                    console.print(f"  {finished} of {total} trials are finished already")
                self._start(f"{finished} of {total} trials", total, finished)
            case TrialStarted() | TrialRepeated() | EpochFinished():
                self._follow(event)
            case TrialFinished(record, front):
                self._running.pop(record.slot, None)
                self._finished += 1
                self._show_running()
                self._trial(record, front)
            case SearchFinished():
                self._finish_search(event)
            case SharedWeightsTrained() | RungMeasured() | RungChosen():
                self._ladder(event)
            case PairChosen() | FinalistEpoch():
                self._pair(event)
            case CompressionEpoch() | StepJudged() | UniformJudged() | FoldEpoch():
                self._compression(event)

    def _compression(self, event: CompressionEpoch | StepJudged | UniformJudged | FoldEpoch) -> None:
        """Tell what the chain and the router's folds train, and the chain's verdicts."""
        match event:
            case CompressionEpoch() | FoldEpoch():
                self._training(event.title, event.epochs, event.record.epoch)
                self._sign_of_life(f"{event.title}: epoch {event.record.epoch} of {event.epochs}")
            case StepJudged(verdict) | UniformJudged(verdict):
                console.print(f"  {verdict_line(verdict)}", soft_wrap=True)

    def _ladder(self, event: SharedWeightsTrained | RungMeasured | RungChosen) -> None:
        """Tell what is known of cheaper ways to judge candidates."""
        match event:
            case SharedWeightsTrained(epoch):
                self._sign_of_life(f"shared weights: epoch {epoch.epoch} of {epoch.epochs}")
            case RungMeasured(fidelity, seconds, trust):
                low, high = trust.interval
                verdict = "may select" if trust.trusted else "; ".join(trust.doubts)
                console.print(
                    f"  {fidelity}: {seconds:.1f} s a candidate, τ {trust.tau:.2f} ({low:.2f} to {high:.2f}), "
                    f"MACs alone {trust.macs_tau:.2f}: {verdict}",
                    soft_wrap=True,
                )
            case RungChosen(fidelity):
                console.print(f"  Candidates are judged by: {fidelity}")

    def _stage(self, name: str) -> None:
        self._start(STAGES[name], None)
        console.print(f"{STAGES[name]} …")

    def _start(self, description: str, total: float | None, completed: float = 0) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(description, total=total, completed=int(completed))

    def _follow(self, event: TrialStarted | TrialRepeated | EpochFinished) -> None:
        """Note how far a trial has come; several may run at a time."""
        match event:
            case TrialStarted(slot):
                self._running[slot] = 0.0
            case TrialRepeated(slot, reason):
                self._running.pop(slot, None)
                console.print(f"  trial {slot} begins anew: {reason}", soft_wrap=True)
            case EpochFinished(slot, record, epochs):
                self._running[slot] = record.epoch / epochs
                self._sign_of_life(f"trial {slot}: epoch {record.epoch} of {epochs}")
        self._show_running()

    def _show_running(self) -> None:
        """Draw which trials run, and how far all of them have come; ``_running`` holds the share that each has done."""
        if self._task is not None:
            names = ", ".join(str(slot) for slot in sorted(self._running)) or "–"
            done = self._finished + sum(self._running.values())
            self._bar.update(
                self._task, description=f"{self._finished} of {self._total} trials, now {names}", completed=done
            )

    def _advance(self, amount: float) -> None:
        if self._task is not None:
            self._bar.advance(self._task, amount)

    def _trial(self, record: TrialRecord, front: tuple[TrialRecord, ...]) -> None:
        self._last_line = time.monotonic()
        costs = record.costs("edge")
        where = ", ".join(end for end in ("edge", "cloud") if record.feasible(end)) or "too large"
        self._advance(1 - (standing(record.evaluation.fidelity) or 1))
        outcome = f"failed: {record.evaluation.failure}" if record.failed else _figures(record.evaluation.metrics)
        mark = "on the front" if any(each.slot == record.slot for each in front) else ""
        mark += _stopped(record)
        console.print(
            f"  {record.slot:3d} {record.role:6s} {record.label:16s} {outcome}  {_latency(costs)} ms "
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
            console.print(
                f"  {record.slot:3d} {record.label:16s} {_figures(record.evaluation.metrics)} {_latency(costs)} ms "
                f"({interval(costs.latency_interval_ms)})"
            )
        console.print("In brackets: where nine in ten networks like those that were measured lie.")
        if any(record.costs("edge").extrapolated for record in event.front):
            console.print(EXTRAPOLATED)

    def _warn_of_a_weaker_cloud(self, pair: Pair) -> None:
        if pair.cloud.score < pair.edge.score:
            console.print(
                f"No other candidate is stronger than the edge's so far (selection {pair.edge.score:.3f}, the cloud's "
                f"{pair.cloud.score:.3f}): full training decides; a longer search finds stronger ones."
            )

    def _pair(self, event: PairChosen | FinalistEpoch) -> None:
        if isinstance(event, FinalistEpoch):
            self._finalist(event)
            return
        self._last_line = time.monotonic()
        edge, cloud = event.pair.edge.number, event.pair.cloud.number
        console.print(f"Pair: trial {edge} for the device, trial {cloud} for the cloud.")

    def _finalist(self, event: FinalistEpoch) -> None:
        training = f"{event.end}, {event.training}" if event.training else event.end
        self._training(training, event.epochs, event.record.epoch)
        self._sign_of_life(f"{training}: epoch {event.record.epoch} of {event.epochs}")
        if event.record.epoch in (event.epochs, event.epochs // 2):
            figure = _number(event.record.lesion_dice)
            console.print(
                f"  {training}: epoch {event.record.epoch} of {event.epochs}, validation lesion Dice {figure}"
            )

    def _training(self, description: str, epochs: int, epoch: int) -> None:
        """Draw how far the trainings are that run now; each may have been continued at any epoch."""
        running = {name: done for name, done in self._trainings.items() if done < epochs}
        if description not in running:
            self._start("", None)
        self._trainings = running | {description: epoch}
        if self._task is not None:
            names = "; ".join(f"{name} {done} of {epochs}" for name, done in self._trainings.items())
            total, done = epochs * len(self._trainings), sum(self._trainings.values())
            self._bar.update(self._task, description=names, total=total, completed=done)


def print_plan(plan: Plan) -> None:
    """Print what a run will do."""
    config = plan.config
    parts = ", ".join(f"{name} {len(part)}" for name, part in plan.workbench.split.parts().items())
    console.print(f"Data: {config.data.name} ({config.data.reader}), {config.data.images} images: {parts}")
    for group in plan.workbench.split.straddling[:3]:
        console.print(f"  the split file tears apart: {', '.join(group)}")
    console.print(
        f"Space: 10^{plan.space.log10_size:.0f} combinations at {config.image_size}×{config.image_size} pixels"
    )
    for reason in sorted({removal.reason for removal in plan.removals}):
        values = sorted({f"{removal.choice} {removal.value}" for removal in plan.removals if removal.reason == reason})
        console.print(f"  removed for {config.edge.name}: {', '.join(values)}: {reason}")
    if plan.depths_left_out:
        depths = ", ".join(map(str, plan.depths_left_out))
        console.print(f"  left out: {depths} stages, which would halve {config.image_size} pixels below 4")
    for end, profile in config.profiles.items():
        low, high = plan.probe.latency_range_ms[end]
        console.print(
            f"{end.capitalize()}: {profile.name}, at most {profile.limits.latency_target_ms:.1f} ms and "
            f"{profile.limits.memory_mib:.0f} MiB; {plan.probe.feasible_share[end]:.0%} of random architectures fit "
            f"({low:.1f} to {high:.1f} ms, {profile.label})"
        )
        least, most = plan.probe.latency_interval_ms[end]
        console.print(
            f"  90 % intervals within {least:.1f} to {most:.1f} ms; "
            f"{plan.probe.extrapolated_share[end]:.0%} of the predictions are extrapolated (marked ~)"
        )
    console.print(f"Presets first: {', '.join(config.seeds) or 'none'}")
    for reason, names in by_reason(plan.seeds.skipped).items():
        console.print(f"  without {', '.join(names)}: {reason}")
    sampled = config.trials - len(config.seeds)
    console.print(
        f"Trials: {config.trials} ({len(config.seeds)} presets, {sampled} sampled) of "
        f"{config.recipe.epochs} epochs{_rungs(config)}, "
        f"then two full trainings of {config.final_epochs}{_repeats(config.final_seeds)}"
    )
    search, final = spoken(plan.search_seconds), spoken(plan.final_seconds)
    console.print(f"Predicted time: search {search}, full training {final} (to about a factor of two)")
    console.print("To beat (validation):")
    for name, summary in plan.baselines.items():
        console.print(f"  {name:10s} {_figures(summary)}")


def print_delivery(delivery: Delivery) -> None:
    """Print what came out, on the test part, beside the trivial baselines."""
    if delivery.compression is not None:
        console.print(waterfall_table(delivery.compression))
    metrics = delivery.bundle.manifest.metrics
    table = Table(title=f"Test images ({metrics.images})", title_justify="left")
    table.add_column("", no_wrap=True)
    for column in ("lesion Dice", "Dice, all", "IoU", "HD95 (px)", "AUC", "false positives\non empty images"):
        table.add_column(column, justify="right")
    rows: dict[str, Mapping[str, float | None]] = {
        "edge network": metrics.edge,
        "cloud network": metrics.cloud,
        f"pair, {metrics.offload_share:.0%} to the cloud": metrics.routed,
        **{f"baseline: {name}": summary for name, summary in delivery.baselines.items()},
    }
    for name, summary in rows.items():
        keys = ("lesion_dice", "dice_all", "iou", "hd95", "auc")
        rate = summary.get("false_positive_rate")
        cells = [_with_sd(summary, key) for key in keys]
        table.add_row(name, *cells, "–" if rate is None else f"{rate:.0%}")
    console.print(table)
    console.print(f"Mean ± SD over images. {CONVENTION}")
    for end in ("edge", "cloud"):
        if sentence := delivery.bundle.manifest.entry(end).latency_sentence:
            console.print(f"Latency, {end} network: {sentence}")
    for line in verdicts(delivery):
        console.print(line)
    console.print("Timetable: " + ", ".join(f"{name} {spoken(each)}" for name, each in delivery.seconds.items()))
    verdict = "accepted" if delivery.verification.passed else "REFUSED"
    console.print(f"Bundle: {delivery.bundle.folder} ({verdict} by ussearch verify)")
    study, bundle = (shlex.quote(str(each)) for each in (delivery.study.folder, delivery.bundle.folder))
    console.print(f"Next: ussearch pareto {study}\n      ussearch verify {bundle}")


def verdicts(delivery: Delivery) -> list[str]:
    """Return what a reader of the figures should not overlook."""
    metrics, router = delivery.bundle.manifest.metrics, delivery.bundle.manifest.router
    asked, images = router.requested_share, counted(router.calibration_images, "calibration image")
    lines = []
    if router.policy is None and router.reason:
        lines.append(
            f"Every image stays on the edge: {router.reason}. ussearch route with a policy sends some nevertheless."
        )
    elif (metrics.routed["selection"] or 0.0) <= (metrics.edge["selection"] or 0.0):
        lines.append(
            "The pair is no better than the edge network alone on these images (selection): routing gains nothing "
            "here; search or train longer, or choose another cloud network with ussearch export --cloud."
        )
    if metrics.offload_share > asked + SHARE_TOLERANCE:
        lines.append(
            f"{metrics.offload_share:.0%} of the test images go to the cloud where {asked:.0%} were asked for: the "
            f"threshold comes from {images}, few for a share."
        )
    return lines


def by_reason(reasons: Mapping[str, str]) -> dict[str, list[str]]:
    """Return names grouped by their reason."""
    grouped: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        grouped.setdefault(reason, []).append(name)
    return grouped


def _rungs(config: StudyConfig) -> str:
    if config.halving is None:
        return ""
    *earlier, _ = config.halving.epochs(config.recipe.epochs)
    after = " and ".join(map(str, earlier))
    return f" for the best of each {config.halving.bracket}, stopped after {after} else"


def _repeats(seeds: int) -> str:
    return f", each from {seeds} random starts, the best kept" if seeds > 1 else ""


def _figures(summary: Mapping[str, Any]) -> str:
    rate = summary.get("false_positive_rate")
    false_positives = "   –" if rate is None else f"{rate:4.0%}"
    dice, selection = _number(summary.get("lesion_dice")), _number(summary.get("selection"))
    return f"lesion Dice {dice}  false positives {false_positives}  selection {selection}"


def _stopped(record: TrialRecord) -> str:
    """Return how accuracy was come by, unless in full training; the front compares it with its like only."""
    fidelity = record.evaluation.fidelity
    return f"  {fidelity}" if fidelity != TRAINED else ""


def _latency(costs: Costs) -> str:
    """Return predicted milliseconds for a column, marked where they are extrapolated."""
    return f"{milliseconds(costs.latency_ms, costs.extrapolated):>7s}"


def _number(value: float | None) -> str:
    return "  –  " if value is None else f"{value:.3f}"


def _with_sd(summary: Mapping[str, float | None], key: str) -> str:
    mean, deviation = summary.get(key), summary.get(f"{key}_sd")
    if mean is None:
        return "–"
    digits = 1 if key == "hd95" else 3
    return f"{mean:.{digits}f}" + ("" if deviation is None else f" ± {deviation:.{digits}f}")
