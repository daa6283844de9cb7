"""What answers in the cloud: the averages that were tried, and what the cloud is better by."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ussearch.pairs import Bundle
from ussearch.pairs.bundles.cloud_gain import gain_sentences
from ussearch.pairs.bundles.ensemble import EnsembleAttempt, EnsembleChoice
from ussearch.report.markup import figure_of, paragraph, table

Told = Callable[[str], str]


def cloud_parts(bundle: Bundle, told: Told) -> list[str]:
    """Return the HTML of a bundle; ``told`` says a sentence as it may be said. Empty for bundles of before."""
    choice = bundle.ensemble
    sentences = gain_sentences(bundle.manifest.metrics.cloud_gain, choice)
    parts = [paragraph(told(sentence)) for sentence in sentences]
    if choice is not None:
        parts += [paragraph(told(f"The cloud answers with {choice.sentence}.")), _members(choice)]
        parts += [_attempts(choice, told)] if choice.attempts else []
    return ["<h3>The cloud's network</h3>", *parts] if parts else []


def _members(choice: EnsembleChoice) -> str:
    rows = [
        (
            member.title,
            member.architecture,
            figure_of(member.objective),
            "yes" if member.fits_edge else "no",
            "ships" if number in choice.chosen else "",
        )
        for number, member in enumerate(choice.members)
    ]
    return table(("trained network", "architecture", "objective", "fits the device", ""), rows, numbers=(2,))


def _attempts(choice: EnsembleChoice, told: Told) -> str:
    rows = [
        (
            attempt.title,
            f"{attempt.latency_ms:.1f}",
            f"{attempt.memory_mib:.0f}",
            figure_of(attempt.objective),
            *_change(attempt),
            told(attempt.reason),
        )
        for attempt in choice.attempts
    ]
    head = ("average", "ms", "MiB", "objective", "points over the single network", "95 %", "why")
    return table(head, rows, numbers=range(1, 6))


def _change(attempt: EnsembleAttempt) -> Iterator[str]:
    change = attempt.change
    yield "–" if change is None else f"{100 * change.mean:+.1f}"
    yield "" if change is None else f"{100 * change.low:+.1f} to {100 * change.high:+.1f}"
