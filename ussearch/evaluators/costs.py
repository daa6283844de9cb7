"""What the deploy form of an architecture costs on a device; nothing is run."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from ussearch.hardware_profiles import Kernel, LatencyPrediction, Profile, peak_memory_mib, trace_kernels
from ussearch.search_spaces import Architecture, Ensemble, NormalisedNetwork
from ussearch.search_spaces.deploy import merge_
from ussearch.search_spaces.network import build_folded


class Costs(BaseModel):
    """Costs of one architecture under one profile, with how far they exceed its limits."""

    model_config = ConfigDict(frozen=True)

    profile: str
    parameters: int
    macs: int
    """Multiply-accumulates of convolutions and matrix products for one image."""
    file_bytes: int
    """FP32 weights of the deploy form."""
    memory_mib: float
    """Peak of the process: runtime, weights and activations."""
    latency_ms: float
    latency_label: str
    """What kind of number ``latency_ms`` is, such as ``predicted for jetson-nano, onnxruntime-CUDA, fp32``."""
    latency_interval_ms: tuple[float, float]
    """Nine in ten networks like those that were measured lie within it; wider where extrapolated."""
    extrapolated: bool
    """Whether over a tenth of the milliseconds is in classes of kernels that the device's measurements do not cover."""
    excess: dict[str, float]
    """By how much a limit is exceeded (``latency_ms``, ``memory_mib``, ``features``); 0 or less is within it."""
    refused: tuple[str, ...] = ()
    """Reasons why the device cannot run what the architecture is made of."""

    @property
    def feasible(self) -> bool:
        """Whether every limit of the profile holds."""
        return all(amount <= 0 for amount in self.excess.values())


@dataclass(frozen=True)
class TracedNetwork:
    """The kernels of one architecture's deploy form, or of an ensemble's: traced once, priced for any profile.

    ``architecture`` is the first member's; ``features`` are those of all.
    """

    architecture: Architecture
    image_size: int
    kernels: tuple[Kernel, ...]
    parameters: int
    file_bytes: int
    features: frozenset[str]

    def predict(self, profile: Profile) -> LatencyPrediction:
        """Return the predicted latency with the share of each kernel."""
        return profile.predict(self.kernels)

    def costs(self, profile: Profile) -> Costs:
        """Return the costs under ``profile``."""
        prediction = self.predict(profile)
        memory_mib = peak_memory_mib(self.kernels, self.parameters, profile)
        refused = _refusals(self.features, profile)
        return Costs(
            profile=profile.name,
            parameters=self.parameters,
            macs=sum(kernel.macs for kernel in self.kernels),
            file_bytes=self.file_bytes,
            memory_mib=memory_mib,
            latency_ms=prediction.latency_ms,
            latency_label=prediction.label,
            latency_interval_ms=(prediction.low_ms, prediction.high_ms),
            extrapolated=prediction.extrapolated,
            excess={
                "latency_ms": prediction.latency_ms - profile.network_limit_ms(self.image_size),
                "memory_mib": memory_mib - profile.limits.memory_mib,
                "features": float(len(refused)),
            },
            refused=refused,
        )


@lru_cache(maxsize=512)
def trace(architecture: Architecture, image_size: int) -> TracedNetwork:
    """Trace the deploy form for one image of ``image_size`` pixels a side, on the meta device.

    Raises ValueError where the architecture cannot be built or does not divide the image.
    """
    return _traced((architecture,), False, image_size)


@lru_cache(maxsize=64)
def trace_ensemble(architectures: tuple[Architecture, ...], flips: bool, image_size: int) -> TracedNetwork:
    """Trace the mean of several networks as one module: their kernels, twice with ``flips``; errors as ``trace``."""
    return _traced(architectures, flips, image_size)


def _traced(architectures: tuple[Architecture, ...], flips: bool, image_size: int) -> TracedNetwork:
    for each in architectures:
        if image_size % each.size_divisor:
            raise ValueError(f"image side {image_size} is no multiple of {each.size_divisor}")
    first = architectures[0]
    with _no_collection():
        members = [merge_(build_folded(architecture)) for architecture in architectures]
        network = members[0] if len(members) == 1 and not flips else Ensemble(members, flips)
        shape = (1, first.image_channels, image_size, image_size)
        tensors = _tensors(network)
        parameters = sum(tensor.numel() for tensor in tensors if isinstance(tensor, nn.Parameter))
        kernels = trace_kernels(NormalisedNetwork(network, mean=0.0, std=1.0), shape, named=_within_network)
        file_bytes = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        features = frozenset().union(*(each.features for each in architectures))
        return TracedNetwork(first, image_size, kernels, parameters, file_bytes, features)


def _tensors(network: nn.Module) -> list[Tensor]:
    """Return parameters and buffers; no module of a network appears twice."""
    values = [
        value for module in network.modules() for value in (*module._parameters.values(), *module._buffers.values())
    ]
    return [value for value in values if value is not None]


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector from walking through all of torch again and again while many objects are made."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _within_network(path: str) -> str:
    """Return the path of a module in the network; the normalisation in front has none.

    What the network does outside of its modules, such as repeating a grey image, is left to ``network`` itself.
    """
    return path.removeprefix("network.") or "normalisation"


def costs(architecture: Architecture, image_size: int, profile: Profile) -> Costs:
    """Return the costs of one architecture under one profile (see ``trace`` for errors)."""
    return trace(architecture, image_size).costs(profile)


def refusals(architecture: Architecture, profile: Profile) -> tuple[str, ...]:
    """Return why the device cannot run the architecture's operators: one ``feature: reason`` each; no tracing."""
    return _refusals(architecture.features, profile)


def _refusals(features: frozenset[str], profile: Profile) -> tuple[str, ...]:
    refused = sorted(features & profile.forbidden_features.keys())
    return tuple(f"{feature}: {profile.forbidden_features[feature]}" for feature in refused)
