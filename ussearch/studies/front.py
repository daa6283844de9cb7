"""The front: candidates that no other one beats in everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ussearch.evaluators import Summary, Tier
from ussearch.evaluators.evaluation import highest, standing
from ussearch.hardware_profiles import Profile
from ussearch.studies.records import TrialRecord

Floats = npt.NDArray[np.float64]
MEMORY_STEP = 0.02
"""Memory of a process counts as equal within this share; half a MiB beside a runtime of hundreds is no advantage."""


def non_dominated(losses: Floats) -> npt.NDArray[np.bool_]:
    """Return which rows of ``losses`` [N, M] (all minimised) no other row dominates.

    A row dominates another if it is nowhere worse and somewhere better; equal rows do not dominate each other.
    """
    not_worse = (losses[:, None] <= losses[None]).all(axis=2)
    better = (losses[:, None] < losses[None]).any(axis=2)
    return np.asarray(~(not_worse & better).any(axis=0))


def front(
    records: Sequence[TrialRecord],
    tier: Tier = "edge",
    feasible_only: bool = False,
    baselines: Mapping[str, Summary] | None = None,
) -> tuple[TrialRecord, ...]:
    """Return the candidates on the front over (Dice, latency, memory) of one end, fastest first.

    Dominance is computed within one fidelity: accuracy that was come by in different ways is not comparable. Trainings
    that were stopped early are on the front only while none went further.
    ``feasible_only`` leaves out candidates beyond the limits of the end before the front is taken. A candidate that
    one of the trivial ``baselines`` reaches in lesion Dice or in the objective is not on the front: a baseline costs
    nothing.
    """
    candidates = [r for r in records if not r.failed and (r.feasible(tier) or not feasible_only)]
    candidates = _trained_furthest(candidates)
    candidates = [r for r in candidates if beats(r.evaluation.metrics, baselines or {})]
    chosen: list[TrialRecord] = []
    for fidelity in sorted({r.evaluation.fidelity for r in candidates}):
        peers = [r for r in candidates if r.evaluation.fidelity == fidelity]
        mask = non_dominated(distinguished(losses_of(peers, tier)))
        chosen += [record for record, kept in zip(peers, mask, strict=True) if kept]
    return tuple(sorted(chosen, key=lambda record: record.costs(tier).latency_ms))


def _trained_furthest(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the records without trainings of their own that ended before the longest; other fidelities stay."""
    furthest = max((standing(r.evaluation.fidelity) for r in records), default=0.0)
    return [r for r in records if standing(r.evaluation.fidelity) in {0.0, furthest}]


def beats(metrics: Summary, baselines: Mapping[str, Summary]) -> bool:
    """Return whether figures are above those of every trivial baseline, in lesion Dice and in the objective."""
    return all(
        (metrics.get(key) or 0.0) > (summary.get(key) or 0.0)
        for summary in baselines.values()
        for key in ("lesion_dice", "objective")
    )


def distinguished(losses: Floats) -> Floats:
    """Return losses in which memory differs only by steps of ``MEMORY_STEP``: less is within what is predicted."""
    return np.concatenate([losses[:, :2], in_steps(losses[:, 2:])], axis=1)


def in_steps(memory_mib: Floats | float) -> Floats:
    """Return memory rounded to steps of ``MEMORY_STEP``: what differs by less is equal."""
    step = np.log1p(MEMORY_STEP)
    return np.asarray(np.exp(step * np.round(np.log(memory_mib) / step)), np.float64)


def losses_of(records: Sequence[TrialRecord], tier: Tier) -> Floats:
    """Return (-Dice, latency, memory) of records that did not fail, float64 [N, 3]."""
    rows = [objectives for record in records if (objectives := record.objectives(tier))]
    return np.array([(-dice, latency_ms, memory_mib) for dice, latency_ms, memory_mib in rows]).reshape(-1, 3)


def front_hypervolume(records: Sequence[TrialRecord], profile: Profile, image_size: int, tier: Tier = "edge") -> float:
    """Return the share, 0 to 1, of the box (Dice 0..1, latency and memory up to the limits) that is dominated.

    Only the records of the highest fidelity count: what was trained less is not comparable with them. Memory counts
    from what the runtime takes before any network is loaded, latency up to what post-processing leaves at
    ``image_size`` pixels.
    """
    floor = profile.runtime_memory_mib
    good = [r for r in records if not r.failed]
    best = highest(r.evaluation.fidelity for r in good)
    losses = losses_of([r for r in good if r.evaluation.fidelity == best], tier)
    limits = (profile.network_limit_ms(image_size), profile.limits.memory_mib - floor)
    span = np.array([1.0, *(max(limit, 1e-9) for limit in limits)])
    return hypervolume((losses - np.array([0.0, 0.0, floor])) / span, np.array([0.0, 1.0, 1.0]))


def hypervolume(losses: Floats, reference: Floats) -> float:
    """Return the volume that rows of ``losses`` [N, 3] (minimised) dominate below ``reference`` [3], exactly.

    Sweeps over the third objective; between two of its values the cross-section is a staircase in the plane.
    """
    inside = losses[(losses < reference).all(axis=1)]
    if not len(inside):
        return 0.0
    inside = inside[np.argsort(inside[:, 2])]
    depths = np.diff(np.append(inside[:, 2], reference[2]))
    areas = [_staircase(inside[: count + 1, :2], reference[:2]) for count in range(len(inside))]
    return float(np.dot(areas, depths))


def _staircase(points: Floats, reference: Floats) -> float:
    """Return the area that points [N, 2] dominate below ``reference`` [2]."""
    area, ceiling = 0.0, reference[1]
    for x, y in points[np.lexsort((points[:, 1], points[:, 0]))]:
        if y < ceiling:
            area += (reference[0] - x) * (ceiling - y)
            ceiling = y
    return float(area)
