"""LV-UNet at the former and at the package's defaults, in equal seconds and in equal epochs, on BUSI.

First on the images that judge the factors, which decides whether defaults are changed; then, once, on the published
test lists, which shows what that brought.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np

from ablation import rows
from ablation.effects import Effect, resampled
from ablation.factors import FORMER
from ablation.runs import PAIRS, seconds_of, trained_figures
from ablation.settings import SETTINGS, SPLITS, Material, material, published_material
from ussearch.evaluators import Recipe
from ussearch.search_spaces import load_preset

On = Literal["judges", "published lists"]
NETWORK, IMAGE_SIZE, EPOCHS, SEEDS = "lv-unet", 128, 25, (0,)
ARMS = ("former", "new, equal seconds", "new, equal epochs")
NEW = Recipe()
"""The defaults of the package."""


def run(on: On, data: Path, path: Path, tell: Callable[[str], None]) -> None:
    """Train what is missing; rows of other defaults than today's are none."""
    architecture = load_preset(NETWORK).architecture.for_task()
    done = {(row["split"], row["arm"], row["seed"]) for row in current(rows.read(path), on)}
    for seed in SEEDS:
        for number in SPLITS:
            missing = [arm for arm in ARMS if (number, arm, seed) not in done]
            shown = _material(on, data, number) if missing else None
            for arm in missing:
                assert shown is not None
                start = time.process_time()
                recipe = _lasting(arm, len(shown.train), _cost(shown, path, tell) if "seconds" in arm else 1.0)
                dice, iou = trained_figures(architecture, recipe, shown, seed)
                row = {
                    "kind": "proof",
                    "on": on,
                    "new": _written(NEW),
                    "split": number,
                    "arm": arm,
                    "seed": seed,
                    "steps": recipe.steps,
                    "seconds": round(time.process_time() - start, 1),
                    "images": shown.names,
                    "groups": shown.groups,
                    "dice": [round(float(value), 4) for value in dice],
                    "iou": [round(float(value), 4) for value in iou],
                }
                rows.add(row, path)
                tell(f"{on} {number}, {arm}: Dice {dice.mean():.4f}, IoU {iou.mean():.4f}, {row['seconds']} s")


def current(kept: list[rows.Row], on: On) -> list[rows.Row]:
    """Return the rows of this comparison that were made with the package's defaults as they are."""
    return [row for row in kept if row["kind"] == "proof" and row["on"] == on and row["new"] == _written(NEW)]


def lines(kept: list[rows.Row]) -> Iterator[str]:
    """Yield the page's part."""
    on: On
    for on in ("judges", "published lists"):
        runs = current(kept, on)
        if not {(number, arm) for number in SPLITS for arm in ARMS} <= {(row["split"], row["arm"]) for row in runs}:
            continue
        yield ""
        yield f"## Former and new defaults: {'the judging images' if on == 'judges' else 'the published lists'}"
        yield ""
        yield (
            f"LV-UNet at {IMAGE_SIZE}×{IMAGE_SIZE}, {EPOCHS} epochs of the former defaults, last epoch, masks at "
            f"256×256, {len({row['seed'] for row in runs})} seed of each training"
            + (". No decision was taken from these images." if on != "judges" else ".")
        )
        yield ""
        yield "| defaults | steps | seconds | Dice | IoU | against the former: Dice | IoU |"
        yield "|---|---:|---:|---:|---:|---|---|"
        gains = {figure: _gains(runs, figure) for figure in ("dice", "iou")}
        for arm in ARMS:
            own = [row for row in runs if row["arm"] == arm]
            told = [gains[figure].get(arm) for figure in ("dice", "iou")]
            cells = [
                arm,
                f"{np.mean([row['steps'] for row in own]):.0f}",
                f"{np.mean([row['seconds'] for row in own]):.0f}",
                *(f"{100 * np.mean([np.mean(row[figure]) for row in own]):.2f}" for figure in ("dice", "iou")),
                *("" if each is None else f"{each.points:+.2f} ({each.low:+.2f} to {each.high:+.2f})" for each in told),
            ]
            yield f"| {' | '.join(cells)} |"


def _gains(runs: list[rows.Row], figure: str) -> dict[str, Effect]:
    """Return how many points of ``figure`` the new arms are above the former one.

    An image that several lists test counts once, with the mean of its gains; groups of near-duplicates are resampled.
    """
    former = {(row["split"], row["seed"]): row for row in runs if row["arm"] == ARMS[0]}
    gains = {}
    for arm in ARMS[1:]:
        of_image: dict[tuple[int, str], list[float]] = {}
        for row in runs:
            if row["arm"] == arm:
                before = former[row["split"], row["seed"]]
                for group, name, old, new in zip(
                    row["groups"], row["images"], before[figure], row[figure], strict=True
                ):
                    of_image.setdefault((group, name), []).append(100 * (new - old))
        means = np.array([[np.mean(values) for values in of_image.values()]])
        draws = resampled(means, [group for group, _ in of_image], np.random.default_rng(0))
        gains[arm] = Effect.of(means.mean(), draws[:, 0])
    return gains


def _lasting(arm: str, images: int, cost: float) -> Recipe:
    """Return the arm's recipe with its number of steps."""
    if arm == "former":
        return FORMER.model_copy(update={"steps": EPOCHS * _steps(images, FORMER)})
    if "epochs" in arm:
        return NEW.model_copy(update={"steps": EPOCHS * _steps(images, NEW)})
    return NEW.model_copy(update={"steps": round(EPOCHS * _steps(images, FORMER) / cost)})


def _steps(images: int, recipe: Recipe) -> int:
    return -(-images // recipe.batch_size)


def _cost(shown: Material, path: Path, tell: Callable[[str], None]) -> float:
    """Return what a step of the new defaults costs as a multiple of a step of the former ones, side by side."""
    for row in rows.read(path):
        if row["kind"] == "cost of new" and row["new"] == _written(NEW):
            return float(row["ratio"])
    architecture = load_preset(NETWORK).architecture.for_task()
    pairs = [[seconds_of(architecture, recipe, shown) for recipe in (FORMER, NEW)] for _ in range(PAIRS + 1)]
    ratios = [round(new / former, 3) for former, new in pairs[1:]]
    rows.add({"kind": "cost of new", "new": _written(NEW), "ratio": median(ratios), "ratios": ratios}, path)
    tell(f"a step of the new defaults costs × {median(ratios):.3f}")
    return median(ratios)


def _material(on: On, data: Path, number: int) -> Material:
    if on == "published lists":
        return published_material(data, number, IMAGE_SIZE)
    return material(next(each for each in SETTINGS if each.family == "busi" and each.split == number), data, IMAGE_SIZE)


def _written(recipe: Recipe) -> dict[str, Any]:
    """Return what a recipe changes against the former defaults."""
    new, former = (each.model_dump(mode="json") for each in (recipe, FORMER))
    changed = {name: value for name, value in new.items() if value != former.get(name) and name != "augmentation"}
    own, old = new["augmentation"] or {}, former["augmentation"]
    return {**changed, "augmentation": {name: value for name, value in own.items() if value != old.get(name)}}
