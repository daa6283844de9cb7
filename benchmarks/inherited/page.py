"""The page: what each way of training a child loses against a full training, at what share of its cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean
from typing import Any

import numpy as np
from scipy.stats import kendalltau

CHILDREN = 40
"""As many as are planned."""

RESAMPLES = 10_000
FULL = ("full A", "full B")
TITLES = {
    "inherited": "inherited, 2 epochs",
    "inherited, longer": "inherited, 4 epochs, as in a search",
    "by importance": "inherited, the parent's channels by importance first, 2 epochs",
    "crude copy": "crude copy of tensors called alike, 2 epochs",
    "function kept": "inherited, what reads new channels zero, 2 epochs",
    "parent": "the parent, unchanged",
    "scratch": "from scratch, 2 epochs",
    "full B": "one full training, other seed",
}


def page(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the whole page of the rows that there are."""
    by_arm = {arm: {row["number"]: row for row in rows if row["arm"] == arm} for arm in (*FULL, *TITLES)}
    numbers = sorted(set.intersection(*(set(found) for found in by_arm.values() if found)))
    lines = ["# What a trained relative is worth", "", *_opening(len(numbers)), "", *_table(by_arm, numbers)]
    return "\n".join([*lines, "", *_foot(by_arm, numbers)]) + "\n"


def _opening(children: int) -> Iterator[str]:
    planned = "" if children == CHILDREN else f" (so many of {CHILDREN} are made; the rest is missing here)"
    yield (
        f"{children} children{planned} of three trained bases, edited as a search edits, with at least three shapes "
        "changed: 300 phantoms at 64×64, full trainings of 15 epochs. The truth is the mean of two full trainings from "
        "scratch; every network is judged on 300 other phantoms by the objective (lesion Dice less the share of false "
        "positives). Made by `python benchmarks/inheritance.py` from the rows in `benchmarks/data/inheritance`."
    )


def _table(by_arm: Mapping[str, Mapping[int, Any]], numbers: Sequence[int]) -> Iterator[str]:
    yield "| | mean score | against full training, points | 95 % interval | share of its time | τ with the truth |"
    yield "|---|---:|---:|---:|---:|---:|"
    truth = [mean(by_arm[arm][number]["score"] for arm in FULL) for number in numbers]
    cost = [mean(by_arm[arm][number]["seconds"] for arm in FULL) for number in numbers]
    for arm, title in TITLES.items():
        found = [by_arm[arm][number] for number in numbers if number in by_arm[arm]]
        if len(found) < len(numbers) or not found:
            continue
        against = [by_arm["full A"][number]["score"] for number in numbers] if arm == "full B" else truth
        gaps = [100 * (row["score"] - other) for row, other in zip(found, against, strict=True)]
        low, high = interval(gaps)
        scores = [row["score"] for row in found]
        share = sum(row["seconds"] for row in found) / sum(cost)
        yield (
            f"| {title} | {mean(scores):.3f} | {mean(gaps):+.1f} | {low:+.1f} to {high:+.1f} | {share:.0%} "
            f"| {_tau(scores, against)} |"
        )


def _tau(scores: Sequence[float], truth: Sequence[float]) -> str:
    found = float(kendalltau(scores, truth).statistic)
    return "–" if np.isnan(found) else f"{found:.2f}"


def interval(gaps: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of a mean over children, by resampling them."""
    values = np.array(gaps)
    drawn = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _foot(by_arm: Mapping[str, Mapping[int, Any]], numbers: Sequence[int]) -> Iterator[str]:
    shares = [by_arm["inherited"][number]["share"] for number in numbers if number in by_arm["inherited"]]
    if shares:
        yield (
            f"Of a child's values {mean(shares):.0%} come from its relative in the mean ({min(shares):.0%} to "
            f"{max(shares):.0%}). Time is that of the processor, recalibration of norms included."
        )
