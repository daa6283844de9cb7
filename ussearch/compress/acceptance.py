"""What a step has to show to be kept, and what the chain did, step by step, as data."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from ussearch.compress.evaluate import Measures
from ussearch.compress.speed import SpeedComparison
from ussearch.evaluators.metrics.paired_bootstrap import Change

MEAN_DROP = 0.010
"""Mean Dice that a step may lose where the network was trained again; ``--max-drop`` sets another."""
WORST_MEAN_DROP = 0.020
"""The upper 95 % bound of that loss."""
TAIL_BELOW_CONTROL = 0.020
"""By so much the 5th percentile of change may lie below that of the control: the same training without the step.

A few more epochs alone change single images by 7 points and more (docs of the project, deployment notes).
"""
UNTRAINED_MEAN_DROP = 0.005
UNTRAINED_TAIL = -0.050
"""The 5th percentile of change, where the network was not trained again."""


class Verdict(BaseModel):
    """Whether a step is kept, and why."""

    model_config = ConfigDict(frozen=True)

    kept: bool
    reason: str


def accept(
    speed: SpeedComparison,
    change: Change,
    control: Change | None,
    *,
    retrained: bool,
    smaller: bool,
    max_drop: float = MEAN_DROP,
) -> Verdict:
    """Return the verdict on a step, by speed first and then by Dice per validation image.

    ``change`` is from before the step to after it; ``control`` from before to the same training without the step.
    The upper bound of the loss may be twice ``max_drop``, and two points at least. ``smaller``: the file has fewer
    bytes. A network that was trained again has to be faster, smaller or better.
    """
    if speed.slower:
        return Verdict(kept=False, reason=f"slower, {speed.ratio:.2f} × ({speed.source})")
    failed = _drop(change, control, retrained, max_drop)
    if failed:
        return Verdict(kept=False, reason=failed)
    if retrained and not (speed.faster or smaller or change.mean > 0):
        return Verdict(kept=False, reason=f"neither faster, nor smaller, nor better (Dice {_points(change.mean)})")
    return Verdict(kept=True, reason=f"{_gained(speed)}Dice {_points(change.mean)}")


def _gained(speed: SpeedComparison) -> str:
    """Return what a step makes of the latency; with its numbers where these are of another runtime than the rest."""
    if speed.ratio is None:
        return ""
    of_both = f" ({speed.before_ms:.1f} to {speed.after_ms:.1f} ms by {speed.runtime})" if speed.runtime else ""
    return f"{speed.ratio:.2f} × the latency{of_both}; "


def _drop(change: Change, control: Change | None, retrained: bool, max_drop: float) -> str:
    """Return by what the loss of Dice is too large, or an empty string."""
    mean_limit = max_drop if retrained else min(max_drop, UNTRAINED_MEAN_DROP)
    if -change.mean > mean_limit:
        return f"Dice {_points(change.mean)}, at most {_points(-mean_limit)} is allowed"
    if not retrained:
        if change.fifth_percentile < UNTRAINED_TAIL:
            return (
                f"one image in twenty loses more than {-change.fifth_percentile * 100:.1f} points, "
                f"{-UNTRAINED_TAIL * 100:.0f} are allowed"
            )
        return ""
    worst = max(WORST_MEAN_DROP, 2 * max_drop)
    if -change.low > worst:
        return f"Dice may be {_points(change.low)} (95 % bound), at most {_points(-worst)} is allowed"
    if control is not None and change.fifth_percentile < control.fifth_percentile - TAIL_BELOW_CONTROL:
        return (
            f"one image in twenty changes by {_points(change.fifth_percentile)} or worse; with the same training alone "
            f"{_points(control.fifth_percentile)}, and {TAIL_BELOW_CONTROL * 100:.0f} points below that are allowed"
        )
    return ""


def _points(dice: float) -> str:
    return f"{dice * 100:+.1f} points"


class StepRecord(BaseModel):
    """One attempt at a step; ``after`` and what follows are None where it was not tried."""

    model_config = ConfigDict(frozen=True)

    step: str
    settings: dict[str, Any] = {}
    before: Measures
    after: Measures | None = None
    speed: SpeedComparison | None = None
    change: Change | None = None
    """Of Dice per validation image, from before the step to after it."""
    control: Change | None = None
    """The same after the same training without the step."""
    kept: bool
    reason: str
    details: dict[str, Any] = {}
    """What the step itself recorded, such as layers left in float."""
    seconds: float = 0.0

    @property
    def tried(self) -> bool:
        """Whether there is something to compare."""
        return self.after is not None


class WidthMultiplierRecord(BaseModel):
    """The same architecture with all widths scaled alike, by the same recipe, at the latency of what was pruned."""

    model_config = ConfigDict(frozen=True)

    factor: float
    measures: Measures
    latency_ratio: float | None = None
    """Its latency as a share of that of the network beside it."""
    change: Change
    """From the network beside it to it, per validation image."""
    in_place_of_pruning: bool = False
    """Whether all pruning was undone: the network beside it is the one that came in, else the chain's."""
    shipped: bool
    reason: str
    seconds: float = 0.0


class Compression(BaseModel):
    """A whole chain: every attempt in order, and what left it."""

    model_config = ConfigDict(frozen=True)

    profile: str
    architecture_id: str
    architecture: str
    """Name of the architecture that came in, or its id."""
    records: tuple[StepRecord, ...]
    uniform: WidthMultiplierRecord | None = None
    skipped: dict[str, str] = {}
    """Steps that did not fit into the budget, with the command that runs them later."""
    start: Measures
    """Of the deploy form of the network that came in: the baseline of every ratio."""
    end: Measures
    speed: SpeedComparison
    """Of the end beside the start."""
    change: Change
    """From the start to the end, per validation image."""
    form: str
    """What was shipped: the chain's steps that were kept, or ``uniform``."""
