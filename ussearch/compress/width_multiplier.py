"""The plain alternative to clever pruning: all widths scaled alike, trained and distilled by the same recipe.

Random or uniform channel removal is a strong baseline for U-Nets; what the chain made ships only where it beats this.
"""

from __future__ import annotations

import time
from dataclasses import replace

from ussearch.compress.acceptance import Verdict, WidthMultiplierRecord, accept
from ussearch.compress.candidate import CompressionCandidate
from ussearch.compress.chain import compared
from ussearch.compress.context import Context
from ussearch.compress.evaluate import evaluate
from ussearch.compress.retraining import gentle, retrained, trained_weights
from ussearch.compress.speed import SpeedComparison
from ussearch.evaluators import Costs, costs
from ussearch.evaluators.metrics.paired_bootstrap import Change, paired_change
from ussearch.hardware_profiles import Profile
from ussearch.search_spaces import Architecture
from ussearch.search_spaces.scaling import scaled

MATCHED = 0.03
"""By so much the latencies may differ to be called equal."""
STEPS = 80
"""Factors from 0.1 on that are tried."""


def scaled_like(original: Architecture, target: Architecture, image_size: int, profile: Profile) -> Architecture:
    """Return ``original`` with all widths scaled alike, by the factor whose predicted latency is nearest to ``target``.

    Of factors that give one network the largest counts. A network that is no slower is preferred to a nearer slower one
    where both are within 3 %, and any faster one to one that is slower by more: that could not ship. Widths become
    multiples of what pruning keeps them at: where registers hold 16 numbers, the network with multiples of 8 that is
    predicted to be as fast is slower than it.
    """

    def latency_ms(architecture: Architecture) -> float:
        found: Costs = costs(architecture, image_size, profile)
        return found.latency_ms

    wanted = latency_ms(target)
    tried: dict[str, tuple[float, Architecture]] = {}
    for number in range(STEPS + 1):
        each = scaled(original, 0.1 + 0.9 * number / STEPS, profile.export.channel_multiple)
        tried[each.id] = (latency_ms(each), each)
    return min(tried.values(), key=lambda item: _distance(item[0] / wanted))[1]


def _distance(ratio: float) -> tuple[bool, float]:
    """Return how far a ratio of latencies is from 1; within 3 % below counts as nothing, what is slower comes last."""
    return ratio > 1 + MATCHED, 0.0 if 1 - MATCHED <= ratio <= 1 else abs(ratio - 1)


def against_width_multiplier(
    original: CompressionCandidate,
    chained: CompressionCandidate,
    context: Context,
    epochs: int,
    refused: Architecture | None = None,
) -> tuple[WidthMultiplierRecord, CompressionCandidate]:
    """Train the uniformly scaled network as long as the chain's was, and say which of the two ships.

    ``original`` is the network that came in, ``chained`` what steps that train again left of it, both in float;
    ``epochs`` is the length of the training from scratch, after which it is distilled as the chain's was. Of equals the
    uniform one ships. The latencies compared are those of the context's source of speeds.

    ``refused`` is what pruning made where all of it was undone. What is pruned has to recover in the few epochs of a
    step, the uniform network is trained in full: it is brought to the latency of ``refused`` and ships where it passes
    the gate that pruning did not, beside the network that came in.
    """
    start = time.perf_counter()
    target = chained.architecture if refused is None else refused
    rival = replace(_trained(original.architecture, target, context, epochs), fused=chained.fused)
    beside = chained if refused is None else replace(original, fused=chained.fused)
    change, speed = _change(beside, rival, context), compared(beside, rival, context)
    if refused is None:
        ships, reason = decide(change, speed.ratio)
    else:
        ships, reason = _passes(beside, rival, context, speed, change)
    record = WidthMultiplierRecord(
        factor=factor_of(original.architecture, rival.architecture),
        measures=evaluate(rival, context),
        latency_ratio=speed.ratio,
        change=change,
        in_place_of_pruning=refused is not None,
        shipped=ships,
        reason=reason,
        seconds=time.perf_counter() - start,
    )
    return record, rival if ships else chained


def _trained(original: Architecture, target: Architecture, context: Context, epochs: int) -> CompressionCandidate:
    """Return ``original`` scaled to the latency of ``target``, trained from scratch and distilled."""
    architecture = scaled_like(original, target, context.images.image_size, context.profile)
    title = "uniform scaling"
    full = context.recipe.model_copy(update={"epochs": epochs, "steps": None})
    weights = trained_weights(context, architecture, full, title)
    distilled = trained_weights(context, architecture, gentle(context.recipe, context.epochs), title, initial=weights)
    return CompressionCandidate(architecture, distilled)


def _change(before: CompressionCandidate, after: CompressionCandidate, context: Context) -> Change:
    return paired_change(evaluate(before, context).dice, evaluate(after, context).dice, context.groups, context.seed)


def _passes(
    whole: CompressionCandidate, rival: CompressionCandidate, context: Context, speed: SpeedComparison, change: Change
) -> tuple[bool, str]:
    """Return whether the uniform network passes the gate of a step that trains again, and why; the control as there."""
    smaller = evaluate(rival, context).file_bytes < evaluate(whole, context).file_bytes

    def judged(control: Change | None) -> Verdict:
        return accept(speed, change, control, retrained=True, smaller=smaller, max_drop=context.max_drop)

    verdict = judged(None)
    if verdict.kept:
        control = retrained(whole, context, context.epochs, "uniform scaling, control")
        verdict = judged(_change(whole, control, context))
    return verdict.kept, f"in place of pruning, which was undone: {verdict.reason}"


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
