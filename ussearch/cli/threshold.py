"""``ussearch threshold``: the same networks at another operating point."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ussearch.pairs import Bundle
    from ussearch.pairs.postprocessing.evidence import CalibrationRates


def threshold(
    place: Annotated[Path, typer.Argument(help="Folder of a bundle, or of a study with one.", metavar="BUNDLE|STUDY")],
    out: Annotated[Path, typer.Option(help="Folder of the new bundle; the old one stays.")],
    false_positives: Annotated[
        str | None, typer.Option(metavar="SHARE", help="At most so many images without a lesion marked, such as 10%.")
    ] = None,
    sensitivity: Annotated[
        str | None, typer.Option(metavar="SHARE", help="At least so many images with a lesion marked, such as 95%.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The data set, for a bundle or if it was moved.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Write a bundle whose networks mark fewer images, or more: thresholds by calibration images, test figures anew.

    Give one goal. It holds for each of both networks on the calibration images; what the pair does there is told.

    Example: ussearch threshold studies/busi --false-positives 10% --out careful
    """
    from ussearch.cli.console import print_json
    from ussearch.cli.opened import bundle_with_images
    from ussearch.pairs.bundles.variant import at_operating_point
    from ussearch.pairs.postprocessing.operating_point import OperatingPoint

    point = OperatingPoint(_share("--false-positives", false_positives), _share("--sensitivity", sensitivity))
    bundle, images = bundle_with_images(place, data)
    made = at_operating_point(bundle, images, point, out)
    if json_output:
        manifest = made.manifest.model_dump(mode="json")
        keys = ("parent", "postprocessing", "postprocessing_choice", "metrics")
        print_json({"bundle": str(made.folder), **{key: manifest[key] for key in keys}}, old_keys=False)
    else:
        _show(made, "false_positives" if false_positives is not None else "sensitivity")


def _share(option: str, text: str | None) -> float | None:
    """Return a share (10% or 0.1) as a number; raises UserError for what is none."""
    from ussearch.errors import UserError

    if text is None:
        return None
    number, percent = text.strip().removesuffix("%"), text.strip().endswith("%")
    try:
        share = float(number) / (100 if percent else 1)
    except ValueError as error:
        raise UserError(f"{option} {text} is not possible: expected a share such as 10% or 0.1.") from error
    if not percent and 1 < share <= 100:
        raise UserError(f"{option} {text} is not possible: expected a share such as {share:g}% or {share / 100:g}.")
    return share


KINDS = {"false_positives": "without", "sensitivity": "with"}
FEW = 20
"""With fewer calibration images the interval of a rate is wider than most goals."""


def _show(made: Bundle, goal: str) -> None:
    from ussearch.cli.console import console, say
    from ussearch.cli.result_lines import presence_table
    from ussearch.pairs.bundles.evaluation import baseline_warnings

    manifest = made.manifest
    if manifest.postprocessing_choice is not None and manifest.postprocessing is not None:
        say(f"{manifest.postprocessing_choice.reason[0].upper()}{manifest.postprocessing_choice.reason[1:]}.")
        for tier in ("edge", "cloud"):
            how, why = getattr(manifest.postprocessing, tier), getattr(manifest.postprocessing_choice, tier)
            say(f"{tier.capitalize()}: {how.sentence}.")
            say(f"On {why.images} calibration images: {why.after.sentence} (before: {why.before.sentence}).")
            if not why.after.found:
                auc = 0.5 if why.presence_auc is None else why.presence_auc
                say(
                    f"Note: the {tier} network finds no lesion any more. By its surest pixels, images with and without "
                    f"one differ with an area under the ROC curve of {auc:.2f} (0.5: not at all); "
                    "ask for less, or train it longer."
                )
        for line in _rate_lines(manifest.postprocessing_choice.rates or {}, goal):
            say(line)
    router = manifest.router
    who = "Every image stays on the edge" if router.policy is None else "The router sends images to the cloud"
    say(f"{who}: {router.reason}.")
    console.print(presence_table(manifest.metrics))
    for warning in baseline_warnings(manifest.metrics):
        say(warning)
    say(f"Bundle: {made.folder}\nNext: ussearch verify {shlex.quote(str(made.folder))}")


def _rate_lines(rates: Mapping[str, CalibrationRates], goal: str) -> Iterator[str]:
    """Yield what each network and the pair mark of the calibration images of the goal's kind, then of the others."""
    from ussearch.pairs.bundles.model_card_tables import WHO

    for name in sorted(KINDS, key=lambda each: each != goal):
        found = {WHO[tier]: getattr(each, name) for tier, each in rates.items()}
        told = ", ".join(f"{who} {each.sentence}" for who, each in found.items() if each)
        if told:
            yield f"Marked calibration images {KINDS[name]} a lesion (95 %): {told}."
        images = max((each.images for each in found.values() if each), default=FEW)
        if name == goal and images < FEW:
            yield (
                f"Note: {images} calibration images {KINDS[goal]} a lesion are few (at least {FEW} are wanted): on "
                "other images the share may be anywhere in these intervals."
            )
    yield "The goal holds for each network on the calibration images; the router decides what the pair takes of each."
