"""The last step of every bundle: its router put in, judged on the test images, and seen in the vectors."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ussearch.datasets import ImageSet, Split
from ussearch.hardware_profiles import Profile
from ussearch.hardware_profiles.onnx_files.export import record_of
from ussearch.pairs.bundles.evaluation import evaluate_pair
from ussearch.pairs.bundles.manifest import MetricsEntry, NetworkEntry, OutOfFoldEntry, RouterEntry
from ussearch.pairs.bundles.test_vectors import FOLDER, write_vectors
from ussearch.pairs.routing.attach_router import AttachedRouter, RouterSpec, attach_router
from ussearch.pairs.routing.samples import Samples, dice_of
from ussearch.pairs.running import CLOUD_MODEL, EDGE_MODEL, RunningPair

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class EvaluatedRouter:
    """What the manifest says of a pair once its router is chosen."""

    edge: NetworkEntry
    router: RouterEntry
    metrics: MetricsEntry


def attach_and_evaluate(
    folder: Path,
    edge: NetworkEntry,
    profile: Profile,
    images: ImageSet,
    split: Split,
    *,
    examples: Sequence[Pixels],
    spec: RouterSpec,
) -> EvaluatedRouter:
    """Put the router into the unsealed bundle in ``folder`` and write its vectors anew from ``examples``.

    ``edge`` is what the manifest said of the edge network so far, ``profile`` its device's. Raises UserError where
    there are no calibration or test images, or the policy cannot be kept.
    """
    installed = attach_router(folder / EDGE_MODEL, folder / CLOUD_MODEL, images, split, profile, spec=spec)
    pair = RunningPair.load(folder, installed.decision.router, images.image_size)
    metrics = evaluate_pair(pair, images, split)
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    write_vectors(folder, examples, pair)
    record = record_of(folder / EDGE_MODEL)
    costs = {**edge.costs, "file_bytes": record.file_bytes}
    return EvaluatedRouter(
        edge=edge.model_copy(update={"operators": record.operators, "costs": costs}),
        router=_entry(installed, len(split.calibration), _out_of_fold(pair, images, spec.out_of_fold), spec),
        metrics=metrics,
    )


def _entry(installed: AttachedRouter, images: int, out_of_fold: OutOfFoldEntry | None, spec: RouterSpec) -> RouterEntry:
    decision = installed.decision
    return RouterEntry(
        score=installed.score,
        in_graph=installed.in_graph,
        threshold=decision.router.threshold,
        requested_share=decision.router.requested_share,
        calibration_images=images,
        reason=decision.reason,
        score_reason=installed.score_reason,
        policy=installed.policy,
        worth=installed.worth,
        contest=spec.choice.contest,
        certificate=decision.certificate,
        model=installed.model,
        out_of_fold=out_of_fold,
    )


def _out_of_fold(pair: RunningPair, images: ImageSet, samples: Samples | None) -> OutOfFoldEntry | None:
    """Return the Dice of the fold networks beside that of the networks that ship, on the same images."""
    if samples is None:
        return None
    number = {name: index for index, name in enumerate(images.ids)}
    chosen = [number[name] for name in samples.ids]
    pixels = np.asarray(images.images[chosen])
    return OutOfFoldEntry(
        images=len(samples),
        folds=len(np.unique(samples.networks)),
        edge_dice=float(samples.edge_dice.mean()),
        cloud_dice=float(samples.cloud_dice.mean()),
        in_sample_edge_dice=float(dice_of(pair.edge.probabilities(pixels), images, chosen).mean()),
        in_sample_cloud_dice=float(dice_of(pair.cloud.probabilities(pixels), images, chosen).mean()),
    )
