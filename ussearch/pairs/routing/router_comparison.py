"""Does a learned router earn its place? It ships only where it beats the Soft Dice Confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from ussearch.hardware_profiles import Profile
from ussearch.pairs.routing.curves import compare, curve, oracle_confidence
from ussearch.pairs.routing.features import COMPLEXITY
from ussearch.pairs.routing.models import BOOSTING, MODELS, PLAIN, GainModel, fit_model, standardised
from ussearch.pairs.routing.samples import Samples

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

OUTER, INNER = 5, 4
FEWEST_IMAGES = 100
"""With fewer, no interval of a difference in skill excludes 0."""
SDC, LEARNED = "SDC", "learned"


class RouterComparison(BaseModel):
    """Skill of the Soft Dice Confidence and of the learned router on the same images, which neither learned from.

    ``low`` and ``high`` bound the difference with 95 % confidence, a paired bootstrap over patients.
    """

    model_config = ConfigDict(frozen=True)

    images: int
    kind: str
    sdc_skill: float
    learned_skill: float
    low: float
    high: float

    @property
    def won(self) -> bool:
        """Whether the learned router is better beyond doubt."""
        return self.low > 0

    @property
    def sentence(self) -> str:
        """Who ships and why, in words."""
        verdict = f"the learned router ({self.kind}) ships" if self.won else "Soft Dice Confidence ships"
        return (
            f"{verdict}: skill {self.learned_skill:.2f} learned, {self.sdc_skill:.2f} without training; difference "
            f"{self.learned_skill - self.sdc_skill:+.2f} ({self.low:+.2f} to {self.high:+.2f}) on {self.images} images "
            "out of fold"
        )


@dataclass(frozen=True)
class RouterChoice:
    """What ships: ``model``, or SDC where it is None; ``router_comparison`` is None where there were too few images."""

    model: GainModel | None
    router_comparison: RouterComparison | None
    reason: str


def kinds_for(profile: Profile) -> tuple[str, ...]:
    """Return the kinds of model whose operators the device's runtime has; trees are an operator of onnxruntime."""
    trees = profile.runtime.startswith("onnxruntime") and profile.export.allowed_operators is None
    return (*PLAIN, BOOSTING) if trees else PLAIN


def choose_router(samples: Samples, *, kinds: Sequence[str] = PLAIN, seed: int = 0) -> RouterChoice:
    """Fit models of all ``kinds`` on out-of-fold images and decide by nested cross-validation over groups.

    The inner folds choose the kind of model by the area under its curve; the outer folds say what the choice is worth.
    """
    if len(samples) < FEWEST_IMAGES:
        few = f"{len(samples)} out-of-fold images, at least {FEWEST_IMAGES} are asked for"
        return RouterChoice(None, None, f"Soft Dice Confidence ships: too few images to learn from ({few})")
    confidence = -nested_gain(samples, seed, kinds)
    found = compare(
        samples.edge_dice,
        samples.cloud_dice,
        samples.groups,
        {SDC: samples.sdc, LEARNED: confidence},
        reference=SDC,
        seed=seed,
    )
    if LEARNED not in found.beyond:
        return RouterChoice(None, None, "Soft Dice Confidence ships: both networks score the same on every image")
    kind = best_kind(samples, seed, kinds)
    skills = {row.name: row.skill or 0.0 for row in found.rows}
    _, low, high = found.beyond[LEARNED]
    router_comparison = RouterComparison(
        images=len(samples), kind=kind, sdc_skill=skills[SDC], learned_skill=skills[LEARNED], low=low, high=high
    )
    model = None
    if router_comparison.won:
        model = fit_model(kind, samples.names, samples.features, samples.networks, samples.gain, seed=seed)
    return RouterChoice(model, router_comparison, router_comparison.sentence)


def nested_gain(samples: Samples, seed: int = 0, kinds: Sequence[str] = PLAIN) -> Floats:
    """Return the predicted gain [N] of every image by a model that was chosen and fitted without its group."""
    predicted = np.zeros(len(samples))
    folds = group_folds(samples.groups, OUTER, seed)
    features = standardised(samples.features, samples.networks)
    for fold in range(OUTER):
        train, test = folds != fold, folds == fold
        kind = best_kind(samples.chosen(train), seed, kinds)
        predicted[test] = _fit_predict(kind, features, samples.gain, train, test, seed=seed)
    return predicted


def best_kind(samples: Samples, seed: int = 0, kinds: Sequence[str] = PLAIN) -> str:
    """Return the kind of model with the largest area under its curve in cross-validation."""
    folds = group_folds(samples.groups, INNER, seed + 1)
    features = standardised(samples.features, samples.networks)
    areas = {}
    for kind in kinds:
        predicted = np.zeros(len(samples))
        for fold in range(INNER):
            train, test = folds != fold, folds == fold
            predicted[test] = _fit_predict(kind, features, samples.gain, train, test, seed=seed)
        areas[kind] = curve(samples.edge_dice, samples.cloud_dice, -predicted).area
    return max(areas, key=lambda kind: areas[kind])


def group_folds(groups: Integers, count: int, seed: int) -> Integers:
    """Return the fold [N], 0 .. count - 1, of every image: groups stay together, folds have about equally many."""
    _, members = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(seed).permutation(members.max() + 1)
    return np.asarray((np.argsort(order) % count)[members], dtype=np.int64)


def _fit_predict(
    kind: str,
    features: Floats,
    gain: Floats,
    train: npt.NDArray[np.bool_],
    test: npt.NDArray[np.bool_],
    *,
    seed: int,
) -> Floats:
    """Fit on standardised features [N, F] of ``train`` and predict the gain of ``test``."""
    layers, trees = MODELS[kind](features[train], gain[train], seed)
    count = features.shape[1]
    nothing, unit = (0.0,) * count, (1.0,) * count
    model = GainModel(kind=kind, features=("",) * count, mean=nothing, scale=unit, layers=layers, trees=trees)
    return model.predict(features[test])


RANDOM, ORACLE, ENTROPY, IMAGE_COMPLEXITY = "random", "oracle", "mean entropy", "image complexity"
FLIP = "flip agreement"
"""A comparison only: it takes a second forward pass, which no shipped router does."""


def plain_routers(samples: Samples) -> dict[str, Floats]:
    """Return the confidence [N] of each by name; chance is one confidence for all, which curves take as such."""
    return {
        RANDOM: np.zeros(len(samples)),
        ORACLE: oracle_confidence(samples.edge_dice, samples.cloud_dice),
        SDC: samples.sdc,
        ENTROPY: -samples.mean_entropy,
        FLIP: samples.flip,
        IMAGE_COMPLEXITY: -image_complexity(samples),
    }


def image_complexity(samples: Samples) -> Floats:
    """Return the mean [N] of the standardised complexity features: CEA-Net's idea of what should go to the cloud."""
    columns = [samples.names.index(name) for name in COMPLEXITY]
    return np.asarray(standardised(samples.features[:, columns], samples.networks).mean(axis=1))
