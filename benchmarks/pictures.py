"""Makes the pictures of the README from a study and its bundle.

    python benchmarks/pictures.py STUDY --out docs/pictures

writes ``front.png`` (the candidates of the study) and ``segmentations.png`` (worst, median and best test images of
the pair, with the true contours and those of both networks).

    python benchmarks/pictures.py STUDY --report

writes ``report-1280.png`` and ``report-390.png`` instead: the study's report in Debian's chromium, on a desk and on a
telephone. Reports hold images: use a study of phantoms for pictures that are published.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from PIL import Image

from ussearch.evaluators import score
from ussearch.pairs import Bundle
from ussearch.report import write_report
from ussearch.runtime.postprocessing import masks_of
from ussearch.studies import Study
from ussearch.studies.context import reopen_context
from ussearch.studies.front_picture import front_picture
from ussearch.studies.pareto import pareto_report
from ussearch.studies.plots import save_front

COLOURS = {"truth": "#ffd400", "edge": "#00b7eb", "cloud": "#ff4fa3"}
COLUMNS = 5
REPORT_WIDTHS = (1280, 390)
PAPER_COLOURS = 256


def segmentations(study: Study, bundle: Bundle, path: Path) -> None:
    """Draw test images at five ranks of the edge network's Dice, from worst to best."""
    study_context = reopen_context(study)
    pair = bundle.predictor()
    chosen = [index for index in study_context.split.test if study_context.images.masks[index].any()]
    pixels, masks = study_context.images.images[chosen], study_context.images.masks[chosen]
    answers = {
        "edge": masks_of(pair.edge.probabilities(pixels), pair.postprocessing),
        "cloud": masks_of(pair.cloud.probabilities(pixels), pair.cloud_postprocessing),
    }
    dice = {tier: score(found.astype(np.float32), masks).dice for tier, found in answers.items()}
    ranked = np.argsort(dice["edge"])
    ranks = ranked[np.linspace(0, len(ranked) - 1, COLUMNS).round().astype(int)]
    figure, axes = plt.subplots(1, COLUMNS, figsize=(3 * COLUMNS, 3.7))
    for axis, rank in zip(axes, ranks, strict=True):
        contours = {"truth": masks[rank, 0], **{tier: found[rank, 0] for tier, found in answers.items()}}
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


def report_pictures(study: Path, out: Path) -> None:
    """Write the report of a study as a browser shows it, from its top to the end of the example segmentations."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from tests.report.chromium import chromium

    with tempfile.TemporaryDirectory() as place, chromium("chromium", Path(place) / "profile") as browser:
        report = write_report(study, Path(place) / "report.html")
        for width in REPORT_WIDTHS:
            path = out / f"report-{width}.png"
            browser.open(report, width)
            browser.wait_for("document.getElementById('card').dataset.trial !== undefined")
            tier = browser.evaluate("document.getElementById('health').getBoundingClientRect().top + scrollY")
            browser.screenshot(path, tier)
            Image.open(path).convert("RGB").quantize(PAPER_COLOURS).save(path, optimize=True)


def main() -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    parser.add_argument("--report", action="store_true", help="draw the study's report instead")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.report:
        report_pictures(arguments.study, arguments.out)
        return
    study = Study.open(arguments.study)
    save_front(front_picture(pareto_report(study)), arguments.out / "front.png")
    segmentations(study, Bundle.load(arguments.study / "bundle"), arguments.out / "segmentations.png")


if __name__ == "__main__":
    main()
