"""The page: what a pretrained start brings, with intervals, and what was decided within the training lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean, stdev

import numpy as np
from busi.runs import Padding, Run, Task
from numpy.typing import NDArray

from started.tasks import DECIDING_EPOCHS, WEIGHTS, Settings
from ussearch.search_spaces import count

RESAMPLES = 10_000
Rows = Sequence[tuple[Task, Run]]
Floats = NDArray[np.float64]
PUBLISHED = (
    ("MobileNetV2-UNet, 2.4 M, ImageNet, 256×256", "74.9", "61.4", "other split and recipe"),
    ("U-Net from scratch, same source", "67.7", "55.1", "the same"),
    ("UNeXt, 1.5 M, from scratch", "", "65.0 ± 2.7", "these lists; 256×256, 300 epochs, best reported epoch, pooled"),
    ("CMUNeXt, 3.1 M, from scratch", "", "71.6 ± 2.4", "the same"),
    ("Mobile U-ViT, 1.4 M", "", "72.9 ± 2.7", "the same"),
    (
        "10th and 90th percentile of U-Bench's 100",
        "",
        "58.4, 70.6",
        "one split; 256×256, 300 epochs, best reported epoch",
    ),
)
"""Network, Dice, IoU, and what differs from the tables of this page."""


def page(sections: Mapping[str, Rows], settings: Settings) -> str:
    """Return the whole page of the trainings that are there."""
    lines = ["# Networks that start from weights that others trained", "", *_opening(), ""]
    planned = 2 * len(WEIGHTS_IN_TABLE) * len(settings.splits)
    for title, key in zip((f"{side}×{side}" for side in settings.sizes), ("small", "large"), strict=False):
        rows = sections[key]
        lines += [f"## {title}", "", *_with_and_without(rows, planned), ""]
    if sections["beside"]:
        lines += ["## Published networks from scratch, 128×128", "", *_figures(sections["beside"]), ""]
    lines += ["## Published figures", "", *_published(), ""]
    lines += ["Protocols differ so much that one network moves by ten points; these rows are context, no comparison."]
    if sections["padding"]:
        lines += ["", "## TensorFlow's padding", "", *_padding(sections["padding"])]
    if sections["cut"]:
        lines += ["", "## Where an encoder is cut", "", *_cut(sections["cut"])]
    return "\n".join([*lines, "", *_foot(sections)]) + "\n"


WEIGHTS_IN_TABLE = tuple(WEIGHTS)[:2]


def _opening() -> Iterator[str]:
    yield (
        "BUSI without its normal images (647), the three published 70/30 splits, batches of 8, 25 epochs, one recipe "
        "for all (`benchmarks/started/recipe.yaml`), seed 0, last epoch. From scratch everything learns at the full "
        "rate, with ImageNet's weights the encoder at 0.3 of it. Made by `python benchmarks/pretrained.py --data DIR` "
        "from the rows in `benchmarks/data/pretrained`, which hold every image's figures."
    )


def _with_and_without(rows: Rows, planned: int) -> Iterator[str]:
    if not rows:
        yield "Not trained yet."
        return
    if len(rows) < planned:
        yield f"**{len(rows)} of {planned} trainings are done; the rest is missing here.**"
        yield ""
    yield from _figures(rows)
    yield ""
    yield "ImageNet's weights against training from scratch, the same network:"
    yield ""
    yield from _differences(
        [
            (name, _of(rows, name, started=True), _of(rows, name, started=False))
            for name in dict.fromkeys(task.name for task, _ in rows)
        ]
    )


def _of(rows: Rows, name: str, *, started: bool) -> dict[int, Run]:
    return {task.number: run for task, run in rows if task.name == name and bool(task.weights) == started}


def _figures(rows: Rows) -> Iterator[str]:
    yield "| network | start | parameters | MMACs | splits | IoU per image | IoU, batches of 8 | Dice per image |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|"
    for name, weights in dict.fromkeys((task.name, task.weights) for task, _ in rows):
        chosen = [(task, run) for task, run in rows if (task.name, task.weights) == (name, weights)]
        counts = count(chosen[0][0].architecture, chosen[0][0].image_size)
        judged = [run.last for _, run in chosen]
        cells = (
            name,
            "ImageNet" if weights else "scratch",
            f"{counts.parameters_deploy:,}",
            f"{counts.macs / 1e6:,.0f}",
            str(len(chosen)),
            _spread([float(each.iou.mean()) for each in judged]),
            _spread([each.pooled_iou for each in judged]),
            _spread([float(each.dice.mean()) for each in judged]),
        )
        yield f"| {' | '.join(cells)} |"


def _spread(values: Sequence[float]) -> str:
    points = [100 * value for value in values]
    return f"{mean(points):.1f}" + (f" ± {stdev(points):.1f}" if len(points) > 1 else "")


def _differences(pairs: Sequence[tuple[str, dict[int, Run], dict[int, Run]]]) -> Iterator[str]:
    yield "| | IoU per image | 95 % interval | Dice | 95 % interval | images |"
    yield "|---|---:|---:|---:|---:|---:|"
    for title, first, second in pairs:
        common = sorted(first.keys() & second.keys())
        if not common:
            continue
        cells = []
        for metric in ("iou", "dice"):
            points, low, high, images = paired(metric, [(first[number], second[number]) for number in common])
            cells += [f"{points:+.1f}", f"{low:+.1f} to {high:+.1f}"]
        yield f"| {title} | {' | '.join(cells)} | {images} |"


def paired(metric: str, pairs: Sequence[tuple[Run, Run]], seed: int = 0) -> tuple[float, float, float, int]:
    """Return the mean difference in points of the first of each pair to the second, its interval, and the images.

    An image that several splits judge counts once, with the mean of its differences; whole groups of near-duplicates
    are resampled.
    """
    gaps: dict[str, list[float]] = {}
    group_of: dict[str, int] = {}
    for first, second in pairs:
        values = 100 * (getattr(first.last, metric) - getattr(second.last, metric))
        for name, group, value in zip(first.images, first.groups, values, strict=True):
            gaps.setdefault(name, []).append(float(value))
            group_of[name] = group
    means = {name: mean(values) for name, values in gaps.items()}
    by_group: dict[int, list[float]] = {}
    for name, value in means.items():
        by_group.setdefault(group_of[name], []).append(value)
    totals = np.array([sum(values) for values in by_group.values()])
    sizes = np.array([len(values) for values in by_group.values()])
    drawn = np.random.default_rng(seed).integers(len(totals), size=(RESAMPLES, len(totals)))
    resampled = totals[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(resampled, [0.025, 0.975])
    return mean(means.values()), float(low), float(high), len(means)


def _published() -> Iterator[str]:
    yield "| published | Dice | IoU | what differs from the tables above |"
    yield "|---|---:|---:|---|"
    yield from (f"| {' | '.join(row)} |" for row in PUBLISHED)


def _padding(rows: Rows) -> Iterator[str]:
    yield (
        "EfficientNet's files were trained with TensorFlow's padding, which takes one pixel less above and on the left "
        "where a convolution halves. Onnx files of this package pad alike on both sides, as accelerators expect it. "
        "*turned*: kernels turned by 180°, which with symmetric padding compute exactly what was published, on the "
        "turned image; *shifted*: kernels as they are, so that each halving looks half a step further to the upper "
        "left; *published*: TensorFlow's padding, one operator more at each halving. Judged within the training lists, "
        f"{DECIDING_EPOCHS} epochs, 128×128:"
    )
    yield ""
    found = dict.fromkeys(task.padding for task, _ in rows)
    by_padding = {padding: [(task, run) for task, run in rows if task.padding == padding] for padding in found}
    yield "| padding | splits | IoU per image | Dice per image |"
    yield "|---|---:|---:|---:|"
    for padding, chosen in by_padding.items():
        iou, dice = ([float(getattr(run.last, key).mean()) for _, run in chosen] for key in ("iou", "dice"))
        yield f"| {padding} | {len(chosen)} | {_spread(iou)} | {_spread(dice)} |"
    yield ""
    runs = {padding: {task.number: run for task, run in chosen} for padding, chosen in by_padding.items()}
    names: tuple[Padding, ...] = ("turned", "shifted")
    against = runs.get("published", {})
    yield from _differences([(f"{name} against published", runs.get(name, {}), against) for name in names])
    yield ""
    yield (
        "*turned* is what ships. What it costs beside the published padding is within chance here, while *shifted*, "
        "which costs as little at run time, is further away; *published* would put a padding operator before every "
        "halving, and files that pad unevenly inside a convolution are not taken by every accelerator. Only for the "
        "turned kernels are the encoder's features those that were published, to 1e-4, which a test holds."
    )


def _cut(rows: Rows) -> Iterator[str]:
    yield (
        "*cut* ends the encoder at a sixteenth of the resolution, *whole* goes on to a thirty-second. Judged within "
        f"the training lists, {DECIDING_EPOCHS} epochs, ImageNet's weights, 128×128:"
    )
    yield ""
    yield from _figures(rows)
    yield ""
    runs = {name: _of(rows, name, started=True) for name in dict.fromkeys(task.name for task, _ in rows)}
    yield from _differences(
        [(f"{name}: whole against cut", runs.get(f"{name}-whole", {}), runs.get(f"{name}-cut", {})) for name in WEIGHTS]
    )
    yield ""
    yield (
        "The presets are the cut networks: going on to a thirty-second costs 1.3 to 1.5 times the arithmetic and three "
        "to four times the parameters and did not help any of the three."
    )


def _foot(sections: Mapping[str, Rows]) -> Iterator[str]:
    runs = [run for rows in sections.values() for _, run in rows]
    hours = sum(run.seconds for run in runs) / 3600
    yield (
        "Figures are points, mean ± SD over splits. Intervals: an image that several splits judge counts once, with "
        "the mean of its differences; 10,000 resamples of groups of near-duplicates; they speak of images, not of "
        f"seeds. {len(runs)} trainings, {hours:.1f} hours ({', '.join(sorted({run.device for run in runs}))})."
    )
