"""Example segmentations of the finalists: best, median and worst, with the contours of prediction and truth."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ussearch.datasets import Normalisation
from ussearch.evaluators import predict, score
from ussearch.files import found_at
from ussearch.pairs.delivery.full_training import finalist_folder
from ussearch.pairs.delivery.tasks import RETRAIN
from ussearch.report.markup import paragraph, section, text
from ussearch.report.report_data import ReportData
from ussearch.report.thumbnails import picture, svg_outline
from ussearch.runtime.postprocessing import Postprocessing
from ussearch.search_spaces import Network, build
from ussearch.studies.context import StudyContext
from ussearch.studies.damage import intact

RANKS = ("worst", "median", "best")
MOST_FINALISTS = 4
"""With three pictures each."""

Planes = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Example:
    """One ``image``, as it is called, with two contours as SVG paths in pixels.

    ``part`` is that of the split, ``source`` that of the answer.
    """

    rank: str
    image: str
    part: str
    source: str
    dice: float
    side: int
    picture: str
    truth: str
    prediction: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return asdict(self)


@dataclass(frozen=True)
class Answers:
    """Probabilities [N, 1, S, S] of a network for the images of a part; ``source`` says which file answered.

    ``how`` is what becomes of them; None is the threshold 0.5.
    """

    probabilities: Planes
    source: str
    how: Postprocessing | None = None


def examples(report_data: ReportData) -> dict[int, tuple[Example, ...]]:
    """Return pictures by trial: of the bundle's networks as shipped, else of the full trainings; none without images.

    Only images with a lesion are ranked. Test images are shown where there are any, else validation images.
    """
    study_context = report_data.study_context
    if study_context is None:
        return {}
    part = "test" if study_context.split.test else "validation"
    lesion = study_context.images.has_lesion
    chosen = [index for index in study_context.split.parts()[part] if lesion[index]]
    if not chosen:
        return {}
    answers = _shipped(report_data, study_context, chosen) or _trained(report_data, study_context, chosen)
    return {trial_id: _ranked(report_data, study_context, chosen, part, answer) for trial_id, answer in answers.items()}


def _shipped(report_data: ReportData, study_context: StudyContext, chosen: list[int]) -> dict[int, Answers]:
    if report_data.bundle is None:
        return {}
    running, pixels = report_data.bundle.predictor(), np.asarray(study_context.images.images[chosen])
    networks = {"edge": running.edge, "cloud": running.cloud}
    how = report_data.bundle.manifest.postprocessing_of
    return {
        trial_id: Answers(networks[tier].probabilities(pixels), f"{tier}/model.onnx of the bundle", how(tier))
        for tier, trial_id in report_data.pair.items()
    }


def trained_network(report_data: ReportData, trial_id: int) -> Network | None:
    """Return a finalist after its full training; None where its weights are not there."""
    from safetensors.torch import load_file

    weights = found_at(finalist_folder(report_data.study, trial_id)) / "weights.safetensors"
    if not weights.exists():
        return None
    network = build(report_data.study.architecture(trial_id))
    with intact(weights, RETRAIN):
        network.load_state_dict(load_file(weights))
    return network


def _trained(report_data: ReportData, study_context: StudyContext, chosen: list[int]) -> dict[int, Answers]:
    found = {}
    for trial_id, evaluation in report_data.finalists[:MOST_FINALISTS]:
        network = trained_network(report_data, trial_id)
        if evaluation.normalisation is None or network is None:
            continue
        normalisation = Normalisation.from_record(evaluation.normalisation)
        answer = predict(network, study_context.images.images[chosen], normalisation)
        found[trial_id] = Answers(answer, "its full training")
    return found


def _ranked(
    report_data: ReportData, study_context: StudyContext, chosen: list[int], part: str, answers: Answers
) -> tuple[Example, ...]:
    masks = np.asarray(study_context.images.masks[chosen])
    how = answers.how or Postprocessing()
    dice = score(answers.probabilities, masks, how.masks(answers.probabilities)).dice
    order = np.argsort(dice, kind="stable")
    places = (0, len(order) // 2, len(order) - 1)
    return tuple(
        Example(
            rank=rank,
            image=report_data.image_name(chosen[number]),
            part=part,
            source=answers.source,
            dice=float(dice[number]),
            side=study_context.images.image_size,
            picture=picture(np.asarray(study_context.images.images[chosen[number], 0])),
            truth=svg_outline(masks[number, 0].astype(np.float64), 0.5),
            prediction=svg_outline(how.cleared(answers.probabilities[number, 0]).astype(np.float64), how.threshold),
        )
        for rank, number in zip(RANKS, order[list(places)].tolist(), strict=True)
    )


def segmentations_section(report_data: ReportData, found: dict[int, tuple[Example, ...]]) -> str:
    """Return the section; the card of a finalist shows the same pictures."""
    if not found:
        reason = report_data.about_images or "No candidate has had its full training yet, or no image shows a lesion."
        return section("segmentations", "Example segmentations", paragraph(reason))
    rows = []
    for trial_id, pictures in found.items():
        tiers = " and ".join(tier for tier, trial in report_data.pair.items() if trial == trial_id)
        title = f"Trial {trial_id}{f', {tiers} network' if tiers else ''}: answers of {pictures[0].source}"
        figures = "".join(figure(example) for example in pictures)
        rows.append(f'<h3>{text(title)}</h3><div class="pictures">{figures}</div>')
    first = next(iter(found.values()))[0]
    lead = (
        f"Worst, median and best {first.part} image with a lesion, by Dice. Solid: the truth. Dashed: the prediction. "
        "Images are numbered as in split.json."
    )
    return section("segmentations", "Example segmentations", *rows, lead=lead)


def figure(example: Example) -> str:
    """Return one picture with its contours and its caption."""
    side = example.side
    return (
        f'<figure><svg class="overlay" viewBox="0 0 {side} {side}" role="img" aria-label="{text(example.image)}">'
        f'<image href="{example.picture}" width="{side}" height="{side}"/>'
        f'<path class="truth" d="{example.truth}"/><path class="prediction" d="{example.prediction}"/></svg>'
        f"<figcaption>{text(example.rank)}, Dice {example.dice:.2f}<br><small>{text(example.image)}</small>"
        "</figcaption></figure>"
    )
