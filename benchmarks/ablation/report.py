"""The page: what each factor costs and brings, what follows, and what single factors do over several levels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import mean

import numpy as np

from ablation import proof
from ablation.decisions import FREE, cost_of, verdict
from ablation.effects import Effect, Family, at_both_levels, pooled
from ablation.factors import BY_NAME, CURVES, ENCODER, FACTORS, RUNS, Factor
from ablation.rows import Row
from ablation.settings import EASY, HARD, JUDGED, SETTINGS, TRAINED_ON
from ussearch.datasets import PhantomParameters

WEIGHTS = {"phantoms": 0.5, "busi-unext": 0.25, "busi": 0.25}
"""Of the families in the figure that decides: phantoms, and BUSI with two networks."""
TITLES = {
    "busi": "BUSI, LV-UNet at 128",
    "phantoms": "phantoms, UNeXt at 64",
    "busi-unext": "BUSI, UNeXt at 64",
    "busi-lite0": "BUSI, efficientnet-lite0-unet at 128 from ImageNet's weights",
}


def families(rows: Sequence[Row], stage: str, names: Sequence[str]) -> dict[str, Family]:
    """Return the families of a stage whose finished runs tell the factors apart, in the order of the settings."""
    groups = {row["setting"]: row["groups"] for row in rows if row["kind"] == "images"}
    found = {}
    for family in dict.fromkeys(setting.family for setting in SETTINGS):
        members = {setting.name for setting in SETTINGS if setting.family == family}
        runs = [row for row in rows if row["kind"] == "run" and row["stage"] == stage and row["setting"] in members]
        made = Family(runs, groups, names)
        if runs and made.told:
            found[family] = made
    return found


def page(rows: Sequence[Row]) -> str:
    """Return the whole page."""
    design = families(rows, "design", [factor.name for factor in FACTORS])
    lines = [*_head(design), "", *_decisions(rows, design)]
    if design:
        lines += ["", *_by_family(design)]
    if WEIGHTS.keys() <= design.keys():
        lines += ["", *_by_length(design)]
    for stage, factors in (("curves", CURVES), ("encoder", ENCODER)):
        for family, each in families(rows, stage, [factor.name for factor in factors]).items():
            lines += ["", *_curves(rows, family, each, factors)]
    lines += proof.lines(list(rows))
    return "\n".join([*lines, "", *_foot(rows)]) + "\n"


def _head(design: dict[str, Family]) -> Iterator[str]:
    yield "# What the training recipe is made of"
    yield ""
    yield (
        "Which parts of the recipe pay, by Dice at equal seconds of training. Made by `benchmarks/recipe.py` from "
        "`benchmarks/data/recipe.jsonl`; it goes on where it was stopped."
    )
    yield ""
    yield (
        "**Images.** BUSI's three published training lists, each divided into images that train and images that judge. "
        "Judges are the groups of near-duplicates that no published list tests, a third of them for each list; a list "
        "trains with none of its own test images. The program refuses anything else. Masks at 256×256 judge, whatever "
        f"size a network sees. Beside BUSI two kinds of phantoms, {TRAINED_ON} to train and {JUDGED} to judge (those "
        "with a lesion), judged at 128×128."
    )
    yield ""
    yield (
        f"**Runs.** {sum(len(each.runs) for each in design.values())} trainings so far. All factors are varied "
        f"together in two-level designs of {len(FACTORS)} factors in {RUNS} runs (columns of a Hadamard matrix, dealt "
        "anew for every second block, which the next one mirrors): every run speaks of every factor. A run lasts as "
        "many steps as take the same time as so many of the former defaults: "
        f"{'; '.join(f'{TITLES[name]}: {steps}' for name, steps in _lengths(design).items()) or 'none yet'}; half of "
        "the runs last three times as long. What a step costs was measured side by side in one process. No run chooses "
        "an epoch: the last one counts."
    )
    yield ""
    yield (
        "**Figures.** Least squares over the runs; 95 % intervals by a paired bootstrap over groups of near-duplicates "
        "together with a wild bootstrap over what the model leaves of each run, which is mostly its seed. What decides "
        "is the mean of phantoms and BUSI, one half each, BUSI with two networks."
    )
    yield ""
    yield (
        "**Rule.** The other level becomes the default where its interval lies above 0, and the former one stays where "
        f"it lies below. Without evidence the level that costs less time wins (by more than {FREE:.0%} of a step, and "
        "beyond chance: the interval of the median of 15 pairs), and what costs the same stays as it was. That a cost "
        "must be beyond chance was added when the first costs had been seen: they vary by several per cent, and "
        "brightness, which takes 0.3 % of a step by itself, would have gone for a median of 0.976."
    )


def _lengths(design: dict[str, Family]) -> dict[str, str]:
    """Return the steps of a training by the former defaults, by family."""
    return {
        name: " and ".join(dict.fromkeys(str(each.steps) for each in SETTINGS if each.family == name))
        for name in design
    }


def _decisions(rows: Sequence[Row], design: dict[str, Family]) -> Iterator[str]:
    yield "## Decisions"
    yield ""
    if not WEIGHTS.keys() <= design.keys():
        missing = ", ".join(TITLES[name] for name in WEIGHTS if name not in design)
        yield f"None yet: {missing} are not complete."
        return
    effects = pooled([(weight, design[name]) for name, weight in WEIGHTS.items()])
    yield "| factor | former default | other level | a step costs | points of Dice | 95 % | default |"
    yield "|---|---|---|---:|---:|---|---|"
    for factor, effect in zip(FACTORS, effects, strict=True):
        if factor.length != 1.0:
            continue
        cost = cost_of(rows, factor)
        found = verdict(effect, cost)
        default = f"**{factor.other}**" if found.change else factor.former
        cells = [
            factor.name,
            factor.former,
            factor.other,
            "–" if cost is None else f"× {cost.ratio:.3f} ({cost.low:.2f} to {cost.high:.2f})",
            *_figures(effect),
            f"{default}: {found.why}",
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield "Cost and points are those of the other level against the former one; the cost is LV-UNet's at 128×128."


def _by_length(design: dict[str, Family]) -> Iterator[str]:
    parts = [(weight, design[name]) for name, weight in WEIGHTS.items()]
    yield "## Short and long trainings"
    yield ""
    yield (
        "The same effects apart for the runs of either length, from a model with the interaction of that factor and "
        "the length; two interactions may share a column here, so that this is a hint and decides nothing."
    )
    yield ""
    yield "| factor: other level | short | long |"
    yield "|---|---|---|"
    for factor in FACTORS:
        if factor.length == 1.0:
            cells = [" ".join(_figures(effect)) for effect in at_both_levels(parts, factor.name, "length")]
            yield f"| {factor.name}: {factor.other} | {' | '.join(cells)} |"


def _by_family(design: dict[str, Family]) -> Iterator[str]:
    yield "## By images and network"
    yield ""
    heads = [f"{TITLES[name]} ({len(each.runs)} runs)" for name, each in design.items()]
    yield f"| factor: other level | {' | '.join(heads)} |"
    yield f"|---|{'---|' * len(design)}"
    columns = [pooled([(1.0, each)]) for each in design.values()]
    for factor, effects in zip(FACTORS, zip(*columns, strict=True), strict=True):
        cells = [" ".join(_figures(effect)) for effect in effects]
        yield f"| {factor.name}: {factor.other} | {' | '.join(cells)} |"


def _curves(rows: Sequence[Row], family: str, found: Family, factors: Sequence[Factor]) -> Iterator[str]:
    yield f"## One at a time: {TITLES[family]}"
    yield ""
    yield f"Against the former defaults, {len(found.runs)} runs; at equal seconds but for the length itself."
    yield ""
    yield "| changed | a step costs | points of Dice | 95 % |"
    yield "|---|---:|---:|---|"
    network = next(setting for setting in SETTINGS if setting.family == family)
    for factor, effect in zip(factors, pooled([(1.0, found)]), strict=True):
        cost = cost_of(rows, factor, network)
        told = "–" if cost is None else f"× {cost.ratio:.2f}"
        yield f"| {factor.name} | {told} | {' | '.join(_figures(effect))} |"


def _foot(rows: Sequence[Row]) -> Iterator[str]:
    runs = [row for row in rows if row["kind"] == "run" and row["stage"] == "design"]
    yield "## Were the seconds equal?"
    yield ""
    yield "| images and network | mean seconds of a run × 1 | coefficient of variation | Dice of all runs |"
    yield "|---|---:|---:|---:|"
    for family in dict.fromkeys(setting.family for setting in SETTINGS):
        members = {setting.name for setting in SETTINGS if setting.family == family}
        own = [row for row in runs if row["setting"] in members]
        if own:
            lengths = [np.prod([BY_NAME[name].length for name in row["arm"]]) for row in own]
            seconds = np.array([row["seconds"] for row in own]) / lengths
            dice = 100 * mean(float(np.mean(row["dice"])) for row in own)
            yield f"| {TITLES[family]} | {seconds.mean():.0f} | {seconds.std() / seconds.mean():.0%} | {dice:.1f} |"
    yield ""
    yield (
        "Seconds are those of one thread's processor time, on a machine that had other work as well, which shares "
        "caches and memory with it."
    )
    yield ""
    for name, parameters in (("Easy", EASY), ("Hard", HARD)):
        given = parameters.model_dump(exclude_defaults=True)
        yield f"{name} phantoms: {', '.join(f'{key} {_plain(value)}' for key, value in given.items())}."
        yield ""
    yield f"Everything else about phantoms is as in `PhantomParameters()` (version {PhantomParameters().version})."


def _figures(effect: Effect) -> tuple[str, str]:
    return f"{effect.points:+.2f}", f"{effect.low:+.2f} to {effect.high:+.2f}"


def _plain(value: object) -> str:
    return " to ".join(map(str, value)) if isinstance(value, tuple) and len(value) == 2 else str(value)
