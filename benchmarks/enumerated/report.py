"""The page ``docs/results/search.md`` and its picture."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau, wilcoxon

from enumerated.contest import OURS, Result
from enumerated.race import TARGET, Table
from enumerated.subspace import CHOICES
from enumerated.table import PHANTOMS, PROFILE, RECIPE, TRAINED_ON

LEAST_TAU = 0.6
GATES = {"random": 3.0, "NSGA-II": 1.5}
"""How many times fewer trainings ours must need than each."""
LEVEL = 0.05
SHOWN = 70
"""Trainings in the picture."""


Checks = Mapping[str, Sequence[Result]]
"""Results on the same table counted in other ways, by what is different."""


def page(rows: Sequence[dict[str, Any]], table: Table, results: Sequence[Result], checks: Checks, seeds: range) -> str:
    """Return the page."""
    seen, scored = -table.seen[:, 0], -table.scored[:, 0]
    tau = float(kendalltau(seen, scored).statistic)
    lines = [
        "# How many trainings a search needs",
        "",
        "Written by `python benchmarks/search.py compare`; the data is `benchmarks/data/search_table.csv`, made by",
        "`python benchmarks/search.py table`.",
        "",
        *_table_section(rows, table, tau),
        *_target_section(table),
        *_results_section(results, seeds),
        *_gates_section(results),
        *_checks_section(checks),
    ]
    return "\n".join(lines) + "\n"


def _table_section(rows: Sequence[dict[str, Any]], table: Table, tau: float) -> list[str]:
    seconds = sum(row["cpu_seconds"] for row in rows)
    choices = ", ".join(f"{name.replace('_', ' ')} ({len(values)})" for name, values in CHOICES.items())
    verdict = "enough to rank" if tau >= LEAST_TAU else f"**below {LEAST_TAU}: training must be longer**"
    latency = table.seen[:, 1]
    return [
        "## The table",
        "",
        f"{len(table.points)} points, every combination of {choices}, each another network of the standard space at "
        f"{PHANTOMS.image_size}×{PHANTOMS.image_size}. Each was trained with two seeds, A and B, for {RECIPE.epochs} "
        f"epochs on {TRAINED_ON} phantoms and judged by its selection Dice on {PHANTOMS.count - TRAINED_ON} others, "
        f"{seconds / 60:.0f} minutes of processor time in all on one thread. Latency is the prediction for {PROFILE}: "
        f"{latency.min():.2f} to {latency.max():.2f} ms, median {np.median(latency):.2f} ms. Memory differs by less "
        "than a tenth and is left out.",
        "",
        f"Kendall's τ between the two seeds' Dice is **{tau:.2f}** ({verdict}). Dice by seed A: median "
        f"{np.median(-table.seen[:, 0]):.3f}, best {-table.seen[:, 0].min():.3f}; the seeds differ by "
        f"{np.std(table.seen[:, 0] - table.scored[:, 0]) / 2**0.5:.3f} (standard deviation of one training).",
        "",
    ]


def _target_section(table: Table) -> list[str]:
    share = table.reachable / table.best
    if table.reachable >= TARGET * table.best:
        target = f"The target is {TARGET:.0%} of the best hypervolume of the table on seed B, {table.best:.4f}."
    else:
        target = (
            f"The target is {TARGET:.0%} of {table.reachable:.4f}, which is what the front of *all* points by seed A "
            f"scores on seed B: {share:.1%} of the best hypervolume on seed B ({table.best:.4f}), so that "
            f"{TARGET:.0%} of that one is beyond anybody who sees seed A only."
        )
    return [
        "## What is counted",
        "",
        "A sampler sees seed A; after each training the front of what it has trained, by seed A, is scored by its "
        "hypervolume on seed B. " + target,
        "",
        f"The reference point is Dice {-table.reference[0]:.3f} and {table.reference[1]:.3f} ms: a tenth of its range "
        "beyond the worst of the table's front on seed B in each objective. No sampler is told.",
        "",
        "Asking again for a point that is known is free for all. A search that never gets there counts the table's "
        "size. The surrogate may ask the latency model for the cost of any point, as it may in a search; of the table "
        'it sees what it trained. "Without prices" it learns latency from finished trainings too.',
        "",
    ]


def _results_section(results: Sequence[Result], seeds: range) -> list[str]:
    ours = _ours(results)
    lines = [
        "## Trainings needed",
        "",
        f"{len(seeds)} searches each, seeds {seeds[0]} to {seeds[-1]}. The sampler was developed with other seeds "
        "(from 1000 on), first on the unfinished table completed by guesses, then on this one: its start-up "
        "of four and the smoothing of its front were chosen there, so that on other spaces it may gain less. p: "
        "one-sided Wilcoxon test, paired by seed, that the surrogate needs fewer.",
        "",
        "| sampler | median | quartiles | never | times ours | p |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for result in results:
        low, median, high = np.quantile(result.needed, [0.25, 0.5, 0.75])
        never = sum(not each.reached for each in result.runs)
        ratio, p = (f"{median / np.median(ours.needed):.2f}", f"{advantage(ours, result):.1g}")
        versus = ("", "") if result is ours else (ratio, p)
        title = f"**{result.entry.title}**" if result is ours else result.entry.title
        lines.append(f"| {title} | {median:g} | {low:g} – {high:g} | {never} | {versus[0]} | {versus[1]} |")
    return [*lines, "", "![Hypervolume over trainings](../pictures/search.png)", ""]


def _gates_section(results: Sequence[Result]) -> list[str]:
    ours = _ours(results)
    lines = ["## Verdict", ""]
    for name, least in GATES.items():
        rival = best_of(results, name)
        ratio, p = np.median(rival.needed) / np.median(ours.needed), advantage(ours, rival)
        verdict = "PASS" if ratio >= least and p < LEVEL else "MISS"
        lines.append(
            f"- {verdict}: {ratio:.2f} × fewer trainings than {rival.entry.title} (at least {least:g}), p = {p:.1g}"
        )
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    return [*lines, "", f"Searches were run on {machine}; they depend on seeds, not on the machine's speed.", ""]


def _checks_section(checks: Checks) -> list[str]:
    lines = [
        "## Counted in other ways",
        "",
        "Median trainings needed, and how many times ours, where something else is counted on the same table.",
        "",
        "| counted | searches | surrogate | random | best NSGA-II |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for title, results in checks.items():
        ours = _ours(results)
        cells = [str(len(ours.runs)), f"{np.median(ours.needed):g}"]
        for name in ("random", "NSGA-II"):
            median = np.median(best_of(results, name).needed)
            cells.append(f"{median:g} ({median / np.median(ours.needed):.2f} ×)")
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return [*lines, ""]


def _ours(results: Sequence[Result]) -> Result:
    return next(result for result in results if result.entry.title == OURS)


def best_of(results: Sequence[Result], name: str) -> Result:
    """Return the result with the smallest median among the entries whose title begins with ``name``."""
    rivals = [result for result in results if result.entry.title.startswith(name)]
    return min(rivals, key=lambda result: float(np.median(result.needed)))


def advantage(ours: Result, rival: Result) -> float:
    """Return the p-value of the paired one-sided test that ours needs fewer trainings."""
    if ours.needed == rival.needed:
        return 1.0
    return float(wilcoxon(ours.needed, rival.needed, alternative="less").pvalue)


def draw(results: Sequence[Result], table: Table, path: Path) -> None:
    """Draw the median score over trainings; a search that has reached its goal stays where it is."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for result in results:
        curves = [
            np.array([*each.scores[:SHOWN], *[each.scores[-1]] * (SHOWN - len(each.scores))]) for each in result.runs
        ]
        style = {"linewidth": 2.5, "color": "black"} if result.entry.title == OURS else {"linewidth": 1.2}
        axes.plot(
            np.arange(1, SHOWN + 1), np.median(curves, axis=0) / table.reachable, label=result.entry.title, **style
        )
    axes.axhline(TARGET, color="grey", linestyle=":")
    axes.set(xlabel="trainings", ylabel="hypervolume, share of the whole table's", ylim=(0.4, 1.05))
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)
