"""Which networks are rebuilt, from which source, and what is published about their size."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from torch import nn

from published.networks.tf.detectors import jetson_detectors, tflite_detectors
from published.networks.tf.entry import Entry
from published.networks.tf.erfnet import erfnet
from published.networks.tf.segmentation import AutoSeg, DeepLab
from published.networks.tf.spaghettinet import SpaghettiNet
from published.networks.tf.ssd import Detector, SsdPredictor

EDGETPU_SOURCE = (
    "tensorflow/models@00d83f37e2de5852699ed339d0c51085ab065651 official/projects/edgetpu/vision/modeling/"
    "mobilenet_edgetpu_v2_model_blocks.py; configs/semantic_segmentation{,_searched}_config.py; "
    "serving/export_util.py"
)
EDGETPU_README = (
    "official/projects/edgetpu/vision/README.md@20a23a2af6e0f3e600abf7506ad20a7e883a4793; "
    "8 to 23 % above the parameters of the source; what else it counts is not stated"
)
FUSED = "no: the fused argmax looks at 128x128 or 256x256, nothing states which: 128 here; all else agrees with the log"
DILATED = "yes: but for the copies between space and batch in which the exported file wraps dilated convolutions"


def entries() -> Iterator[Entry]:
    """Yield every network."""
    yield from _segmentation()
    yield from jetson_detectors()
    yield from tflite_detectors()
    for size in "sml":
        yield Entry(
            key=f"nobuo/spaghettinet_edgetpu_{size}@320",
            family="spaghettinet-edgetpu",
            published_name=f"spaghettinet_edgetpu_{size}",
            source="tensorflow/models@7dbf03261cea05f946c5f9aa0c12206af5d37217 "
            "research/object_detection/models/ssd_spaghettinet_feature_extractor.py",
            build=partial(_spaghettinet, size),
            height=320,
            width=320,
            exact="no: the backbone follows the source, but no pipeline.config is published: "
            "separable SSD heads with 3, 6, 6, 6, 6 anchors assumed",
        )
    yield Entry(
        key="misc/erfnet@240x320",
        family="erfnet",
        published_name="ERFNet (2 classes; transposed convolutions: 2 of 3x3 and 1 of 2x2, stride 2)",
        source="Eromera/erfnet_pytorch@d4a46faf9e465286c89ebd9c44bc929b2d213fb3 train/erfnet.py",
        build=erfnet,
        height=240,
        width=320,
        exact="no: the measuring repository is not named; the public definition with two classes is assumed",
    )


def _segmentation() -> Iterator[Entry]:
    networks: tuple[tuple[str, type[nn.Module], dict[str, tuple[int, float]]], ...] = (
        ("deeplab-edgetpu", DeepLab, {"xs": (72, 3.6), "s": (75, 5.2), "m": (78, 7.7)}),
        ("autoseg-edgetpu", AutoSeg, {"xs": (136, 2.9), "s": (137, 3.1)}),
    )
    for family, network, sizes in networks:
        for size, (convolutions, parameters) in sizes.items():
            for argmax in ("default", "fused"):
                yield Entry(
                    key=f"nobuo/{family}_{argmax}_argmax_{size}@512",
                    family=family,
                    published_name=f"{family}_{argmax}_argmax_{size}",
                    source=EDGETPU_SOURCE,
                    build=partial(network, size, argmax == "fused"),
                    height=512,
                    width=512,
                    exact=FUSED if argmax == "fused" else DILATED if family.startswith("deeplab") else "yes",
                    convolutions_in_log=convolutions,
                    published_parameters=parameters,
                    published_source=EDGETPU_README,
                )


def _spaghettinet(size: str) -> Detector:
    levels = SpaghettiNet(size)
    return Detector(levels, SsdPredictor(levels.channels, 3, lite=True, anchors=(3, 6, 6, 6, 6)))
