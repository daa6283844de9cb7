"""An operating point that somebody asks for: so many false positives at most, or so many lesions at least."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ussearch.errors import UserError
from ussearch.pairs.postprocessing.choose import PLAIN
from ussearch.pairs.postprocessing.evidence import PostprocessingChoice, StepEvidence
from ussearch.pairs.postprocessing.observed import Bools, Observed
from ussearch.pairs.postprocessing.presence import area_under_roc, presence_at, presence_cuts
from ussearch.runtime.postprocessing import Postprocessing


@dataclass(frozen=True)
class OperatingPoint:
    """What is asked of calibration images, as shares of 0 to 1: one of both.

    ``false_positives``: of the images without a lesion at most so many have any pixel. ``sensitivity``: of those with a
    lesion at least so many have.
    """

    false_positives: float | None = None
    sensitivity: float | None = None

    def __post_init__(self) -> None:
        for name, share in (("--false-positives", self.false_positives), ("--sensitivity", self.sensitivity)):
            if share is not None and not 0 <= share <= 1:
                raise UserError(f"{name} {100 * share:g}% is not possible: expected a share from 0% to 100%.")
        if (self.false_positives is None) == (self.sensitivity is None):
            raise UserError("An operating point needs one goal: give either --false-positives or --sensitivity.")

    @property
    def sentence(self) -> str:
        """What is asked, in words."""
        if self.false_positives is not None:
            return f"false positives on at most {100 * self.false_positives:g} % of the images without a lesion"
        return f"something marked on at least {100 * (self.sensitivity or 0.0):g} % of the images with a lesion"

    def met(self, marked: Bools, has_lesion: Bools) -> bool:
        """Whether images [N] of which some are ``marked`` meet it."""
        if self.false_positives is not None:
            return bool(marked[~has_lesion].mean() <= self.false_positives + 1e-12)
        return bool(marked[has_lesion].mean() >= (self.sensitivity or 0.0) - 1e-12)

    def applied(
        self, seen: Observed, how: Postprocessing, tier: str = "edge"
    ) -> tuple[Postprocessing, PostprocessingChoice]:
        """Return ``how`` with the presence that meets it, and what calibration images say of the ``tier`` network.

        Of thresholds that meet a limit of false positives the lowest is taken, of those that meet a sensitivity the
        highest. Raises UserError where the images cannot tell, or no threshold meets it.
        """
        kind = "without" if self.false_positives is not None else "with"
        if seen.has_lesion.all() or not seen.has_lesion.any():
            lacking = "without" if seen.has_lesion.all() else "with"
            raise UserError(
                f"None of the {len(seen.truth)} calibration images is {lacking} a lesion: a threshold needs both; make "
                "the bundle from data with images of both kinds."
            )
        bare = how.model_copy(update={"presence": None})
        cuts, table = presence_cuts(seen, bare), seen.table(bare)
        large = table.size >= bare.smallest_lesion
        meets = [cut for cut in cuts if self.met(seen.kept(table, large & (table.peak >= cut)).any, seen.has_lesion)]
        if not meets:
            reached = seen.kept(table, large).any[seen.has_lesion].mean()
            raise UserError(
                f"{self.sentence[0].upper()}{self.sentence[1:]} cannot be had: without any threshold of presence the "
                f"{tier} network marks something on {100 * reached:.0f} % of them; ask for no more than that."
            )
        cut = meets[0] if kind == "without" else meets[-1]
        chosen = presence_at(seen, bare, cut)
        return chosen, self._evidence(seen, bare, chosen)

    def _evidence(self, seen: Observed, bare: Postprocessing, chosen: Postprocessing) -> PostprocessingChoice:
        without, after = (seen.figures(seen.outcomes(each)) for each in (bare, chosen))
        step = StepEvidence(
            step="presence",
            kept=chosen.presence is not None,
            reason=f"{self.sentence} was asked for",
            without=without,
            with_step=after,
        )
        return PostprocessingChoice(
            images=len(seen.truth),
            empty_images=int(np.count_nonzero(~seen.has_lesion)),
            groups=len(np.unique(seen.groups)),
            presence_auc=area_under_roc(seen.surest(bare), seen.has_lesion),
            steps=(step,),
            before=seen.figures(seen.outcomes(PLAIN)),
            after=after,
        )
