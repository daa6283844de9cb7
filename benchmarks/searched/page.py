"""The page ``docs/results/search.md`` and its picture, from the rows that there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median

from searched import arms, searches
from searched.bench import EDGE, EPOCHS, IMAGE_SIZE, JUDGES, PHANTOMS, REFERENCE, TRAINED_ON, Bench
from searched.curves import Curve, Way, arm_rows, interval, search_rows, usual_way
from ussearch.files import write_atomically

OURS = "surrogate"
SEEDS = range(5)
BARS = {"samples": (0.2, 0.1), "edits": (0.2, 0.1), "presets": (0.5, 0.5)}
"""At which share of an arm's cost a search is to have its hypervolume, and the goal beyond."""
LEAST_GAIN = 0.05
"""Over every preset that fits, at equal cost."""
Curves = Mapping[int, Curve]


def written(bench: Bench, report: Path, picture: Path) -> bool:
    """Write page and picture; returns whether there was anything to tell."""
    way = usual_way(bench)
    made = {arm: of_arm(bench, arm, way) for arm in arms.TITLES}
    kinds = (*searches.SAMPLERS, *(name + searches.FROM_CHANCE for name in ("surrogate", "random")))
    found = {kind: curves for kind in kinds if (curves := of_search(bench, kind, way))}
    if not found.get(OURS) or not made["presets"]:
        return False
    text = "\n".join([*_opening(bench, way), *_table(bench, made, found[OURS]), *_gain(made, found[OURS])])
    text += "\n".join(["", *_samplers(bench, made, found), *_other_ways(bench, way)]) + "\n"
    write_atomically(report, text)
    draw(made, found, picture)
    print(text)
    return True


def of_arm(bench: Bench, arm: str, way: Way) -> Curves:
    """Return the curves of an arm by seed."""
    return {seed: Curve.of(rows, way) for seed in SEEDS if (rows := arm_rows(bench, arm, seed))}


def of_search(bench: Bench, sampler: str, way: Way) -> Curves:
    """Return the curves of a sampler by seed."""
    return {seed: Curve.of(rows, way) for seed in SEEDS if (rows := search_rows(bench, sampler, seed))}


def shares(made: Curves, found: Curves) -> list[float]:
    """Return at which share of an arm's cost each search has the arm's hypervolume."""
    common = [seed for seed in found if seed in made]
    return [found[seed].reaches(made[seed].end[1]) / made[seed].end[0] for seed in common]


def gains(made: Curves, found: Curves) -> list[float]:
    """Return by which share each search exceeds an arm's hypervolume at the arm's cost."""
    common = [seed for seed in found if seed in made]
    return [found[seed].at(made[seed].end[0]) / made[seed].end[1] - 1 for seed in common]


def _opening(bench: Bench, way: Way) -> Iterator[str]:
    bases = ", ".join(each.name for each in bench.bases.seeds)
    yield "# Is a search cheap?"
    yield ""
    yield "Written by `python benchmarks/search.py page` from the rows in `benchmarks/data/search`."
    yield ""
    yield (
        f"{PHANTOMS} phantoms at {IMAGE_SIZE}×{IMAGE_SIZE}, of which {TRAINED_ON} train and the others choose; "
        f"{EPOCHS} epochs, batches of 4, the usual recipe. Device: {EDGE}. Beside a search stand full trainings from "
        f"chance: (a) {arms.TRAININGS} uniform samples of the old space, (b) {arms.TRAININGS} presets with a few edits "
        f"at random, (c) each of the {len(bench.priced.fitting)} presets that fit. A search may cost as much as (c) "
        f"and begins as `run --budget` would: with presets that take at most a third of that ({bases}). Cost is "
        "processor-seconds on one thread, everything included: bases, drafts, recalibrated norms, trainings that "
        "failed. What judges is not counted."
    )
    yield ""
    yield (
        f"**Hypervolume** is taken over the objective (lesion Dice less false positives) on {JUDGES} other phantoms "
        "and the logarithm of the predicted milliseconds, of those networks that are on the front by what was *seen*: "
        f"what a user would choose. Its reference point was fixed beforehand: objective {REFERENCE}, which the best "
        f"predictor without a network has, and the device's limit of {way.limit_ms:.1f} ms. A hypervolume is reached "
        "once it is kept until the end."
    )
    yield ""


def _table(bench: Bench, made: Mapping[str, Curves], ours: Curves) -> Iterator[str]:
    yield "## What full trainings reach, and when the search does"
    yield ""
    yield "| | trainings | hypervolume | processor-seconds | the search has it at | at most | goal | |"
    yield "|---|---:|---:|---:|---:|---:|---:|---|"
    for arm, title in arms.TITLES.items():
        least, goal = BARS[arm]
        curves = made[arm]
        if not curves:
            yield f"| {title} | 0 | not made yet | | | {least:.0%} | {goal:.0%} | |"
            continue
        seconds, volumes = (fmean(curve.end[at] for curve in curves.values()) for at in (0, 1))
        reached = shares(curves, ours)
        verdict = _verdict(median(reached) <= least, len(reached))
        yield (
            f"| {title} | {_trainings(bench, arm)} | {volumes:.3f} | {seconds:.0f} | {_share(median(reached))} of its "
            f"cost ({', '.join(map(_share, sorted(reached)))}) | {least:.0%} | {goal:.0%} | {verdict} |"
        )
    yield ""
    yield (
        f"The search: {len(ours)} seeds, paired with those of the arms; medians, all of them in brackets. Where an arm "
        f"of draws has only the {arms.TRAININGS} trainings of one seed, the others are the same ones in another order: "
        "its hypervolume in the end is one figure, without an interval."
    )
    yield ""


def _trainings(bench: Bench, arm: str) -> int:
    """Return how many different trainings stand behind an arm."""
    return len({row["name"] for seed in SEEDS for row in arm_rows(bench, arm, seed)})


def _verdict(holds: bool, seeds: int) -> str:
    so_far = "" if seeds == len(SEEDS) else f", by {seeds} of {len(SEEDS)} seeds"
    return ("holds" if holds else "**missed**") + so_far


def _share(value: float) -> str:
    return "never" if value == float("inf") else f"{value:.0%}"


def _gain(made: Mapping[str, Curves], ours: Curves) -> Iterator[str]:
    mean, low, high = interval(gains(made["presets"], ours))
    many = len(ours) > 1
    told = f"95 % interval over seeds {low:+.1%} to {high:+.1%}" if many else "one seed, no interval yet"
    verdict = _verdict(mean >= LEAST_GAIN and (low > 0 or not many), len(ours))
    yield "![Hypervolume over processor-seconds](../pictures/search.png)"
    yield ""
    yield (
        f"At equal cost the search exceeds (c) by {mean:+.1%} ({told}); asked are {LEAST_GAIN:.0%}, interval above 0: "
        f"{verdict}."
    )
    yield ""


def _samplers(bench: Bench, made: Mapping[str, Curves], found: Mapping[str, Curves]) -> Iterator[str]:
    yield "## Samplers, with and without inheritance"
    yield ""
    yield (
        "The same search with other samplers, and with every candidate trained from chance for the whole course. "
        "Hypervolume at half of the cost of (c) and at all of it, means over seeds; trials and the share of the cost "
        "that is not training."
    )
    yield ""
    yield "| | seeds | at half | at equal cost | against (c) | trials | not training |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    cost = fmean(curve.end[0] for curve in made["presets"].values())
    for kind, curves in found.items():
        rows = [search_rows(bench, kind, seed) for seed in curves]
        beside = fmean(1 - sum(r["training_seconds"] for r in each) / sum(r["seconds"] for r in each) for each in rows)
        half, whole = (fmean(curve.at(share * cost) for curve in curves.values()) for share in (0.5, 1.0))
        title = kind.replace(searches.FROM_CHANCE, ", from chance")
        yield (
            f"| {title} | {len(curves)} | {half:.3f} | {whole:.3f} | {fmean(gains(made['presets'], curves)):+.1%} | "
            f"{fmean(map(len, rows)):.0f} | {beside:.0%} |"
        )
    yield ""


def _other_ways(bench: Bench, way: Way) -> Iterator[str]:
    yield "## Counted in other ways"
    yield ""
    yield "| | at which share of the cost of (a) | of (b) | of (c) | above (c) at equal cost |"
    yield "|---|---:|---:|---:|---:|"
    ways = {
        "as above": way,
        "milliseconds instead of their logarithm": replace(way, logarithmic=False),
        "every network that was trained, not only the front by what was seen": replace(way, all_count=True),
    }
    for title, other in ways.items():
        ours = of_search(bench, OURS, other)
        made = [of_arm(bench, arm, other) for arm in arms.TITLES]
        cells = [_share(median(shares(curves, ours))) if curves else "–" for curves in made]
        yield f"| {title} | {' | '.join(cells)} | {interval(gains(made[-1], ours))[0]:+.1%} |"


def draw(made: Mapping[str, Curves], found: Mapping[str, Curves], path: Path) -> None:
    """Draw all curves of a kind in one colour."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    shown: Sequence[tuple[str, Curves]] = [*((arms.TITLES[arm], each) for arm, each in made.items()), *found.items()]
    for number, (title, curves) in enumerate(shown):
        style = {"linewidth": 2.0, "color": "black"} if title == OURS else {"linewidth": 1.0, "color": f"C{number}"}
        for at, curve in enumerate(curves.values()):
            axes.step(curve.seconds, curve.volumes, where="post", label=None if at else title, **style)  # type: ignore[arg-type]
    axes.set(xlabel="processor-seconds", ylabel="hypervolume", xscale="log")
    axes.legend(frameon=False, fontsize="small")
    figure.savefig(path, dpi=150)
    plt.close(figure)
