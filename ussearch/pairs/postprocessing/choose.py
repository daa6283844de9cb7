"""The post-processing of one network, chosen on calibration images as nnU-Net does: a step stays only where it helps.

Steps are decided one after the other: threshold, presence, smallest lesion, number of lesions. Each is judged by
cross-validation over groups: a setting is chosen on four fifths of the groups and judged on the fifth. It stays where
the objective (lesion Dice less the share of empty images × their false positives) rises, either of both is better
beyond doubt, and all steps together cost no more than ``PROMISED``; presence is tried with more confidence before it is
left out. Where a network finds few lesions, what a step costs of them cannot be seen: then nothing is removed, and the
threshold may only fall.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ussearch.evaluators.metrics.paired_bootstrap import bootstrap_interval
from ussearch.pairs.postprocessing.evidence import STEPS, PostprocessingChoice, Step, StepEvidence
from ussearch.pairs.postprocessing.observed import Bools, Floats, Observed, Outcomes
from ussearch.pairs.postprocessing.presence import Limits, area_under_roc, choose_presence
from ussearch.pairs.routing.router_comparison import group_folds
from ussearch.runtime.postprocessing import Postprocessing

PLAIN = Postprocessing()
PROMISED = Limits(dice=0.005, missed=0.05)
"""What all steps together may cost."""
CONFIDENCES = (0.6, 0.85, 1.0)
"""Shares of the draws of calibration groups that have to keep it, by which presence is chosen; tried in this order."""
FOLDS = 5
FEWEST_LESIONS, FEWEST_EMPTY = 20, 8
FEWEST_FOUND = round(1 / PROMISED.missed)
"""At threshold 0.5. Of fewer not even one may be missed, and that none is says little of other images."""
THRESHOLDS = (0.25, 0.3125, 0.375, 0.4375, 0.5, 0.5625, 0.625, 0.6875, 0.75)
SIZE_PARTS = (4096, 2048, 1024, 512, 256, 128)
"""Of the grid: what the smallest lesion may be."""
COUNTS = (1, 2, 3)
Pick = Callable[[Bools, float], Postprocessing | None]


@dataclass(frozen=True)
class _Judge:
    """Objective and limits on calibration images; ``before`` is what threshold 0.5 alone makes of them."""

    seen: Observed
    before: Outcomes

    @property
    def known(self) -> int:
        """How many lesions are found before."""
        return int(np.count_nonzero(self.before.found))

    def values(self, outcomes: Outcomes) -> Floats:
        """Return each image's part [N] in the objective: their mean is lesion Dice - share empty × false positives."""
        lesion = self.seen.has_lesion
        weight = len(lesion) / max(1, int(np.count_nonzero(lesion)))
        return np.where(lesion, weight * outcomes.dice, -outcomes.any.astype(np.float64))

    def allowed(self, outcomes: Outcomes, chosen: Bools) -> bool:
        """Whether outcomes keep ``PROMISED`` on the chosen images [N]."""
        lesion, known = chosen & self.seen.has_lesion, chosen & self.before.found
        lost = (self.before.dice - outcomes.dice)[lesion].mean() if lesion.any() else 0.0
        missed = 1 - outcomes.found[known].mean() if known.any() else 0.0
        return bool(lost <= PROMISED.dice + 1e-12 and missed <= PROMISED.missed + 1e-12)

    def best(self, candidates: Sequence[Postprocessing], chosen: Bools) -> Postprocessing | None:
        """Return the candidate within ``PROMISED`` of the highest objective on the chosen images, the first of
        equals."""
        outcomes = [(each, self.seen.outcomes(each)) for each in candidates]
        allowed = [(each, found) for each, found in outcomes if self.allowed(found, chosen)]
        return max(allowed, key=lambda pair: float(self.values(pair[1])[chosen].mean()))[0] if allowed else None

    def gains(self, without: Outcomes, with_step: Outcomes) -> str:
        """Return in words what is better beyond doubt: lesion Dice, false positives; empty where neither is."""
        groups, lesion = self.seen.groups, self.seen.has_lesion
        falls = without.any.astype(np.float64) - with_step.any
        said = []
        for name, change, some in (
            ("lesion Dice {:+.1f} points", with_step.dice - without.dice, lesion),
            ("false positives -{:.0f} points", falls, ~lesion),
        ):
            if some.any() and bootstrap_interval(change[some], groups[some].tolist())[0] > 0:
                said.append(name.format(100 * change[some].mean()))
        return ", ".join(said)


def choose_postprocessing(seen: Observed, seed: int = 0) -> tuple[Postprocessing, PostprocessingChoice]:
    """Return the post-processing of a network that gave these answers, and why it is so."""
    how, steps = PLAIN, []
    judge = _Judge(seen, seen.outcomes(PLAIN))
    for step in STEPS:
        refusal = _refusal(judge, step)
        if refusal:
            evidence = StepEvidence(step=step, kept=False, reason=refusal)
        else:
            how, evidence = _decided(step, judge, how, _picking(step, judge, how), seed)
        steps.append(evidence)
    return how, PostprocessingChoice(
        images=len(seen.truth),
        empty_images=int(np.count_nonzero(~seen.has_lesion)),
        groups=len(np.unique(seen.groups)),
        presence_auc=area_under_roc(seen.surest(how), seen.has_lesion),
        steps=tuple(steps),
        before=seen.figures(judge.before),
        after=seen.figures(seen.outcomes(how)),
    )


def _refusal(judge: _Judge, step: Step) -> str:
    """Return why a step cannot be decided on these images; empty where it can."""
    seen = judge.seen
    lesions, groups = int(np.count_nonzero(seen.has_lesion)), len(np.unique(seen.groups))
    empty = len(seen.truth) - lesions
    if lesions < FEWEST_LESIONS:
        return f"{lesions} calibration images with a lesion, at least {FEWEST_LESIONS} are asked for"
    if groups < 2 * FOLDS:
        return f"{groups} groups of calibration images, at least {2 * FOLDS} are asked for"
    if step == "presence" and empty < FEWEST_EMPTY:
        return f"{empty} calibration images without a lesion, at least {FEWEST_EMPTY} are asked for"
    if step != "threshold" and judge.known < FEWEST_FOUND:
        return (
            f"{judge.known} of {lesions} lesions of the calibration images are found before, at least {FEWEST_FOUND} "
            "are asked for where some may be lost"
        )
    return ""


def _picking(step: Step, judge: _Judge, how: Postprocessing) -> Pick:
    """Return how a setting of ``step`` is picked on some images, with a confidence."""
    if step == "presence":
        return lambda chosen, confidence: choose_presence(judge.seen, how, chosen, PROMISED, confidence)
    pixels = judge.seen.truth[0].size
    values: dict[Step, Sequence[float]] = {
        "threshold": [each for each in THRESHOLDS if each <= PLAIN.threshold or judge.known >= FEWEST_FOUND],
        "smallest_lesion": sorted({max(2, pixels // part) for part in SIZE_PARTS}),
        "most_lesions": COUNTS,
    }
    candidates = [how, *(how.model_copy(update={step: value}) for value in values[step])]
    return lambda chosen, _: judge.best(candidates, chosen)


def _decided(
    step: Step, judge: _Judge, how: Postprocessing, pick: Pick, seed: int
) -> tuple[Postprocessing, StepEvidence]:
    """Return the post-processing with the step, or as it was, and what was seen of it."""
    seen, everything = judge.seen, np.ones(len(judge.seen.truth), bool)
    without, kept, chosen = seen.outcomes(how), False, how
    for confidence in CONFIDENCES:
        chosen = pick(everything, confidence) or how
        found = _cross_validated(seen, how, pick, confidence, seed)
        gained = judge.gains(without, found)
        rises = judge.values(found).mean() > judge.values(without).mean()
        kept = chosen != how and rises and bool(gained) and judge.allowed(found, everything)
        if kept or chosen == how or step != "presence":
            break
    refused = "it costs more of the lesions than is allowed" if gained else "nothing is better beyond doubt"
    evidence = StepEvidence(
        step=step,
        kept=kept,
        reason=gained if kept else refused,
        without=seen.figures(without),
        with_step=seen.figures(found),
    )
    return (chosen if kept else how), evidence


def _cross_validated(seen: Observed, how: Postprocessing, pick: Pick, confidence: float, seed: int) -> Outcomes:
    """Return the outcomes of all images, each by what was picked without its group."""
    folds = group_folds(seen.groups, FOLDS, seed)
    parts = [seen.outcomes(pick(folds != fold, confidence) or how) for fold in range(FOLDS)]
    number = np.arange(len(folds))
    dice, found, marked = (
        np.stack([getattr(part, name) for part in parts])[folds, number] for name in ("dice", "found", "any")
    )
    return Outcomes(dice, found, marked)
