"""What two workers save: twelve trainings by one one-thread worker, by two, and by one worker with two threads.

Equal trials: one architecture, different seeds. Mixed trials: sampled architectures, as a search has them. Workers are
started and have trained once before the clock starts; how long that took is printed. Writes
``docs/results/workers.md``.

    python benchmarks/workers.py [--quick] [--rounds N]
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ussearch.datasets import PhantomParameters, phantoms_from, prepare, split
from ussearch.evaluators import Recipe, TrainEvaluator, TrainingTask
from ussearch.hardware_profiles import load_profile
from ussearch.search_spaces import Architecture, FreeSpace, load_preset
from ussearch.studies.executors import Message, ProcessExecutor

REPORT = Path(__file__).resolve().parents[1] / "docs" / "results" / "workers.md"
SIZE = 64
TRIALS = 12
TWO_TO_ONE, WORKERS_TO_THREADS = 0.60, 0.85
"""Limits: two one-thread workers beside one, and beside one worker with two threads."""


@dataclass(frozen=True)
class Setting:
    """How many workers, with how many threads each."""

    workers: int
    threads: int

    @property
    def name(self) -> str:
        """In words."""
        number, plural = ("one", "") if self.workers == 1 else ("two", "s")
        return f"{number} {'one' if self.threads == 1 else 'two'}-thread worker{plural}"


SETTINGS = (Setting(1, 1), Setting(2, 1), Setting(1, 2))


@dataclass(frozen=True)
class Timing:
    """Seconds of one round: of starting the workers with a first training, and of all trials after that."""

    start_s: float
    trials_s: float


def main() -> None:
    """Measure, judge and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short trials and one round: does it run? Writes nothing")
    parser.add_argument("--rounds", type=int, default=2, help="repeats of every measurement; the fastest counts")
    arguments = parser.parse_args()
    evaluator = made_evaluator(*((60, 1) if arguments.quick else (300, 3)))
    one = load_preset("cea-net-standin").architecture.for_task()
    space = FreeSpace.standard(SIZE)
    mixed = [space.sample(seed) for seed in range(TRIALS)]
    rounds = 1 if arguments.quick else arguments.rounds
    load = os.getloadavg()[0]
    text = report(
        measured("equal", evaluator, [one] * TRIALS, rounds), measured("mixed", evaluator, mixed, rounds), load
    )
    print(text)
    if not arguments.quick:
        REPORT.write_text(text, encoding="utf-8")


def made_evaluator(count: int, epochs: int) -> TrainEvaluator:
    """Return the training of phantoms that is timed."""
    images = prepare(phantoms_from(PhantomParameters(count=count, seed=0, image_size=SIZE)), SIZE)
    profiles = {"edge": load_profile("jetson-nano"), "cloud": load_profile("x86-server")}
    return TrainEvaluator(images, split(images), Recipe(batch_size=4, epochs=epochs), profiles)  # type: ignore[arg-type]


def measured(
    title: str, evaluator: TrainEvaluator, architectures: Sequence[Architecture], rounds: int
) -> dict[Setting, list[Timing]]:
    """Time all settings in turn, ``rounds`` times, so that a slow minute of the machine hits all of them."""
    timings: dict[Setting, list[Timing]] = {setting: [] for setting in SETTINGS}
    for number in range(rounds):
        for setting in SETTINGS:
            timing = timed(evaluator, architectures, setting)
            timings[setting].append(timing)
            print(
                f"{title}, round {number + 1}, {setting.name}: started in {timing.start_s:.1f} s, "
                f"{len(architectures)} trials in {timing.trials_s:.1f} s",
                flush=True,
            )
    return timings


def timed(evaluator: TrainEvaluator, architectures: Sequence[Architecture], setting: Setting) -> Timing:
    """Time the training of all architectures, each with a seed of its own."""
    executor = ProcessExecutor(evaluator, setting.workers, setting.threads)
    try:
        start = time.perf_counter()
        finish(
            executor, [TrainingTask(architectures[0], trial_id, -1 - trial_id) for trial_id in range(setting.workers)]
        )
        ready = time.perf_counter()
        finish(executor, [TrainingTask(each, trial_id, trial_id) for trial_id, each in enumerate(architectures)])
        return Timing(ready - start, time.perf_counter() - ready)
    finally:
        executor.close()


def finish(executor: ProcessExecutor, tasks: Sequence[TrainingTask]) -> None:
    """Have all tasks evaluated; raises RuntimeError where one is lost."""
    for task in tasks:
        executor.submit(task)
    for _ in tasks:
        outcome = executor.collect(_ignore)
        if outcome.evaluation is None:
            raise RuntimeError(f"trial {outcome.trial_id} was lost: {outcome.reason}")


def _ignore(message: Message) -> None:
    """Listen to nothing."""


def report(equal: dict[Setting, list[Timing]], mixed: dict[Setting, list[Timing]], load: float) -> str:
    """Return the figures with their verdicts as Markdown."""
    one, two, threaded = (best(equal[setting]) for setting in SETTINGS)
    lines = [
        "# What workers save",
        "",
        f"Made by `benchmarks/workers.py` with {os.cpu_count()} cores ({platform.machine()}), load {load:.1f} before "
        f"it began. {TRIALS} trainings on 300 phantoms at {SIZE}×{SIZE}; workers started and warm before the clock "
        "starts; the fastest of the rounds counts.",
        "",
        "| | equal trials (s) | mixed trials (s) | start-up and first training, excluded (s) |",
        "|---|---|---|---|",
    ]
    for setting in SETTINGS:
        start_s = min(timing.start_s for timing in equal[setting])
        lines.append(f"| {setting.name} | {_rounds(equal[setting])} | {_rounds(mixed[setting])} | {start_s:.1f} |")
    mixed_one, mixed_two, mixed_threaded = (best(mixed[setting]) for setting in SETTINGS)
    lines += [
        "",
        f"- Two one-thread workers take {two / one:.2f} of one one-thread worker's time (limit {TWO_TO_ONE:.2f}: "
        f"{_verdict(two / one, TWO_TO_ONE)}); mixed trials {mixed_two / mixed_one:.2f}.",
        f"- Two one-thread workers take {two / threaded:.2f} of one two-thread worker's time (limit "
        f"{WORKERS_TO_THREADS:.2f}: {_verdict(two / threaded, WORKERS_TO_THREADS)}); mixed trials "
        f"{mixed_two / mixed_threaded:.2f}.",
        "",
    ]
    return "\n".join(lines)


def best(timings: Sequence[Timing]) -> float:
    """Return the time of the least disturbed round."""
    return min(timing.trials_s for timing in timings)


def _rounds(timings: Sequence[Timing]) -> str:
    return f"**{best(timings):.1f}** ({', '.join(f'{timing.trials_s:.1f}' for timing in timings)})"


def _verdict(value: float, limit: float) -> str:
    return "kept" if value <= limit else "MISSED"


if __name__ == "__main__":
    main()
