"""What a search is measured against: full trainings of samples, of edited presets from chance, of presets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from searched.bench import Bench
from ussearch.evaluators import TrainingTask
from ussearch.search_spaces import Architecture, build
from ussearch.search_spaces.space import FREE

TITLES = {
    "samples": "(a) uniform samples of the old space",
    "edits": "(b) random edits of presets, from chance",
    "presets": "(c) every preset that fits",
}
TRAININGS = 40
"""Of an arm of draws, in each seed."""
STREAMS = {"samples": 1, "edits": 2}


def names(bench: Bench, arm: str, seed: int) -> list[str]:
    """Return the names of the rows of one seed of an arm, in the order in which they are trained."""
    if arm == "presets":
        return [f"presets-{seed}-{architecture.name}" for _, architecture in bench.priced.fitting]
    return [f"{arm}-{number:03d}" for number in range(seed * TRAININGS, (seed + 1) * TRAININGS)]


def made(bench: Bench, name: str) -> dict[str, Any]:
    """Return a row, which is made where it is not there yet; its seconds are those of the processor, draws included."""
    if (found := bench.known(name)) is not None:
        return found
    start = time.process_time()
    architecture, seed = _what(bench, name)
    evaluation = bench.evaluator().evaluate(TrainingTask(architecture, seed))
    seconds = time.process_time() - start
    judged = None
    if evaluation.weights is not None:
        network = build(architecture)
        network.load_state_dict(evaluation.weights)
        judged = bench.judged(network.eval())
    return bench.keep(
        name,
        {
            "name": name,
            "architecture": architecture.id,
            "told": architecture.name,
            "validated": evaluation.objective,
            "judged": judged,
            "latency_ms": evaluation.costs["edge"].latency_ms,
            "macs": evaluation.costs["edge"].macs,
            "seconds": round(seconds, 2),
            "failure": evaluation.failure,
        },
    )


def _what(bench: Bench, name: str) -> tuple[Architecture, int]:
    """Return what a row trains, and its seed."""
    arm, which, *preset = name.split("-", 2)
    if preset:
        return bench.space.bases[preset[0]], int(which)
    return next(each for each in _draws(bench, arm, int(which)) if bench.fits(each)), int(which)


def _draws(bench: Bench, arm: str, number: int) -> Iterator[Architecture]:
    generator = np.random.default_rng((STREAMS[arm], number))
    while True:
        if arm == "samples":
            yield bench.space.free.sample(int(generator.integers(2**31)))
        elif (choices := bench.space.draw(generator))["base"] != FREE:
            yield bench.space.compose(choices)
