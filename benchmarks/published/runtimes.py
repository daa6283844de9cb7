"""The runtimes that published measurements reach, what each is fitted to, and from which one it learns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from published import measured
from published.measured import Measured
from ussearch.hardware_profiles.latency.cost_features import WHOLE, Tiles
from ussearch.hardware_profiles.latency.roofline import MIB

GPU_TILES = Tiles(channels=32, pixels=64)
"""Those of the Jetson Nano's GPU; sizes that fill them are faster by what others foretell."""


@dataclass(frozen=True)
class Runtime:
    """A device with a runtime and a precision: where its measurements are, and whose prices are its prior.

    ``data`` says in a few words what was measured, ``source`` where it was published. ``same_runtime`` tells that the
    prior is of the same runtime, on another device or in another precision. ``gb_per_s`` is the memory's bandwidth on
    the datasheet, 0 where it is unknown; ``element_bytes`` those of a value.
    """

    name: str
    load: Callable[[Path], Measured]
    data: str
    source: str
    tiles: Tiles = WHOLE
    prior: str = ""
    same_runtime: bool = False
    gb_per_s: float = 0.0
    element_bytes: int = 4

    @property
    def least_ms_per_mib(self) -> float:
        """What moving a MiB of float32 values takes at the least."""
        return self.element_bytes / 4 * 1000 * MIB / (self.gb_per_s * 1e9) if self.gb_per_s else 0.0


def _yolobench(data: Path, device: str) -> Measured:
    """Return all sizes, 256 pixels included."""
    return measured.yolo(data / "latency", device) + measured.yolo(data / "latency2", device, at_256=True)


def _xnnpack(data: Path, device: str) -> Measured:
    tables = data / "latency2"
    return measured.tflite_pi(tables, device, "fp32") + measured.netspresso(tables, device, "fp16")


def _efficientdet_lite(data: Path, device: str) -> Measured:
    # NOTE: NetsPresso's rows in INT8 contradict these and each other, and are left out (docs/results/latency.md).
    return measured.tflite_pi(data / "latency2", device, "int8")


def _netspresso(data: Path, device: str) -> Measured:
    return measured.netspresso(data / "latency2", device, "fp16")


CPU, CUDA = "jetson-nano@onnxruntime-cpu-fp32", "jetson-nano@onnxruntime-cuda-fp32"
TENSORRT_32, TENSORRT_16 = "jetson-nano@tensorrt-fp32", "jetson-nano@tensorrt-fp16"
RUY_32, RUY_8 = "raspberry-pi-4@tflite-ruy-fp32", "raspberry-pi-4@tflite-ruy-int8"
XNNPACK_4, XNNPACK_5 = "raspberry-pi-4@tflite-xnnpack-fp32", "raspberry-pi-5@tflite-xnnpack-fp32"
ORT_4, ORT_5 = "raspberry-pi-4@onnxruntime-fp32", "raspberry-pi-5@onnxruntime-fp32"
TFLITE_4 = "raspberry-pi-4@tflite-fp32"
BENCH = "YOLOBench (Deeplite/deeplite-torch-zoo, Apache-2.0)"
TIMM = "timm's networks in the same project's clsbench (Deeplite/deeplite-torch-zoo, Apache-2.0)"
NOTA = "NetsPresso's benchmark (Nota-NetsPresso/netspresso-trainer, Apache-2.0)"
NOBUO = "NobuoTsukamoto/benchmarks (MIT)"
MLPERF = "MLPerf Inference v2.0 and v2.1, edge, single stream (MLCommons, Apache-2.0), a board at 1.8 GHz"
RUNTIMES = {
    each.name: each
    for each in (
        Runtime(
            CUDA,
            lambda data: measured.timm(data / "latency2", "onnxruntime GPU (CUDA)") + _yolobench(data, "jetson-nano"),
            "YOLOBench and timm",
            f"{BENCH} and {TIMM}",
            GPU_TILES,
            gb_per_s=25.6,
        ),
        Runtime(CPU, lambda data: measured.timm(data / "latency2", "onnxruntime CPU"), "timm", TIMM, gb_per_s=25.6),
        Runtime(
            TENSORRT_32,
            lambda data: measured.tensorrt_nano(data / "latency2", "fp32"),
            "Fast-SCNN, DeepLab, SSD, EfficientDet",
            f"logs of trtexec, {NOBUO}",
            GPU_TILES,
            CUDA,
            gb_per_s=25.6,
        ),
        Runtime(
            TENSORRT_16,
            lambda data: measured.tensorrt_nano(data / "latency2", "fp16"),
            "Fast-SCNN, DeepLab, SSD, EfficientDet, FCN-ResNet18, NetsPresso, torchvision",
            f"logs of trtexec, {NOBUO}; {NOTA}; torch2trt (NVIDIA-AI-IOT, MIT); jetson-inference (dusty-nv, MIT)",
            GPU_TILES,
            TENSORRT_32,
            same_runtime=True,
            gb_per_s=25.6,
            element_bytes=2,
        ),
        Runtime(
            ORT_4,
            lambda data: _yolobench(data, "raspberry-pi-4"),
            "YOLOBench",
            BENCH,
            Tiles(columns=4),
            CPU,
            same_runtime=True,
            gb_per_s=12.8,
        ),
        Runtime(
            ORT_5,
            lambda data: _yolobench(data, "raspberry-pi-5"),
            "YOLOBench",
            BENCH,
            Tiles(columns=8),
            CPU,
            same_runtime=True,
            gb_per_s=17.1,
        ),
        Runtime(
            RUY_32,
            lambda data: measured.mlperf_pi4(data / "latency2", "fp32"),
            "MLPerf Inference",
            MLPERF,
            gb_per_s=12.8,
        ),
        Runtime(
            RUY_8,
            lambda data: measured.mlperf_pi4(data / "latency2", "int8"),
            "MLPerf Inference",
            MLPERF,
            gb_per_s=12.8,
            element_bytes=1,
        ),
        Runtime(
            XNNPACK_4,
            partial(_xnnpack, device="raspberry-pi-4"),
            "EfficientDet-lite, SSD, YOLOX, NetsPresso",
            f"{NOBUO}, four threads; {NOTA}",
            prior=CPU,
            gb_per_s=12.8,
        ),
        Runtime(
            XNNPACK_5,
            partial(_xnnpack, device="raspberry-pi-5"),
            "EfficientDet-lite, NetsPresso",
            f"{NOBUO}, four threads; {NOTA}",
            prior=XNNPACK_4,
            same_runtime=True,
            gb_per_s=17.1,
        ),
        Runtime(
            TFLITE_4,
            partial(_yolobench, device="raspberry-pi-4-tflite"),
            "YOLOBench",
            BENCH,
            Tiles(pixels=16),
            XNNPACK_4,
            same_runtime=True,
            gb_per_s=12.8,
        ),
        *(
            Runtime(
                f"{device}@tensorrt-fp16",
                partial(_netspresso, device=device),
                "NetsPresso",
                NOTA,
                GPU_TILES,
                TENSORRT_16,
                same_runtime=True,
                gb_per_s=gb_per_s,
                element_bytes=2,
            )
            for device, gb_per_s in (("jetson-xavier-nx", 51.2), ("jetson-tx2", 59.7), ("jetson-orin-nano", 68.0))
        ),
        Runtime(
            "snapdragon-855@paddle-lite-fp32",
            lambda data: measured.paddle(data / "latency2", "snapdragon-855", "1"),
            "PaddleClas",
            "PaddleClas's mobile networks (PaddlePaddle, Apache-2.0), Paddle-Lite, one thread",
            prior=CPU,
            gb_per_s=34.1,
        ),
        Runtime("x86-server@openvino-fp32", partial(_yolobench, device="i7-openvino"), "YOLOBench", BENCH, prior=CPU),
    )
}
PRIORS = {
    each.name: each
    for each in (
        Runtime(
            f"{device}@tflite-xnnpack-int8",
            partial(_efficientdet_lite, device=device),
            "EfficientDet-lite",
            f"{NOBUO}, four threads",
            prior=RUY_8,
        )
        for device in ("raspberry-pi-4", "raspberry-pi-5")
    )
}
"""Runtimes of which too little was measured for a profile: they ship the prices of their prior, moved by one factor."""
