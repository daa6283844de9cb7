"""Which networks were measured on which runtime, with the kernels and the family of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from published import segmentation, yolobench
from published.layer_tables import read_networks
from published.tables import Floats, Names, read_rows
from ussearch.hardware_profiles.kernels.kernel import Kernel
from ussearch.hardware_profiles.latency.kernel_fitting import MeasuredNetwork
from ussearch.hardware_profiles.validation import Coverage, coverage_of

NETWORKS = Path(__file__).parent / "networks"
"""Layer lists and families of networks whose sources the project read itself."""
RECURRENT = "sequencer"
"""Networks that the table unrolls into a row for each step, where the runtime has one node."""
MLPERF_ROUNDS = ("v2.0", "v2.1")
"""One family of rounds on the Raspberry Pi 4: the same TFLite at 1.8 GHz. Earlier ones ran at 1.5 GHz."""


@dataclass(frozen=True)
class Measured:
    """Networks measured with one runtime: ``keys``, ``families`` and ``kinds`` name each [networks]."""

    networks: tuple[MeasuredNetwork, ...]
    families: Names
    kinds: Names

    @property
    def latency_ms(self) -> Floats:
        """What was measured [networks]."""
        return np.array([network.latency_ms for network in self.networks])

    @property
    def coverage(self) -> dict[str, Coverage]:
        """How many networks, of how many families, contain each class of kernels."""
        return coverage_of([network.kernels for network in self.networks], [str(family) for family in self.families])

    def __add__(self, other: Measured) -> Measured:
        """Return the networks of both."""
        families = np.concatenate([self.families, other.families])
        kinds = np.concatenate([self.kinds, other.kinds])
        return Measured((*self.networks, *other.networks), families, kinds)


Row = tuple[str, str, str, float, tuple[Kernel, ...]]
"""Key, family, kind, milliseconds and kernels of one network."""


def collected(rows: Iterable[Row]) -> Measured:
    """Return what rows say, the fastest where a network was measured more than once."""
    best: dict[str, Row] = {}
    for row in rows:
        if row[0] not in best or row[3] < best[row[0]][3]:
            best[row[0]] = row
    kept = list(best.values())
    networks = tuple(MeasuredNetwork(key, kernels, latency_ms) for key, _, _, latency_ms, kernels in kept)
    return Measured(networks, np.array([row[1] for row in kept]), np.array([row[2] for row in kept]))


def timm(data: Path, runtime: str) -> Measured:
    """Return timm's networks on the Jetson Nano; ``runtime`` is onnxruntime's on its GPU or its CPU."""
    layers = read_networks(data / "jetson_nano_onnxruntime_timm_layers.csv.gz")
    families = {row["key"]: row["family"] for row in read_rows(NETWORKS / "families.csv")}

    def rows() -> Iterator[Row]:
        for row in read_rows(data / "jetson_nano_onnxruntime_timm.csv"):
            key = row["key"]
            if row["runtime"] != runtime or key not in layers or families.get(key, RECURRENT) == RECURRENT:
                continue
            depthwise = row["model_type"] == "cnn" and float(row["gmacs_depthwise"] or 0) > 0
            kind = "depthwise" if depthwise else row["model_type"]
            yield key, families[key], kind, float(row["latency_ms"]), layers[key]

    return collected(rows())


def yolo(data: Path, device: str, at_256: bool = False) -> Measured:
    """Return YOLOBench's networks on a device: all sizes but 256 pixels, or those alone."""
    bench = yolobench.load_256(data) if at_256 else yolobench.load(data)
    return collected(
        (
            f"yolobench/{bench.names[index]}",
            f"yolobench {bench.family[index]}",
            bench.resolution[index],
            float(bench.latency_ms[device][index]),
            bench.kernels[index],
        )
        for index in bench.measured(device)
    )


def tensorrt_nano(data: Path, precision: str) -> Measured:
    """Return the networks that TensorRT ran on the Jetson Nano: raw logs, NetsPresso, torch2trt, FCN-ResNet18."""
    rows = [
        *_rebuilt(data / "jetson_nano_tensorrt_nobuo.csv", "nobuo", lambda row: row["precision"] == precision),
        *_of_netspresso(data, "jetson-nano", precision),
        *_rebuilt(
            data / "misc_measured.csv",
            "torchvision",
            lambda row: (
                row["runtime"] == "TensorRT (torch2trt)"
                and row["device"] == "jetson-nano"
                and row["precision"] == precision
            ),
        ),
        *_fast_scnn(data, precision),
    ]
    if precision == "fp16":
        sizes = segmentation.load(data.parent / "latency")
        named = zip(sizes.names, sizes.latency_ms, sizes.kernels, strict=True)
        rows.extend((f"fcn-resnet18/{name}", "fcn-resnet18", "", float(ms), kernels) for name, ms, kernels in named)
    return collected(rows)


def _fast_scnn(data: Path, precision: str) -> Iterator[Row]:
    layers = read_networks(data / "fast_scnn_layers.csv.gz")
    for row in read_rows(data / "jetson_nano_tensorrt_nobuo.csv"):
        key = row["network_or_operator"]
        if key in layers and row["precision"] == precision:
            yield key, "fast-scnn", row["input_size"], float(row["latency_ms"]), layers[key]


def mlperf_pi4(data: Path, precision: str) -> Measured:
    """Return MLPerf's networks on a Raspberry Pi 4, TFLite with ruy."""
    layers = read_networks(data / "mlperf_layers.csv.gz")

    def rows() -> Iterator[Row]:
        for row in read_rows(data / "mlperf_edge_singlestream.csv.gz"):
            ruy = row["runtime"].startswith("tflite") and row["runtime"].endswith("ruy")
            key = row["network_or_operator"].removesuffix("_float").removesuffix("_uint8")
            if row["device"] != "raspberry-pi-4" or not ruy or row["round"] not in MLPERF_ROUNDS or key not in layers:
                continue
            if (row["precision"] or "fp32") == precision:
                family = key[: len("mobilenet-v1")] if key.startswith("mobilenet") else key.rstrip("0123456789")
                yield key, family, "", float(row["latency_ms"]), layers[key]

    return collected(rows())


def netspresso(data: Path, device: str, precision: str) -> Measured:
    """Return NetsPresso's networks on a device."""
    return collected(_of_netspresso(data, device, precision))


def _of_netspresso(data: Path, device: str, precision: str) -> Iterator[Row]:
    yield from _rebuilt(
        data / "netspresso_devices.csv",
        "netspresso",
        lambda row: row["device"] == device and row["precision"] == precision,
    )


def tflite_pi(data: Path, device: str, precision: str, threads: str = "4") -> Measured:
    """Return the networks that TFLite with XNNPACK ran on a board: EfficientDet-lite, SSDs, YOLOX."""

    def chosen(row: Mapping[str, str]) -> bool:
        return (
            row["device"] == device
            and "XNNPACK" in row["runtime"]
            and "no XNNPACK" not in row["runtime"]
            and row["precision"] == precision
            and row["threads"] == threads
        )

    return collected(_rebuilt(data / "pi_n100_coral_tflite_nobuo.csv", "nobuo", chosen))


def paddle(data: Path, device: str, threads: str) -> Measured:
    """Return PaddleClas's networks on a device with Paddle-Lite."""
    return collected(
        _rebuilt(
            data / "paddle_sd855_x86.csv",
            "paddle",
            lambda row: row["device"] == device and row["threads"] == threads,
        )
    )


def _rebuilt(path: Path, source: str, chosen: Callable[[Mapping[str, str]], bool]) -> Iterator[Row]:
    """Yield the measured rows of networks whose layer lists the project rebuilt."""
    catalogue, layers = _catalogue(), _layers()
    for row in read_rows(path):
        name = _plain(row["network_or_operator"])
        found = catalogue.get((source, name, _side(row["input_size"])))
        if found and chosen(row):
            key, family = found
            yield key, family, row["input_size"], float(row["latency_ms"]), layers[key]


def _plain(name: str) -> str:
    """Return a name without its folder, its ending and what says how it was converted."""
    name = name.rsplit("/", 1)[-1]
    for ending in (".tflite", "_edgetpu", "_opt"):
        name = name.removesuffix(ending)
    return name


def _side(size: str) -> str:
    """Return the first side in pixels of ``1x3x512x512`` or ``1x512x512x3``."""
    return next(each for each in size.split("x") if int(each) > 4)


@cache
def _catalogue() -> dict[tuple[str, str, str], tuple[str, str]]:
    """Return key and family by source, published name and size."""
    found: dict[tuple[str, str, str], tuple[str, str]] = {}
    for table in ("sources.csv", "sources_tf.csv"):
        for row in read_rows(NETWORKS / table):
            source, size = row["key"].split("/")[0], row["key"].rsplit("@", 1)[1]
            for name in row["published_name"].split(";"):
                found[source, _plain(name.strip()), size] = (row["key"], row["family"])
    return found


@cache
def _layers() -> dict[str, tuple[Kernel, ...]]:
    tables = (read_networks(NETWORKS / name) for name in ("layers_pytorch.csv.gz", "layers_tf.csv.gz"))
    return {key: kernels for table in tables for key, kernels in table.items()}
