"""The runtimes that published measurements reach, what each is fitted to, and from which one it learns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from published import measured
from published.measured import Measured
from published.tables import Floats, Indices, Names
from ussearch.hardware_profiles.latency.cost_features import WHOLE, Tiles
from ussearch.hardware_profiles.latency.kernel_cost_model import KernelCostModel
from ussearch.hardware_profiles.latency.network_fitting import COLUMNS, Charges, charges, fit_network_prices
from ussearch.hardware_profiles.latency.roofline import MIB

CROWD = 0.25
"""Power by which a network counts less the more of its family there are: variants of one design say much the same."""
LEAST_NETWORKS, LEAST_FAMILIES = 3, 2
"""How many networks, of how many families, must contain a class of kernels before it counts as covered."""
GPU_TILES = Tiles(channels=32, pixels=64)
"""Those of the Jetson Nano's GPU; sizes that fill them are faster by what others foretell."""


@dataclass(frozen=True)
class Runtime:
    """A device with a runtime and a precision: where its measurements are, and whose prices are its prior.

    ``gb_per_s`` is the memory's bandwidth on the datasheet, 0 where it is unknown; ``element_bytes`` those of a value.
    """

    name: str
    load: Callable[[Path], Measured]
    tiles: Tiles = WHOLE
    prior: str = ""
    gb_per_s: float = 0.0
    element_bytes: int = 4

    @property
    def least_ms_per_mib(self) -> float:
        """What moving a MiB of float32 values takes at the least."""
        return self.element_bytes / 4 * 1000 * MIB / (self.gb_per_s * 1e9) if self.gb_per_s else 0.0


def _xnnpack(data: Path, device: str) -> Measured:
    tables = data / "latency2"
    return measured.tflite_pi(tables, device, "fp32") + measured.netspresso(tables, device, "fp16")


def _netspresso(data: Path, device: str) -> Measured:
    return measured.netspresso(data / "latency2", device, "fp16")


CPU, CUDA = "jetson-nano@onnxruntime-cpu-fp32", "jetson-nano@onnxruntime-cuda-fp32"
TENSORRT_32, TENSORRT_16 = "jetson-nano@tensorrt-fp32", "jetson-nano@tensorrt-fp16"
RUY_32, RUY_8 = "raspberry-pi-4@tflite-ruy-fp32", "raspberry-pi-4@tflite-ruy-int8"
XNNPACK_4, XNNPACK_5 = "raspberry-pi-4@tflite-xnnpack-fp32", "raspberry-pi-5@tflite-xnnpack-fp32"
ORT_4, ORT_5 = "raspberry-pi-4@onnxruntime-fp32", "raspberry-pi-5@onnxruntime-fp32"
RUNTIMES = {
    each.name: each
    for each in (
        Runtime(
            CUDA,
            lambda data: (
                measured.timm(data / "latency2", "onnxruntime GPU (CUDA)")
                + measured.yolo(data / "latency", "jetson-nano")
            ),
            GPU_TILES,
            gb_per_s=25.6,
        ),
        Runtime(CPU, lambda data: measured.timm(data / "latency2", "onnxruntime CPU"), gb_per_s=25.6),
        Runtime(
            TENSORRT_32,
            lambda data: measured.tensorrt_nano(data / "latency2", "fp32"),
            GPU_TILES,
            CUDA,
            gb_per_s=25.6,
        ),
        Runtime(
            TENSORRT_16,
            lambda data: measured.tensorrt_nano(data / "latency2", "fp16"),
            GPU_TILES,
            TENSORRT_32,
            gb_per_s=25.6,
            element_bytes=2,
        ),
        Runtime(ORT_4, lambda data: measured.yolo(data / "latency", "raspberry-pi-4"), Tiles(columns=4), CPU),
        Runtime(ORT_5, lambda data: measured.yolo(data / "latency", "raspberry-pi-5"), Tiles(columns=8), CPU),
        Runtime(RUY_32, lambda data: measured.mlperf_pi4(data / "latency2", "fp32")),
        Runtime(RUY_8, lambda data: measured.mlperf_pi4(data / "latency2", "int8")),
        Runtime(XNNPACK_4, lambda data: _xnnpack(data, "raspberry-pi-4"), prior=CPU),
        Runtime(XNNPACK_5, lambda data: _xnnpack(data, "raspberry-pi-5"), prior=XNNPACK_4),
        *(
            Runtime(f"{device}@tensorrt-fp16", partial(_netspresso, device=device), GPU_TILES, TENSORRT_16)
            for device in ("jetson-xavier-nx", "jetson-tx2", "jetson-orin-nano")
        ),
        Runtime(
            "snapdragon-855@paddle-lite-fp32",
            lambda data: measured.paddle(data / "latency2", "snapdragon-855", "1"),
            prior=CPU,
        ),
        Runtime("x86-server@openvino-fp32", lambda data: measured.yolo(data / "latency", "i7-openvino"), prior=CPU),
    )
}


@dataclass
class Fits:
    """Fits to the tables in a folder; what was read and counted is kept."""

    data: Path
    _counted: dict[str, tuple[Measured, Charges]] = field(default_factory=dict)
    _models: dict[tuple[str, str], KernelCostModel] = field(default_factory=dict)

    def measured(self, name: str) -> Measured:
        """Return the networks of a runtime."""
        return self._table(name)[0]

    def model(self, name: str, without: str = "") -> KernelCostModel:
        """Return a runtime's prices, fitted to all networks but those of the family ``without``, the prior's too."""
        if without and not self._contains(name, without):
            return self.model(name)
        if (name, without) not in self._models:
            kept = np.flatnonzero(self.measured(name).families != without)
            self._models[name, without] = self.fitted_to(name, kept, without)
        return self._models[name, without]

    def _contains(self, name: str, family: str) -> bool:
        """Tell whether a runtime, or one that its prices are taken from, measured a family."""
        return bool(name) and (family in self.measured(name).families or self._contains(RUNTIMES[name].prior, family))

    def fitted_to(self, name: str, networks: Indices, without: str = "", prior: str = "") -> KernelCostModel:
        """Return a runtime's prices, fitted to some of its networks; ``prior`` stands for its usual one."""
        runtime, (table, counted) = RUNTIMES[name], self._table(name)
        prior = prior or runtime.prior
        return fit_network_prices(
            counted.of(networks),
            table.latency_ms[networks],
            weights(table.families[networks]),
            tiles=runtime.tiles,
            prior=self.model(prior, without) if prior else None,
            least_ms_per_mib=runtime.least_ms_per_mib,
        )

    def predicted(self, name: str, model: KernelCostModel, networks: Indices | None = None) -> Floats:
        """Return the milliseconds of a runtime's networks by a model of the same tiles [networks]."""
        counted = self._table(name)[1]
        return priced(model, counted if networks is None else counted.of(networks))

    def left_out(self, name: str, groups: Names | None = None) -> Floats:
        """Return the milliseconds of each network by prices fitted without its family, or without its group."""
        table = self.measured(name)
        predicted_ms = np.empty(len(table.networks))
        for group in np.unique(table.families if groups is None else groups):
            inside = (table.families if groups is None else groups) == group
            model = self.model(name, group) if groups is None else self.fitted_to(name, np.flatnonzero(~inside))
            predicted_ms[inside] = self.predicted(name, model, np.flatnonzero(inside))
        return predicted_ms

    def _table(self, name: str) -> tuple[Measured, Charges]:
        if name not in self._counted:
            table = RUNTIMES[name].load(self.data)
            self._counted[name] = table, charges(table.networks, RUNTIMES[name].tiles)
        return self._counted[name]


def weights(families: Names) -> Floats:
    """Return what each network counts [networks], 1 on average."""
    members = np.array([np.sum(families == family) for family in families], dtype=np.float64)
    found = members**-CROWD
    return np.asarray(found / found.mean())


def priced(model: KernelCostModel, counted: Charges) -> Floats:
    """Return the milliseconds of networks that were counted [networks]."""
    known = [
        model.prices[next(name for name in counted.lineages[each] if name in model.prices)] for each in counted.classes
    ]
    prices = np.array([[price.get(terms[0], 0.0) for terms in COLUMNS.values()] for price in known])
    return np.asarray(np.tensordot(counted.amounts, prices, axes=2))


def coverage(table: Measured) -> dict[str, tuple[int, int]]:
    """Return for each class of kernels how many networks, of how many families, contain it."""
    networks: dict[str, int] = defaultdict(int)
    families: dict[str, set[str]] = defaultdict(set)
    for network, family in zip(table.networks, table.families, strict=True):
        for name in {kernel.kernel_class for kernel in network.kernels}:
            networks[name] += 1
            families[name].add(family)
    return {name: (networks[name], len(families[name])) for name in sorted(networks)}


def covered(table: Measured) -> frozenset[str]:
    """Return the classes that enough networks of enough families contain."""
    return frozenset(
        name
        for name, (networks, families) in coverage(table).items()
        if networks >= LEAST_NETWORKS and families >= LEAST_FAMILIES
    )
