"""The page: figures of every network, paired differences, and what they cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

import numpy as np

from busi.protocol import Judged
from busi.runs import Run

RESAMPLES = 10_000


@dataclass(frozen=True)
class Network:
    """What one network costs on this machine, and its runs by split."""

    name: str
    parameters: int
    macs: int
    latency_ms: float
    busy: bool
    """Whether the machine had so much else to do that the latency is not the network's own."""
    runs: Mapping[int, Run]


@dataclass(frozen=True)
class Difference:
    """Mean difference of per-image IoU in points with its 95 % interval."""

    first: str
    second: str
    points: float
    low: float
    high: float

    @property
    def evident(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def paired_difference(first: Network, second: Network, seed: int = 0) -> Difference:
    """Return how much better ``first`` is than ``second`` on the same images, last epoch, by a paired bootstrap.

    Images are resampled within each split; the splits overlap, so that they are no independent repetitions and the
    interval speaks of images, not of trainings.
    """
    generator = np.random.default_rng(seed)
    splits = sorted(first.runs.keys() & second.runs.keys())
    gaps = [100 * (first.runs[number].last.iou - second.runs[number].last.iou) for number in splits]
    resampled = np.mean(
        [gap[generator.integers(len(gap), size=(RESAMPLES, len(gap)))].mean(axis=1) for gap in gaps], axis=0
    )
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Difference(first.name, second.name, float(np.mean([gap.mean() for gap in gaps])), float(low), float(high))


def page(networks: Sequence[Network], label: str, setting: Sequence[str]) -> str:
    """Return the whole page; ``label`` says what kind of run it was, ``setting`` how it was made."""
    lines = ["# Accuracy on BUSI by the published splits", "", f"**{label}**", "", *setting, "", *_table(networks)]
    if len(networks) > 1:
        lines += ["", *_differences(networks)]
    return "\n".join([*lines, "", *_foot(networks)]) + "\n"


def _table(networks: Sequence[Network]) -> Iterator[str]:
    yield (
        "| network | parameters | MMACs | ms | IoU, batches of 8 | IoU per image | Dice per image "
        "| *best epoch:* IoU, batches | *best epoch:* IoU per image |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    for each in networks:
        last, best = ([getattr(run, key) for run in each.runs.values()] for key in ("last", "best"))
        cells = [
            f"{each.parameters:,}",
            f"{each.macs / 1e6:,.0f}",
            f"{each.latency_ms:.1f}{'†' if each.busy else ''}",
            *_figures(last),
            _spread([judged.dice.mean() for judged in last]),
            *(f"*{figure}*" for figure in _figures(best)),
        ]
        yield f"| {each.name} | {' | '.join(cells)} |"


def _figures(judged: Sequence[Judged]) -> tuple[str, str]:
    return _spread([each.pooled_iou for each in judged]), _spread([each.iou.mean() for each in judged])


def _spread(values: Sequence[float]) -> str:
    """Return mean ± SD over splits in points."""
    points = [100 * float(value) for value in values]
    return f"{mean(points):.2f}" + (f" ± {stdev(points):.2f}" if len(points) > 1 else "")


def _differences(networks: Sequence[Network]) -> Iterator[str]:
    ordered = sorted(networks, key=lambda each: -mean(float(run.last.iou.mean()) for run in each.runs.values()))
    yield "Paired differences of IoU per image (last epoch; bootstrap over images, 95 % interval):"
    yield ""
    yield "| network | against | points | interval | |"
    yield "|---|---|---:|---:|---|"
    for position, first in enumerate(ordered):
        for second in ordered[position + 1 :]:
            found = paired_difference(first, second)
            verdict = "" if found.evident else "no evidence"
            interval = f"{found.low:+.2f} to {found.high:+.2f}"
            yield f"| {first.name} | {second.name} | {found.points:+.2f} | {interval} | {verdict} |"


def _foot(networks: Sequence[Network]) -> Iterator[str]:
    runs = [run for each in networks for run in each.runs.values()]
    yield (
        "Figures are those of the last epoch, in points, mean ± SD over splits. *Best epoch* is the one with the "
        "highest Dice on the very images that are reported, as in the published tables: it selects on the test set and "
        "is shown for comparison with them only."
    )
    yield ""
    yield (
        "IoU over batches pools the pixels of eight images in the published order; per image every image counts the "
        "same. Parameters and MACs are those of the deploy form; ms is what onnxruntime takes with one thread on this "
        "machine at its best, measured in this run."
    )
    if any(each.busy for each in networks):
        yield ""
        yield "†: the machine was busy with other work all the time, alone it is faster: no figure to compare."
    yield ""
    minutes = {each.name: sum(run.seconds for run in each.runs.values()) / 60 for each in networks}
    trained = ", ".join(f"{name} {value:.1f}" for name, value in minutes.items())
    yield f"Minutes of training ({', '.join(sorted({run.device for run in runs}))}): {trained}."
