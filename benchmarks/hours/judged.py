"""What judges: Dice and IoU of every image of a published test list, written once and compared by groups."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from busi.protocol import Judged
from busi.runs import Run

from hours.arms import Setting


def judged(setting: Setting, number: int, name: str, answers: Callable[[], Any]) -> dict[str, Any]:
    """Return the row of a network's figures on the test list ``number``; asked for its ``answers`` and written once."""
    place = f"judged-{name}"
    if (row := setting.known(place)) is not None:
        return row
    order = list(setting.split(number).test)
    found = Judged.of(answers(), setting.images.masks[order])
    return setting.keep(
        place,
        {
            "split": number,
            "images": [Path(setting.images.ids[index]).stem for index in order],
            "groups": [int(setting.images.groups[index]) for index in order],
            "dice": [round(float(value), 6) for value in found.dice],
            "iou": [round(float(value), 6) for value in found.iou],
        },
    )


def as_run(name: str, row: dict[str, Any]) -> Run:
    """Return judged figures as the comparisons of ``benchmarks/started`` take them."""
    found = Judged(np.array(row["iou"]), np.array(row["dice"]), float("nan"))
    images, groups = tuple(row["images"]), tuple(row["groups"])
    return Run(name, row["split"], found, found, 0, 0, 0.0, "CPU", images, groups)
