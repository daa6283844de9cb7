"""The plain alternative to clever pruning: all widths scaled alike, trained and distilled by the same recipe.

Random or uniform channel removal is a strong baseline for U-Nets; what the chain made ships only where it beats this.
"""

from __future__ import annotations

import time

from ussearch.compress.candidate import Candidate
from ussearch.compress.chain import compared
from ussearch.compress.context import Context
from ussearch.compress.judging import measured
from ussearch.compress.records import UniformRecord
from ussearch.compress.retraining import Training, gentle
from ussearch.evaluators import Costs, costs
from ussearch.evaluators.paired import Change, paired_change
from ussearch.hardware_profiles import Profile
from ussearch.search_spaces import Architecture
from ussearch.search_spaces.scaling import scaled

MATCHED = 0.03
"""By so much the latencies may differ to be called equal."""
STEPS = 80
"""Factors from 0.1 on that are tried."""


def uniform_like(original: Architecture, target: Architecture, image_size: int, profile: Profile) -> Architecture:
    """Return ``original`` with all widths scaled alike, by the factor whose predicted latency is nearest to ``target``.

    Of factors that give one network the largest counts; a network that is no slower is preferred to a nearer slower
    one where both are within 3 %.
    """

    def latency_ms(architecture: Architecture) -> float:
        found: Costs = costs(architecture, image_size, profile)
        return found.latency_ms

    wanted = latency_ms(target)
    tried: dict[str, tuple[float, Architecture]] = {}
    for number in range(STEPS + 1):
        each = scaled(original, 0.1 + 0.9 * number / STEPS)
        tried[each.id] = (latency_ms(each), each)
    return min(tried.values(), key=lambda item: _distance(item[0] / wanted))[1]


def _distance(ratio: float) -> float:
    """Return how far a ratio of latencies is from 1; within 3 % below counts as nothing."""
    return 0.0 if 1 - MATCHED <= ratio <= 1 else abs(ratio - 1)


def against_uniform(
    original: Candidate, chained: Candidate, context: Context, epochs: int
) -> tuple[UniformRecord, Candidate]:
    """Train the uniformly scaled network as long as the chain's was, and say which of the two ships.

    ``original`` is the network that came in, ``chained`` what steps that train again left of it, both in float;
    ``epochs`` is the length of the training from scratch, after which it is distilled as the chain's was. Of equals the
    uniform one ships. The latencies compared are those of the context's source of speeds.
    """
    start = time.perf_counter()
    architecture = uniform_like(original.architecture, chained.architecture, context.images.image_size, context.profile)
    title = "uniform scaling"
    full = context.recipe.model_copy(update={"epochs": epochs, "steps": None})
    weights = Training(architecture, full, title, None, taught=True).run(context)
    weights = Training(architecture, gentle(context.recipe, context.epochs), title, weights, taught=True).run(context)
    rival = Candidate(architecture, weights, fused=chained.fused)
    figures = measured(rival, context)
    change = paired_change(measured(chained, context).dice, figures.dice, context.groups, context.seed)
    ratio = compared(chained, rival, context).ratio
    ships, reason = decide(change, ratio)
    record = UniformRecord(
        factor=factor_of(original.architecture, architecture),
        measures=figures,
        latency_ratio=ratio,
        change=change,
        shipped=ships,
        reason=reason,
        seconds=time.perf_counter() - start,
    )
    return record, rival if ships else chained


def decide(change: Change, latency_ratio: float | None) -> tuple[bool, str]:
    """Return whether the uniform network ships, and why; ``change`` leads from the chain's network to it.

    The chain's network ships where it is better beyond doubt (95 %), or where the uniform one is slower.
    """
    points = f"{change.mean * 100:+.1f} points ({change.low * 100:+.1f} to {change.high * 100:+.1f})"
    if latency_ratio is not None and latency_ratio > 1 + MATCHED:
        return False, f"uniform scaling found no network as fast: {latency_ratio:.2f} × the latency, Dice {points}"
    if change.high < 0:
        return False, f"the chain beats uniform scaling at equal latency: Dice {points} for uniform"
    return True, f"the chain does not beat uniform scaling at equal latency: Dice {points} for uniform"


def factor_of(original: Architecture, other: Architecture) -> float:
    """Return the widths of ``other`` as a share of those of ``original``, summed over blocks."""
    return sum(block.width for block in other.blocks) / max(sum(block.width for block in original.blocks), 1)
