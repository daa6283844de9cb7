"""The picture of a report: quality against offload, a line for each router."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ussearch.errors import UserError
from ussearch.pairs.routing.curves import curve

Floats = npt.NDArray[np.float64]
FORMATS = (".png", ".pdf", ".svg")


def draw_curves(edge_dice: Floats, cloud_dice: Floats, confidences: Mapping[str, Floats], path: Path) -> None:
    """Draw the curves of images [N] to ``path``; raises UserError for a format that cannot be written."""
    from matplotlib.figure import Figure

    if path.suffix.lower() not in FORMATS:
        raise UserError(f"Cannot draw to {path}: expected a name that ends in {', '.join(FORMATS)}.")
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    for name, confidence in confidences.items():
        found = curve(edge_dice, cloud_dice, confidence)
        style = {"random": ":", "oracle": "--"}.get(name, "-")
        axes.plot(100 * found.shares, 100 * found.quality, style, label=name)
    axes.set_xlabel("images sent to the cloud (%)")
    axes.set_ylabel("mean Dice (%)")
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
