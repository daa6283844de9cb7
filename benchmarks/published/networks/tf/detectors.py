"""The detectors of TensorFlow's object detection API: which parts, from which configuration.

A zoo's network corresponds to the configuration of its name in samples/configs, as the zoo's page says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from torch import nn

from published.networks.tf.entry import Entry
from published.networks.tf.mnasfpn import MnasFpn
from published.networks.tf.mobiledet import mobiledet_cpu, mobiledet_edgetpu
from published.networks.tf.mobilenets import (
    mobilenet_edgetpu,
    mobilenet_v1,
    mobilenet_v1_ssd,
    mobilenet_v2,
    mobilenet_v2_pyramid,
    mobilenet_v3_large,
    mobilenet_v3_small,
)
from published.networks.tf.resnet import resnet50
from published.networks.tf.ssd import Detector, ExtraLevels, Features, Pyramid, SharedPredictor, SsdPredictor

CONFIGS = "research/object_detection/configs/tf2/"
SAMPLES = "research/object_detection/samples/configs/"
MNASFPN = "ssd_mobilenet_v2_mnasfpn_shared_box_predictor_320x320_coco"
V1_FPN = "ssd_mobilenet_v1_fpn_shared_box_predictor_640x640_coco"
R50_FPN = "ssd_resnet50_v1_fpn_shared_box_predictor_640x640_coco"


class Sample(NamedTuple):
    """A network of the first zoo and the configuration it was trained with."""

    name: str
    side: int
    family: str
    config: str
    commit: str
    build: Callable[[], nn.Module]
    exact: str = "yes"
    parameters: float | None = None
    gmacs: float | None = None


def jetson_detectors() -> Iterator[Entry]:
    """Yield the detectors measured with TensorRT on a Jetson Nano, whose logs list their layers."""
    yield Entry(
        key="nobuo/ssd_mobilenet_v2_320x320_coco17@300",
        family="ssd-mobilenet-v2",
        published_name="ssd_mobilenet_v2_320x320_coco17",
        source=f"tensorflow/models@9c804063af49b79006827b453e90c10927813f6e {CONFIGS}"
        "ssd_mobilenet_v2_320x320_coco17_tpu-8.config",
        build=partial(_ssd, mobilenet_v2, kernel=1, lite_levels=False, lite_heads=False, preprocessing="scale"),
        height=300,
        width=300,
        exact="yes",
        convolutions_in_log=72,
    )
    for side, commit in (
        (320, "5245161c96cc057dc7a883ef4283ed7fab735bcf"),
        (640, "5a2cf36faf2c8e090d271c6789fb04e1f27b116f"),
    ):
        yield Entry(
            key=f"nobuo/ssd_mobilenet_v2_fpnlite_{side}x{side}_coco17@{side}",
            family="ssd-mobilenet-v2-fpnlite",
            published_name=f"ssd_mobilenet_v2_fpnlite_{side}x{side}_coco17",
            source=f"tensorflow/models@{commit} {CONFIGS}"
            f"ssd_mobilenet_v2_fpnlite_{side}x{side}_coco17_tpu-8.config; research/object_detection/models/"
            "ssd_mobilenet_v2_fpn_keras_feature_extractor.py@5440b662d5c731d4df27504f317f24ca95ffe6a3",
            build=partial(_retina, mobilenet_v2_pyramid, 128, lite=True, preprocessing="scale"),
            height=side,
            width=side,
            exact="yes",
            convolutions_in_log=123,
        )
    yield Entry(
        key="nobuo/ssd_resnet50_v1_fpn_640x640_coco17@640",
        family="ssd-resnet50-fpn",
        published_name="ssd_resnet50_v1_fpn_640x640_coco17",
        source=f"tensorflow/models@3b998e4f279a41d7490eb270a697b17e80e6fd38 {CONFIGS}"
        "ssd_resnet50_v1_fpn_640x640_coco17_tpu-8.config; "
        "research/object_detection/models/keras_models/resnet_v1.py",
        build=partial(_retina, resnet50, 256, lite=False, preprocessing="mean"),
        height=640,
        width=640,
        exact="yes",
        convolutions_in_log=110,
    )


def tflite_detectors() -> Iterator[Entry]:
    """Yield the detectors measured with TFLite on a Raspberry Pi 4 or a Coral Dev Board; no log lists their layers."""
    for sample in _samples():
        path = f"{SAMPLES}{sample.config}.config"
        yield Entry(
            key=f"nobuo/{sample.name}@{sample.side}",
            family=sample.family,
            published_name=sample.name,
            source=f"tensorflow/models@{sample.commit} {path}",
            build=sample.build,
            height=sample.side,
            width=sample.side,
            exact=sample.exact,
            published_parameters=sample.parameters,
            published_gmacs=sample.gmacs,
            published_source="" if sample.parameters is None else f"{path}: comment",
        )


def _samples() -> Iterator[Sample]:
    yield Sample(
        "ssd_mobilenet_v1_300x300_quant_coco",
        300,
        "ssd-mobilenet-v1",
        "ssd_mobilenet_v1_quantized_300x300_coco14_sync",
        "8dd66a8e9935d46a44a96b54df9e8a644f621ff4",
        partial(_ssd, mobilenet_v1_ssd, kernel=1, lite_levels=False, lite_heads=False),
    )
    yield Sample(
        "ssd_mobilenet_v2_300x300_coco",
        300,
        "ssd-mobilenet-v2",
        "ssd_mobilenet_v2_coco",
        "001a2a61285e378fef5f45386f638cb5e9f153c7",
        partial(_ssd, mobilenet_v2, kernel=3, lite_levels=True, lite_heads=False),
    )
    yield Sample(
        "ssd_mobilenet_v2_300x300_quant_coco",
        300,
        "ssd-mobilenet-v2",
        "ssd_mobilenet_v2_quantized_300x300_coco",
        "245f66dd6304869c082840dedce2f45c6af4e78f",
        partial(_ssd, mobilenet_v2, kernel=1, lite_levels=False, lite_heads=False),
        exact="no: the measuring page calls it SSDLite; built with plain heads, as the configuration of its name",
    )
    yield Sample(
        "ssdlite_mobilenet_v2_coco",
        300,
        "ssdlite-mobilenet-v2",
        "ssdlite_mobilenet_v2_coco",
        "c76bfcffa3567b67bea3822ea3738afeb1a6a9c6",
        partial(_ssdlite, mobilenet_v2),
    )
    yield Sample(
        "ssd_mobilenet_v3_large_320x320_coco",
        320,
        "ssdlite-mobilenet-v3",
        "ssdlite_mobilenet_v3_large_320x320_coco",
        "608bd2211d0ed7c8e3c61d2ffa1277d464048ab8",
        partial(_ssdlite, mobilenet_v3_large),
        parameters=3.22,
        gmacs=0.51,
    )
    yield Sample(
        "ssd_mobilenet_v3_small_320x320_coco",
        320,
        "ssdlite-mobilenet-v3",
        "ssdlite_mobilenet_v3_small_320x320_coco",
        "5c70c8b06bf7bb79ce4416b53bfd6c89d7c92451",
        partial(_ssdlite, mobilenet_v3_small),
    )
    yield Sample(
        "ssdlite_mobiledet_cpu_320x320_coco",
        320,
        "ssdlite-mobiledet",
        "ssdlite_mobiledet_cpu_320x320_coco_sync_4x4",
        "7ada7e8431888d315123254d690d91c64a470fe3",
        partial(_ssdlite, mobiledet_cpu),
        parameters=4.21,
        gmacs=0.45,
    )
    yield Sample(
        "ssdlite_mobiledet_edgetpu_320x320_quant_coco",
        320,
        "ssdlite-mobiledet",
        "ssdlite_mobiledet_edgetpu_320x320_coco_sync_4x4",
        "d7dc478cba1d0a653594d07252f53640c8f00007",
        partial(_ssdlite, mobiledet_edgetpu),
        parameters=4.20,
        gmacs=1.53,
    )
    yield Sample(
        MNASFPN,
        320,
        "ssd-mobilenet-v2-mnasfpn",
        f"{MNASFPN}_sync",
        "23341a239100ba7faa2fbf7d35779eb19156c6e3",
        _mnasfpn,
        parameters=2.5,
        gmacs=0.92,
    )
    yield Sample(
        V1_FPN,
        640,
        "ssd-mobilenet-v1-fpn",
        "ssd_mobilenet_v1_fpn_shared_box_predictor_640x640_coco14_sync",
        "3100470fe48ae83c6b4fe3e8ceb3a8db560aa4d2",
        partial(_retina, mobilenet_v1, 256, lite=False),
    )
    yield Sample(
        R50_FPN,
        640,
        "ssd-resnet50-fpn",
        "ssd_resnet50_v1_fpn_shared_box_predictor_640x640_coco14_sync",
        "3100470fe48ae83c6b4fe3e8ceb3a8db560aa4d2",
        partial(_retina, partial(resnet50, slim=True), 256, lite=False),
    )
    yield Sample(
        "ssdlite_mobilenet_edgetpu_coco_quant",
        320,
        "ssdlite-mobilenet-edgetpu",
        "ssdlite_mobilenet_edgetpu_320x320_coco_quant",
        "226dc27d5a74e881d33bf03f789c4009d3e2800f",
        partial(_ssdlite, mobilenet_edgetpu),
    )


def _ssdlite(features: Callable[[], Features]) -> Detector:
    return _ssd(features, kernel=3, lite_levels=True, lite_heads=True)


def _ssd(
    features: Callable[[], Features],
    *,
    kernel: int,
    lite_levels: bool,
    lite_heads: bool,
    preprocessing: str | None = None,
) -> Detector:
    levels = ExtraLevels(features(), lite=lite_levels)
    return Detector(levels, SsdPredictor(levels.channels, kernel, lite=lite_heads), preprocessing)


def _retina(features: Callable[[], Features], depth: int, *, lite: bool, preprocessing: str | None = None) -> Detector:
    levels = Pyramid(features(), depth, lite=lite)
    return Detector(levels, SharedPredictor(5, depth, depth, 6, lite=lite), preprocessing)


def _mnasfpn() -> Detector:
    return Detector(MnasFpn(), SharedPredictor(4, 64, 48, 9, lite=True))
