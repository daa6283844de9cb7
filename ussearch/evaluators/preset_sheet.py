"""What a preset is and costs, as JSON-ready data."""

from __future__ import annotations

import copy
from typing import Any

import torch

from ussearch.evaluators.costs import TracedNetwork, refusals, trace
from ussearch.hardware_profiles import Profile
from ussearch.search_spaces import Architecture, Preset, build, count
from ussearch.search_spaces.counting import parameter_count
from ussearch.search_spaces.layers import Conv2d


def thop_counts(architecture: Architecture, image_size: int) -> dict[str, int]:
    """Return MACs and parameters of the training form as thop's module hooks see them.

    They miss functional and dynamic convolutions (papers.md 0.1), which is why the exact counter is ours.
    """
    import thop
    from thop.vision.basic_hooks import count_convNd

    network = copy.deepcopy(build(architecture, device="meta")).eval()
    image = torch.empty(1, architecture.image_channels, image_size, image_size, device="meta")
    macs, parameters = thop.profile(network, inputs=(image,), verbose=False, custom_ops={Conv2d: count_convNd})
    return {"macs": int(macs), "parameters": int(parameters)}


def _in_a_study(traced: TracedNetwork) -> dict[str, int]:
    """Return the counts as a study builds the preset: one class, one grey channel repeated inside."""
    return {
        "parameters_training": parameter_count(build(traced.architecture, device="meta")),
        "parameters_deploy": traced.parameters,
        "macs": sum(kernel.macs for kernel in traced.kernels),
    }


def _prediction(traced: TracedNetwork, profile: Profile) -> dict[str, Any]:
    """Return the predicted latency on a device at the preset's own input size, or why it cannot run there."""
    refused = refusals(traced.architecture, profile)
    if refused:
        return {
            "profile": profile.name,
            "latency_ms": None,
            "latency_interval_ms": None,
            "extrapolated": None,
            "reason": "; ".join(refused),
        }
    prediction = traced.predict(profile)
    return {
        "profile": profile.name,
        "latency_ms": prediction.latency_ms,
        "latency_interval_ms": [prediction.low_ms, prediction.high_ms],
        "extrapolated": prediction.extrapolated,
        "source": prediction.label,
        "uncovered": dict(prediction.uncovered),
        "unpriced": list(prediction.unpriced),
        "outside": list(prediction.outside),
    }


def preset_sheet(preset: Preset, profile: Profile | None = None) -> dict[str, Any]:
    """Return name, origin and counts of a preset; with ``profile`` its predicted latency there.

    The counts hold at the preset's own channels and classes; ``macs_conv`` and ``macs_matmul`` speak of the deploy
    form, ``macs_training_*`` of the training form. ``variants`` are other numbers of input channels.
    """
    counts = count(preset.architecture, preset.input_size)
    traced = trace(preset.architecture.for_task(), preset.input_size)
    sheet: dict[str, Any] = {
        "name": preset.name,
        "title": preset.title,
        "paper": preset.paper,
        "year": preset.year,
        "source": preset.source,
        "inferred": list(preset.inferred),
        "unknown": list(preset.unknown),
        "architecture_id": preset.architecture.id,
        "size_divisor": preset.architecture.size_divisor,
        **counts.to_dict(),
        "thop": thop_counts(preset.architecture, preset.input_size),
        "in_a_study": _in_a_study(traced),
        "variants": [
            count(preset.with_input_channels(channels), preset.input_size).to_dict()
            for channels in preset.also_input_channels
        ],
        "published": preset.published,
    }
    if profile:
        sheet["latency"] = _prediction(traced, profile)
    return sheet
