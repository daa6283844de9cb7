"""How a bundle's network and the post-processing behind it stand to the latency that its device may take."""

from __future__ import annotations

from ussearch.hardware_profiles import Profile
from ussearch.pairs.bundles.manifest import NetworkEntry


def latency_told(entry: NetworkEntry, profile: Profile, image_size: int) -> str:
    """Return the network's predicted latency and whether the limit holds for all of a frame; empty without any.

    Post-processing counts with what the profile says of it, whichever of its steps the bundle needs.
    """
    latency_ms = entry.costs.get("latency_ms")
    if not isinstance(latency_ms, (int, float)):
        return entry.latency_sentence
    after_ms, limit_ms = profile.postprocessing_ms(image_size), profile.limits.latency_target_ms
    whole_ms = latency_ms + after_ms
    beside = f"with {after_ms:.1f} ms of post-processing {whole_ms:.1f} ms, " if profile.postprocessing else ""
    verdict = "within" if whole_ms <= limit_ms else "above"
    return f"{entry.latency_sentence}; {beside}{verdict} the limit of {limit_ms:.1f} ms"
