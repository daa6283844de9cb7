"""Figures of the committed tables: every router beside every other, learned less SDC, and conformal risk control."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from routed.runs import CALIBRATION, OUT_OF_FOLD, SHIFTED, TEST
from ussearch.pairs.routing.conformal import risk_threshold
from ussearch.pairs.routing.curves import CurveComparison, compare
from ussearch.pairs.routing.models import fit_model
from ussearch.pairs.routing.router_comparison import LEARNED, SDC, best_kind, nested_gain, plain_routers
from ussearch.pairs.routing.samples import Samples, pooled
from ussearch.pairs.routing.thresholds import threshold_below

Floats = NDArray[np.float64]
SPLITS = 400
ALPHA, BOUND = 0.02, 0.5


@dataclass(frozen=True)
class Judged:
    """Images with the confidence [N] of every router by name."""

    samples: Samples
    confidences: Mapping[str, Floats]

    def comparison(self, draws: int = 1000) -> CurveComparison:
        """Return the figures of all routers, differences from Soft Dice Confidence among them."""
        samples = self.samples
        return compare(
            samples.edge_dice, samples.cloud_dice, samples.groups, self.confidences, reference=SDC, draws=draws
        )


def judged_seed(place: Path, part: str = TEST, seed: int = 0) -> Judged:
    """Return one seed's test (or shifted) images with the router learned from its out-of-fold images.

    The learned router is that of ``choose_router``, shown whether it would ship or not; its features are standardised
    by the calibration images, as in a bundle.
    """
    lesson, calibration, samples = (Samples.read(place / name) for name in (OUT_OF_FOLD, CALIBRATION, part))
    kind = best_kind(lesson, seed)
    model = fit_model(kind, lesson.names, lesson.features, lesson.networks, lesson.gain, seed=seed)
    learned = -model.for_network(calibration.features).predict(samples.features)
    return Judged(samples, {**plain_routers(samples), LEARNED: learned})


def judged_folds(place: Path, seed: int = 0) -> Judged:
    """Return the out-of-fold images of a set with the learned router by nested cross-validation."""
    samples = Samples.read(place / OUT_OF_FOLD)
    return Judged(samples, {**plain_routers(samples), LEARNED: -nested_gain(samples, seed)})


def pooled_seeds(parts: Sequence[Judged]) -> Judged:
    """Return all seeds' images together; images of different seeds are of different patients."""
    apart = [
        replace(part.samples, groups=part.samples.groups + number * 1_000_000) for number, part in enumerate(parts)
    ]
    names = list(parts[0].confidences)
    return Judged(pooled(apart), {name: np.concatenate([part.confidences[name] for part in parts]) for name in names})


@dataclass(frozen=True)
class Promise:
    """Conformal risk control over many random splits of the same images into calibration and test."""

    images: int
    splits: int
    mean_loss: float
    standard_error: float
    offload: float
    naive_offload: float
    violations: float
    naive_violations: float

    @property
    def kept(self) -> bool:
        """Whether the mean loss is at most alpha, not far below it, and the price at most 10 points of offload."""
        least = ALPHA - 2 * BOUND / (self.images + 1) - 3 * self.standard_error
        dear = self.offload > self.naive_offload + 0.10
        return least <= self.mean_loss <= ALPHA + 2 * self.standard_error and not dear


def promised(judged: Judged, router: str, images: int, splits: int = SPLITS) -> Promise:
    """Return what becomes of the promise with ``images`` for calibration, the others for testing."""
    samples, confidence = judged.samples, judged.confidences[router]
    losses, naive_losses, offloads, naive_offloads = (np.zeros(splits) for _ in range(4))
    random = np.random.default_rng(images)
    for number in range(splits):
        order = random.permutation(len(samples))
        seen, new = order[:images], order[images:]
        threshold, certificate = risk_threshold(
            confidence[seen], samples.edge_dice[seen], samples.cloud_dice[seen], alpha=ALPHA, bound=BOUND
        )
        naive = threshold_below(np.sort(confidence[seen]), round(certificate.naive_offload_share * images))
        loss = np.clip(samples.cloud_dice[new] - samples.edge_dice[new], 0, BOUND)
        losses[number] = (loss * (confidence[new] >= threshold)).mean()
        naive_losses[number] = (loss * (confidence[new] >= naive)).mean()
        offloads[number] = (confidence[new] < threshold).mean()
        naive_offloads[number] = (confidence[new] < naive).mean()
    return Promise(
        images=images,
        splits=splits,
        mean_loss=float(losses.mean()),
        standard_error=float(losses.std(ddof=1) / math.sqrt(splits)),
        offload=float(offloads.mean()),
        naive_offload=float(naive_offloads.mean()),
        violations=float((losses > ALPHA).mean()),
        naive_violations=float((naive_losses > ALPHA).mean()),
    )


def judged_parts(tables: Path, part: str) -> list[Judged]:
    """Return every seed of the phantoms whose tables are there."""
    places = sorted(path.parent for path in tables.glob(f"phantoms-*/{part}"))
    return [judged_seed(place, part, int(place.name.split("-")[1])) for place in places]


__all__ = ["SHIFTED", "TEST", "Judged", "Promise", "judged_folds", "judged_parts", "pooled_seeds", "promised"]
