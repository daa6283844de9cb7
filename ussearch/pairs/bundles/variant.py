"""Another bundle from the same networks: what becomes of their probabilities differs, and so do its figures."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from ussearch.datasets import ImageSet, Split
from ussearch.errors import UserError
from ussearch.files import sha256_of, staged_directory
from ussearch.pairs.bundles.bundle import Bundle, write_split
from ussearch.pairs.bundles.evaluation import evaluate_pair
from ussearch.pairs.bundles.finalize import finalize
from ussearch.pairs.bundles.manifest import ParentEntry
from ussearch.pairs.bundles.router import examples_of, require_images
from ussearch.pairs.bundles.shareable import without_places
from ussearch.pairs.bundles.test_vectors import FOLDER, write_vectors
from ussearch.pairs.postprocessing.evidence import CalibrationRates, PairPostprocessingChoice
from ussearch.pairs.postprocessing.for_pair import observed
from ussearch.pairs.postprocessing.operating_point import OperatingPoint
from ussearch.pairs.routing.attach_router import decided_again
from ussearch.runtime.integrity import MANIFEST, SEAL
from ussearch.runtime.postprocessing import PairPostprocessing, Postprocessing, masks_of
from ussearch.runtime.predictor import CLOUD_MODEL, EDGE_MODEL, PairPredictor


def at_operating_point(bundle: Bundle, images: ImageSet, point: OperatingPoint, out: Path) -> Bundle:
    """Write the bundle with the thresholds of presence that meet ``point`` on its calibration images to ``out``.

    Raises UserError as ``write_variant``, and where calibration images cannot tell.
    """
    require_variant(bundle, images, out)
    before = bundle.manifest.postprocessing or PairPostprocessing(edge=Postprocessing(), cloud=Postprocessing())
    split = bundle.split()
    edge, why_edge = point.applied(observed(bundle.folder / EDGE_MODEL, images, split), before.edge)
    cloud, why_cloud = point.applied(observed(bundle.folder / CLOUD_MODEL, images, split), before.cloud, "cloud")
    reason = f"{point.sentence} was asked for"
    why = PairPostprocessingChoice(edge=why_edge, cloud=why_cloud, reason=reason)
    return write_variant(bundle, images, PairPostprocessing(edge=edge, cloud=cloud), why, out)


def require_variant(bundle: Bundle, images: ImageSet, out: Path) -> None:
    """Raise UserError where no variant of the bundle can be written to ``out``, or ``images`` are not the bundle's."""
    require_images(bundle, images)
    inside = bundle.folder.resolve() in (out.resolve(), *out.resolve().parents)
    if inside or out.resolve() in bundle.folder.resolve().parents:
        raise UserError(f"{out} is the bundle, lies in it or holds it, and it stays as it is: name another with --out.")
    if os.path.lexists(out):
        raise UserError(f"{out} stands there already, and a variant replaces nothing: name another folder with --out.")


def write_variant(
    bundle: Bundle, images: ImageSet, how: PairPostprocessing, why: PairPostprocessingChoice, out: Path
) -> Bundle:
    """Write the networks of ``bundle`` with another post-processing to ``out``, judged anew; it stays as it is.

    The router keeps its score; its threshold is decided anew by its policy, or by the usual one where it had none and
    routing pays now. The new bundle tells the digest of the one that it comes from. Raises UserError where ``images``
    are not those of the bundle, or ``out`` cannot be written.
    """
    require_variant(bundle, images, out)
    manifest, split, size = bundle.manifest, bundle.split(), images.image_size
    pair = PairPredictor.load(bundle.folder, bundle.router, size, postprocessing=how)
    decision, gain, policy = decided_again(pair, images, split, manifest.router.policy)
    pair = replace(pair, router=decision.router)
    router = manifest.router.model_copy(
        update={
            "threshold": decision.router.threshold,
            "requested_share": decision.router.requested_share,
            "policy": policy,
            "reason": without_places(decision.reason),
            "certificate": decision.certificate,
            "routing_gain": gain,
        }
    )
    examples = examples_of(bundle)
    with staged_directory(out) as folder:
        shutil.copytree(bundle.folder, folder, dirs_exist_ok=True)
        for name in (MANIFEST, SEAL):
            (folder / name).unlink()
        shutil.rmtree(folder / FOLDER)
        write_vectors(folder, examples, pair)
        write_split(folder, split, images)  # which those of older versions did not tell one by one
        parts = {
            "postprocessing": how,
            "postprocessing_choice": why.model_copy(update={"rates": _rates(pair, images, split)}),
            "router": router,
            "metrics": evaluate_pair(pair, images, split),
            "provenance": manifest.provenance and manifest.provenance.changed_now(),
            "parent": ParentEntry(digest=sha256_of(bundle.folder / MANIFEST), reason=why.reason),
        }
        finalize(folder, manifest.model_copy(update=parts))
    return Bundle.load(out)


def _rates(pair: PairPredictor, images: ImageSet, split: Split) -> dict[str, CalibrationRates]:
    """Return on how many calibration images each network and the pair mark something."""
    chosen = list(split.calibration)
    pixels, has_lesion = np.asarray(images.images[chosen]), images.has_lesion[chosen]
    probabilities, confidence = pair.edge_answers(pixels)
    edge = np.asarray(masks_of(probabilities, pair.postprocessing).any(axis=(1, 2, 3)))
    cloud = np.asarray(masks_of(pair.cloud.probabilities(pixels), pair.cloud_postprocessing).any(axis=(1, 2, 3)))
    marked = {"edge": edge, "cloud": cloud, "routed": np.where(pair.router.offloads(confidence), cloud, edge)}
    return {tier: CalibrationRates.of(each, has_lesion) for tier, each in marked.items()}
