"""What a run will do, before it does it, and where its time went."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from ussearch.cli.console import console, counted, score_line
from ussearch.cli.option_values import spoken
from ussearch.cli.run_parameters import is_of_reading
from ussearch.datasets.checking.check import SPLIT_NOT_USED
from ussearch.datasets.reading.rows import loss_rows, reading_rows
from ussearch.run_options import run_options
from ussearch.studies import StudyConfig
from ussearch.studies.data_source import DataSource
from ussearch.studies.earlier_training import judged_and_trained, keeps_apart
from ussearch.studies.plan import Plan
from ussearch.studies.rounds import Rounds
from ussearch.studies.timings import TRAINING_STAGES, SearchTimings
from ussearch.weights import require_digest
from ussearch.weights.asked import OFF

if TYPE_CHECKING:
    from ussearch.pipeline import Delivery


def print_plan(plan: Plan) -> None:
    """Print what a run will do."""
    config = plan.config
    parts = ", ".join(f"{name} {len(part)}" for name, part in plan.study_context.split.parts().items())
    console.print(f"Data: {config.data.name} ({config.data.reader}), {config.data.images} images: {parts}")
    for group in plan.study_context.split.leaking_groups[:3]:
        console.print(f"  the given split tears apart: {', '.join(group)}")
    for line in (*_found_lines(plan), *_reading_lines(config.data), *_left_out_lines(plan)):
        console.print(f"  {line}", soft_wrap=True)
    console.print(
        f"Space: 10^{plan.space.log10_size:.0f} combinations at {config.image_size}×{config.image_size} pixels"
    )
    for reason in sorted({removal.reason for removal in plan.removals}):
        values = sorted({f"{removal.choice} {removal.value}" for removal in plan.removals if removal.reason == reason})
        console.print(f"  removed for {config.edge.name}: {', '.join(values)}: {reason}")
    if plan.depths_left_out:
        depths = ", ".join(map(str, plan.depths_left_out))
        console.print(f"  left out: {depths} stages, which would halve {config.image_size} pixels below 4")
    for tier, profile in config.profiles.items():
        low, high = plan.feasibility.latency_range_ms[tier]
        console.print(
            f"{tier.capitalize()}: {profile.name}, at most {profile.limits_in_words(config.image_size)}; "
            f"{plan.feasibility.feasible_share[tier]:.0%} of random architectures "
            f"fit ({low:.1f} to {high:.1f} ms, {profile.label})"
        )
        least, most = plan.feasibility.latency_interval_ms[tier]
        console.print(
            f"  90 % intervals within {least:.1f} to {most:.1f} ms; "
            f"{plan.feasibility.extrapolated_share[tier]:.0%} of the predictions are extrapolated (marked ~)"
        )
    console.print(f"Presets first: {', '.join(config.initial_architectures) or 'none'}")
    for reason, names in by_reason(plan.seeds.skipped).items():
        console.print(f"  without {', '.join(names)}: {reason}")
    for line in (*_pretrained_lines(config), *_trained_before_lines(plan)):
        console.print(f"  {line}", soft_wrap=True)
    if config.run.budget is not None:
        asked = " (the usual one; --budget asks for another)" if plan.usual_budget else ""
        console.print(f"Budget: {spoken(config.run.budget)}{asked}; the run ends in this time")
        for sentence in plan.given_up:
            console.print(f"  too short for {sentence}", soft_wrap=True)
    about = "about " if config.run.budget is not None else ""
    sampled = plan.expected_trials - len(config.initial_architectures)
    console.print(
        f"Trials: {about}{plan.expected_trials} ({len(config.initial_architectures)} presets of "
        f"{counted(config.recipe.epochs, 'epoch')}, {sampled} that start from them{_child_epochs(config)}), then two "
        f"full trainings{_lengths(config)}"
    )
    search, final = spoken(plan.search_seconds), spoken(plan.final_seconds)
    done = f", {config.counted(plan.finished)} are finished" if plan.finished else ""
    console.print(f"Predicted time: search {search}, full training {final} (to about a factor of two){done}")
    console.print("To beat (validation):")
    width = max(map(len, plan.baselines), default=0)
    for name, summary in plan.baselines.items():
        console.print(f"  {name:{width}s} {score_line(summary)}")


def _found_lines(plan: Plan) -> Iterator[str]:
    """Yield what was found besides images: classes, patients, lesions; nothing of phantoms, which are made up."""
    images, dataset = plan.study_context.images, plan.study_context.dataset
    if dataset.reading is None:
        return
    if dataset.folders is not None:
        yield f"sub-folders: {dataset.folders}"
    if any(images.labels):
        classes = Counter(label or "without a class" for label in images.labels)
        yield f"classes: {', '.join(f'{name} {count}' for name, count in sorted(classes.items()))}"
    patients = {patient for patient in images.patients if patient is not None}
    unknown = sum(patient is None for patient in images.patients)
    together = f"{len(set(images.groups.tolist()))} independent groups"
    known = f"{len(patients)}{f', unknown for {unknown} images' if unknown else ''}" if patients else "unknown"
    yield f"patients: {known}; {together}"
    shares = images.masks.reshape(len(images), -1).mean(axis=1)
    marked = shares[shares > 0]
    yield f"lesions: {len(images) - len(marked)} images without; median share of the others {np.median(marked):.1%}"


def _reading_lines(data: DataSource) -> Iterator[str]:
    """Yield how the files were read, where there are any, and what of them is lost."""
    rows = [] if data.reading is None else reading_rows(data.reading)
    for title, value in (*rows, *loss_rows(data.losses)):
        yield f"{title}: {value}"


def _left_out_lines(plan: Plan) -> Iterator[str]:
    """Yield what lies in the folder and is not read, counted; ``data check`` names the files."""
    if unused := plan.study_context.split.unused_told:
        yield unused
    for problem in plan.study_context.dataset.problems:
        if problem.kind == SPLIT_NOT_USED and plan.config.run.data.split_file is None:
            yield problem.message
    kinds = Counter(problem.kind for problem in plan.study_context.dataset.problems if problem.kind != SPLIT_NOT_USED)
    if kinds:
        told = ", ".join(f"{kind} {count}" for kind, count in kinds.items())
        yield f"to know: {told} ({_check_command(plan.config)} tells more)"


def _check_command(config: StudyConfig) -> str:
    """Return the command that examines the data, read as the run reads it."""
    words = ["ussearch", "data", "check", config.data.root]
    for option in filter(is_of_reading, run_options()):
        value = getattr(config.run.data, option.path[-1])
        words += [option.flag] if value is True else [option.flag, str(value)] if value else []
    return shlex.join(words)


def _pretrained_lines(config: StudyConfig) -> Iterator[str]:
    """Yield which networks start from weights that others trained, and why others do not that could."""
    pretrained = config.pretrained
    if pretrained.asked == OFF:
        yield "all from scratch (--pretrained off)"
    elif not pretrained.starts:
        yield "none of them starts from pretrained weights (presets that can: ussearch weights list, --warm-start)"
    for start in pretrained.starts:
        path = require_digest(start.weights, Path(start.file), start.sha256)
        yield f"{start.network} starts from {path}: {start.told}"
    for network, reason in pretrained.reasons.items():
        yield f"{network} from scratch: {reason}"


def _trained_before_lines(plan: Plan) -> Iterator[str]:
    """Yield a warning where weights of the user's own were trained on images that are now to judge."""
    images, split = plan.study_context.images, plan.study_context.split
    for start in plan.config.pretrained.starts:
        file = Path(start.file)
        if start.part == "network" and (count := judged_and_trained(file, images, split)):
            earlier = keeps_apart(file, split)
            remedy = "" if earlier is None else f"; --split-file {shlex.quote(str(earlier))} keeps them apart"
            yield (
                f"note: {count} of the {counted(len(split.test), 'test image')} trained or selected the network in "
                f"{file}, and figures on them flatter{remedy}"
            )


def by_reason(reasons: Mapping[str, str]) -> dict[str, list[str]]:
    """Return names grouped by their reason."""
    grouped: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        grouped.setdefault(reason, []).append(name)
    return grouped


def _child_epochs(config: StudyConfig) -> str:
    return f", of {Rounds(0, config.recipe.epochs).child_epochs}" if "base" in config.space else ""


def _lengths(config: StudyConfig) -> str:
    if config.run.budget is not None:
        return f" as long as time allows, of at most {counted(config.final_epochs, 'epoch')}"
    return f" of {config.final_epochs}{_repeats(config.final_restarts)}"


def _repeats(seeds: int) -> str:
    return f", each from {seeds} random starts besides, the best kept" if seeds > 1 else ""


def print_timings(delivery: Delivery) -> None:
    """Print the stages of a run, and within the search what the driver and the workers did."""
    total = sum(delivery.seconds.values())
    table = _table("Timings", "wall-clock s")
    for stage, seconds in delivery.seconds.items():
        _add(table, stage, seconds, total)
        if stage == "search" and delivery.search_timings is not None:
            for activity, spent in delivery.search_timings.driver_s.items():
                _add(table, f"  driver: {activity}", spent, total)
    _add(table, "all", total, total)
    console.print(table)
    if delivery.search_timings is None or delivery.outside_training is None:
        return
    console.print(_workers(delivery.search_timings))
    console.print(
        f"Outside training and evaluation: {delivery.outside_training:.1%} of the run's time "
        f"({', '.join(TRAINING_STAGES)} and what the search trains and evaluates are inside)."
    )


def _workers(timings: SearchTimings) -> Table:
    total = timings.workers * timings.wall_s
    table = _table(f"The search's time of {counted(timings.workers, 'worker')}", "worker-seconds")
    _add(table, "training and evaluating", timings.evaluation_s, total)
    _add(table, "starting", timings.starting_s, total)
    _add(table, "waiting for a draft", timings.lacking_s, total)
    _add(table, "sending results, waiting for the driver", timings.moving_s, total)
    _add(table, "nothing left to do", timings.ending_s, total)
    return table


def _table(title: str, unit: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("")
    table.add_column(unit, justify="right")
    table.add_column("share", justify="right")
    return table


def _add(table: Table, name: str, seconds: float, total: float) -> None:
    table.add_row(name, f"{seconds:.1f}", f"{seconds / total:.1%}" if total else "–")
