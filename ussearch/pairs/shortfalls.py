"""What a reader of a pair's figures must not overlook: networks that are no better than no network."""

from __future__ import annotations

from ussearch.evaluators import End
from ussearch.pairs.manifest import MetricsEntry
from ussearch.studies.front import beats

ENDS: tuple[End, ...] = ("edge", "cloud")


def shortfalls(metrics: MetricsEntry) -> list[str]:
    """Return a sentence for each end whose network some trivial baseline reaches on the test images."""
    return [_sentence(metrics, end) for end in ENDS if not beats(getattr(metrics, end), metrics.baselines)]


def _sentence(metrics: MetricsEntry, end: End) -> str:
    own = getattr(metrics, end)
    name = next(name for name, each in metrics.baselines.items() if not beats(own, {name: each}))
    reached, left = (
        f"lesion Dice {each.get('lesion_dice') or 0.0:.3f}, selection {each.get('selection') or 0.0:.3f}"
        for each in (metrics.baselines[name], own)
    )
    return (
        f"The {end} network is NOT FIT FOR USE: a baseline without any network reaches it on the test images "
        f"({name}: {reached}; the network: {left}). Train longer or search more."
    )
