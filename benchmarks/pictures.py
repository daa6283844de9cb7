"""Makes the pictures of the README from a study and its bundle.

    python benchmarks/pictures.py STUDY --out docs/pictures

writes ``front.png`` (the candidates of the study) and ``segmentations.png`` (worst, median and best test images of
the pair, with the true contours and those of both networks).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ussearch.evaluators import score
from ussearch.pairs import Bundle
from ussearch.studies import Study
from ussearch.studies.pareto import pareto_report
from ussearch.studies.plots import front_picture, save_front
from ussearch.studies.workbench import reopen_workbench

COLOURS = {"truth": "#ffd400", "edge": "#00b7eb", "cloud": "#ff4fa3"}
COLUMNS = 5


def segmentations(study: Study, bundle: Bundle, path: Path) -> None:
    """Draw test images at five ranks of the edge network's Dice, from worst to best."""
    workbench = reopen_workbench(study)
    pair = bundle.running()
    chosen = [index for index in workbench.split.test if workbench.images.masks[index].any()]
    pixels, masks = workbench.images.images[chosen], workbench.images.masks[chosen]
    answers = {"edge": pair.edge.probabilities(pixels), "cloud": pair.cloud.probabilities(pixels)}
    dice = {end: score(probabilities, masks).dice for end, probabilities in answers.items()}
    ranked = np.argsort(dice["edge"])
    ranks = ranked[np.linspace(0, len(ranked) - 1, COLUMNS).round().astype(int)]
    figure, axes = plt.subplots(1, COLUMNS, figsize=(3 * COLUMNS, 3.7))
    for axis, rank in zip(axes, ranks, strict=True):
        contours = {"truth": masks[rank, 0], **{end: answers[end][rank, 0] >= 0.5 for end in answers}}
        draw_contours(axis, pixels[rank, 0], contours)
        axis.set_title(f"Dice {dice['edge'][rank]:.2f} edge, {dice['cloud'][rank]:.2f} cloud", fontsize=10)
    handles = [Line2D([], [], color=colour, label=name) for name, colour in COLOURS.items()]
    figure.legend(handles=handles, loc="lower center", ncols=3, frameon=False)
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_contours(axis: Axes, image: npt.NDArray[np.uint8], contours: dict[str, npt.NDArray[np.generic]]) -> None:
    """Draw one image with named contours."""
    axis.imshow(image, cmap="gray", vmin=0, vmax=255)
    for name, mask in contours.items():
        if mask.any():
            axis.contour(mask, levels=[0.5], colors=[COLOURS[name]], linewidths=1.4)
    axis.set_axis_off()


def main() -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    study = Study.open(arguments.study)
    save_front(front_picture(pareto_report(study)), arguments.out / "front.png")
    segmentations(study, Bundle.load(arguments.study / "bundle"), arguments.out / "segmentations.png")


if __name__ == "__main__":
    main()
