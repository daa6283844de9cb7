"""The router of a bundle: put in as its last step and judged on the test images, or replaced by another one."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ussearch.datasets import ImageSet, Split
from ussearch.datasets.anonymous import data_name
from ussearch.datasets.counts import counts_of
from ussearch.errors import UserError
from ussearch.files import staged_directory
from ussearch.hardware_profiles import Profile
from ussearch.hardware_profiles.onnx_files.export import record_of
from ussearch.pairs.bundles.bundle import Bundle, require_replaceable, write_split
from ussearch.pairs.bundles.evaluation import evaluate_pair
from ussearch.pairs.bundles.finalize import finalize
from ussearch.pairs.bundles.manifest import MetricsEntry, NetworkEntry, OutOfFoldEntry, RouterEntry
from ussearch.pairs.bundles.shareable import without_places
from ussearch.pairs.bundles.test_vectors import FOLDER, write_vectors
from ussearch.pairs.routing.attach_router import AttachedRouter, RouterSpec, attach_router
from ussearch.pairs.routing.samples import Samples
from ussearch.runtime.integrity import MANIFEST, SEAL
from ussearch.runtime.postprocessing import PairPostprocessing, dice_of_masks
from ussearch.runtime.predictor import CLOUD_MODEL, EDGE_MODEL, PairPredictor

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
    postprocessing: PairPostprocessing | None,
) -> EvaluatedRouter:
    """Put the router into the unsealed bundle in ``folder`` and write its vectors anew from ``examples``.

    ``edge`` is what the manifest said of the edge network so far, ``profile`` its device's, ``postprocessing`` what
    becomes of probabilities in this bundle. Raises UserError where there are no calibration or test images, or the
    policy cannot be kept.
    """
    files = folder / EDGE_MODEL, folder / CLOUD_MODEL
    installed = attach_router(*files, images, split, profile, spec=spec, postprocessing=postprocessing)
    pair = PairPredictor.load(folder, installed.decision.router, images.image_size, postprocessing=postprocessing)
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
        reason=without_places(decision.reason),
        score_reason=without_places(installed.score_reason),
        policy=installed.policy,
        routing_gain=installed.routing_gain,
        router_comparison=spec.choice.router_comparison,
        certificate=decision.certificate,
        model=installed.model,
        out_of_fold=out_of_fold,
    )


def _out_of_fold(pair: PairPredictor, images: ImageSet, samples: Samples | None) -> OutOfFoldEntry | None:
    """Return the Dice of the fold networks beside that of the networks that ship, on the same images."""
    if samples is None:
        return None
    number = {name: index for index, name in enumerate(images.ids)}
    chosen = [number[name] for name in samples.ids]
    pixels, masks = np.asarray(images.images[chosen]), images.masks[chosen]
    edge = dice_of_masks(pair.edge.probabilities(pixels), masks, pair.postprocessing)
    cloud = dice_of_masks(pair.cloud.probabilities(pixels), masks, pair.cloud_postprocessing)
    return OutOfFoldEntry(
        images=len(samples),
        folds=len(np.unique(samples.networks)),
        edge_dice=float(samples.edge_dice.mean()),
        cloud_dice=float(samples.cloud_dice.mean()),
        in_sample_edge_dice=float(edge.mean()),
        in_sample_cloud_dice=float(cloud.mean()),
    )


def replace_router(bundle: Bundle, images: ImageSet, spec: RouterSpec) -> Bundle:
    """Give the bundle another router and replace it, whole or not at all.

    ``images`` is the data set that the bundle was made from. Raises UserError where it is another one, or the policy
    cannot be kept; the bundle is then as it was.
    """
    require_reroutable(bundle, images)
    examples = examples_of(bundle)
    with staged_directory(bundle.folder) as folder:
        shutil.copytree(bundle.folder, folder, dirs_exist_ok=True)
        for name in (MANIFEST, SEAL):
            (folder / name).unlink()
        manifest = bundle.manifest
        decided = attach_and_evaluate(
            folder,
            manifest.edge,
            bundle.profile("edge"),
            images,
            bundle.split(),
            examples=examples,
            spec=spec,
            postprocessing=manifest.postprocessing,
        )
        write_split(folder, bundle.split(), images)  # and no names that an older version put there
        named = {"name": data_name(images.reader, images.fingerprint), "counts": counts_of(images, bundle.split())}
        data = manifest.data.model_copy(update=named)
        provenance = manifest.provenance and manifest.provenance.changed_now()
        parts = {"edge": decided.edge, "router": decided.router, "data": data, "metrics": decided.metrics}
        finalize(folder, manifest.model_copy(update={**parts, "provenance": provenance}))
    return Bundle.load(bundle.folder)


def require_reroutable(bundle: Bundle, images: ImageSet) -> None:
    """Raise UserError where the bundle cannot be replaced, or ``images`` is not the data set that it was made from."""
    require_replaceable(bundle.folder)
    require_images(bundle, images)


def require_images(bundle: Bundle, images: ImageSet) -> None:
    """Raise UserError where ``images`` is not the data set that the bundle was made from."""
    expected = bundle.manifest.data.fingerprint
    if images.fingerprint != expected:
        raise UserError(
            f"The images are not those of {bundle.folder} (fingerprint {images.fingerprint[:12]}, expected "
            f"{expected[:12]}): give the data set that it was made from."
        )


def examples_of(bundle: Bundle) -> list[Pixels]:
    """Return the images of the bundle's vectors."""
    examples = []
    for path in sorted((bundle.folder / FOLDER).glob("*/image.png")):
        with Image.open(path) as image:
            examples.append(np.asarray(image.convert("L")))
    return examples
