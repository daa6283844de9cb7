"""Which two candidates become the pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ussearch.errors import UserError
from ussearch.evaluators.metrics.segmentation import objective_of


@dataclass(frozen=True)
class PairCandidate:
    """A finished trial as far as selection needs it.

    ``lesion_dice`` is None for a failed trial, ``false_positive_rate`` where the data has no empty image.
    ``empty_share`` is the share of images without a lesion. ``latency_ms`` is predicted on the edge device.
    """

    number: int
    lesion_dice: float | None
    false_positive_rate: float | None
    latency_ms: float
    memory_mib: float
    edge_feasible: bool
    cloud_feasible: bool
    empty_share: float = 0.0
    standing: float = 1.0
    """How much of a full training its accuracy stands for (``evaluators.evaluation``); more goes before better."""

    @property
    def score(self) -> float:
        """What selection maximises: Dice on images with a lesion less the share of false positives."""
        return objective_of(self.lesion_dice, self.false_positive_rate, self.empty_share)


@dataclass(frozen=True)
class Pair:
    """The candidate for the device and the one for the cloud."""

    edge: PairCandidate
    cloud: PairCandidate


def select_pair(candidates: Sequence[PairCandidate], edge: int | None = None, cloud: int | None = None) -> Pair:
    """Return the best candidate within the device's limits and the best other one within the cloud profile's.

    A candidate that is best at both ends serves the device, since a pair of one network has nothing to route; the
    cloud's average may hold it nevertheless (``cloud_ensemble``), and two networks that differ make a better one. Only
    where no other fits the cloud does it serve both. ``edge`` and ``cloud`` name candidates by number instead.
    Candidates whose training was stopped early count only where no other fits. Among equal scores the faster one wins,
    then the earlier.

    Raises UserError where no finished candidate fits, or a named one is unknown, failed or outside the limits.
    """
    finished = [candidate for candidate in candidates if candidate.lesion_dice is not None]
    chosen = _choose(finished, "edge", lambda candidate: candidate.edge_feasible, edge)
    others = [candidate for candidate in finished if candidate.number != chosen.number]
    alone = cloud is not None or not any(candidate.cloud_feasible for candidate in others)
    return Pair(chosen, _choose(finished if alone else others, "cloud", lambda each: each.cloud_feasible, cloud))


def _choose(
    finished: Sequence[PairCandidate], tier: str, fits: Callable[[PairCandidate], bool], number: int | None
) -> PairCandidate:
    feasible = [candidate for candidate in finished if fits(candidate)]
    if not feasible:
        raise UserError(f"No candidate fits the {tier} limits{_nearest(finished)}; search longer or relax the limits.")
    if number is None:
        return min(
            feasible,
            key=lambda candidate: (-candidate.standing, -candidate.score, candidate.latency_ms, candidate.number),
        )
    chosen = next((candidate for candidate in finished if candidate.number == number), None)
    choices = ", ".join(str(candidate.number) for candidate in feasible)
    if chosen is None:
        raise UserError(f"Trial {number} is not a finished trial of this study: for the {tier}, give one of {choices}.")
    if not fits(chosen):
        needs = f"{chosen.latency_ms:.1f} ms and {chosen.memory_mib:.0f} MiB"
        raise UserError(f"Trial {number} needs {needs}, outside the {tier} limits: choose one of {choices}.")
    return chosen


def _nearest(finished: Sequence[PairCandidate]) -> str:
    if not finished:
        return " (no trial finished)"
    fastest = min(finished, key=lambda candidate: candidate.latency_ms)
    leanest = min(finished, key=lambda candidate: candidate.memory_mib)
    return (
        f" (fastest: trial {fastest.number}, {fastest.latency_ms:.1f} ms; "
        f"leanest: trial {leanest.number}, {leanest.memory_mib:.0f} MiB)"
    )
