"""The classifiers of PaddleClas that were measured on a Snapdragon 855 and on Xeons."""

from __future__ import annotations

from collections.abc import Callable

from counting import paddle_count
from entry import Entry
from mobile import V3_LARGE, V3_SMALL, esnet, lcnet, mobilenet_v1, mobilenet_v2, mobilenet_v3, shufflenet_v2
from torch import nn

REPOSITORY = "PaddlePaddle/PaddleClas d178931f"
TABLE = f"{REPOSITORY}, docs/zh_CN/models/ImageNet1k/README.md (as paddle.flops counts)"

Figures = tuple[float, str, str, str]
V1: tuple[Figures, ...] = (
    (0.25, "MobileNetV1_x0_25", "0.48M", "0.04356"),
    (0.5, "MobileNetV1_x0_5", "1.34M", "0.15457"),
    (0.75, "MobileNetV1_x0_75", "2.60M", "0.33300"),
    (1.0, "MobileNetV1;MobileNetV1_x1_0;MobileNetV1_ssld", "4.25M", "0.57888"),
)
"""Width, name in the measurements, parameters and GMACs as published."""
V2: tuple[Figures, ...] = (
    (0.25, "MobileNetV2_x0_25", "1.53M", "0.03418"),
    (0.5, "MobileNetV2_x0_5", "1.98M", "0.09948"),
    (0.75, "MobileNetV2_x0_75", "2.65M", "0.19737"),
    (1.0, "MobileNetV2;MobileNetV2_x1_0;MobileNetV2_ssld", "3.54M", "0.32784"),
    (1.5, "MobileNetV2_x1_5", "6.90M", "0.70235"),
    (2.0, "MobileNetV2_x2_0", "11.33M", "1.21725"),
)
LARGE: tuple[Figures, ...] = (
    (0.35, "MobileNetV3_large_x0_35", "2.11M", "0.04090"),
    (0.5, "MobileNetV3_large_x0_5", "2.69M", "0.07183"),
    (0.75, "MobileNetV3_large_x0_75", "3.93M", "0.15170"),
    (1.0, "MobileNetV3_large_x1_0;MobileNetV3_large_x1_0_ssld", "5.50M", "0.22966"),
    (1.25, "MobileNetV3_large_x1_25", "7.47M", "0.36270"),
)
SMALL: tuple[Figures, ...] = (
    (0.35, "MobileNetV3_small_x0_35;MobileNetV3_small_x0_35_ssld", "1.67M", "0.01456"),
    (0.5, "MobileNetV3_small_x0_5", "1.91M", "0.02260"),
    (0.75, "MobileNetV3_small_x0_75", "2.38M", "0.04602"),
    (1.0, "MobileNetV3_small_x1_0;MobileNetV3_small_x1_0_ssld", "2.95M", "0.06367"),
    (1.25, "MobileNetV3_small_x1_25", "3.64M", "0.10007"),
)
SHUFFLE: tuple[Figures, ...] = (
    (0.25, "ShuffleNetV2_x0_25", "0.61M", "0.01895"),
    (0.33, "ShuffleNetV2_x0_33", "0.65M", "0.02404"),
    (0.5, "ShuffleNetV2_x0_5", "1.37M", "0.04258"),
    (1.0, "ShuffleNetV2", "2.29M", "0.14886"),
    (1.5, "ShuffleNetV2_x1_5", "3.53M", "0.30135"),
    (2.0, "ShuffleNetV2_x2_0", "7.40M", "0.57170"),
)
ES: tuple[Figures, ...] = (
    (0.25, "ESNet_x0_25", "2.83M", "0.03085"),
    (0.5, "ESNet_x0_5", "3.25M", "0.06731"),
    (0.75, "ESNet_x0_75", "3.87M", "0.12374"),
    (1.0, "ESNet_x1_0", "4.64M", "0.19733"),
)
LC: tuple[Figures, ...] = (
    (0.25, "PPLCNet_x0_25", "1.52M", "0.01825"),
    (0.35, "PPLCNet_x0_35", "1.65M", "0.02946"),
    (0.5, "PPLCNet_x0_5;PPLCNet_x0_5_ssld", "1.89M", "0.04728"),
    (0.75, "PPLCNet_x0_75", "2.37M", "0.09882"),
    (1.0, "PPLCNet_x1_0;PPLCNet_x1_0_ssld", "2.96M", "0.16081"),
    (1.5, "PPLCNet_x1_5", "4.52M", "0.34186"),
    (2.0, "PPLCNet_x2_0", "6.54M", "0.590"),
    (2.5, "PPLCNet_x2_5;PPLCNet_x2_5_ssld", "9.04M", "0.90649"),
)


def entries() -> list[Entry]:
    """Return the networks at every width that was measured."""
    lines: list[tuple[str, tuple[Figures, ...], Callable[[float], nn.Module]]] = [
        ("mobilenet-v1", V1, mobilenet_v1),
        ("mobilenet-v2", V2, mobilenet_v2),
        ("mobilenet-v3", LARGE, lambda scale: mobilenet_v3(V3_LARGE, scale)),
        ("mobilenet-v3", SMALL, lambda scale: mobilenet_v3(V3_SMALL, scale)),
        ("shufflenet-v2", SHUFFLE, shufflenet_v2),
        ("esnet", ES, esnet),
        ("pp-lcnet", LC, lcnet),
    ]
    found = [_entry(family, make, figures) for family, line, make in lines for figures in line]
    swish = (1.0, "ShuffleNetV2_swish", "2.29M", "0.14886")
    return [*found, _entry("shufflenet-v2", lambda scale: shufflenet_v2(scale, nn.SiLU), swish)]


def _entry(family: str, make: Callable[[float], nn.Module], figures: Figures) -> Entry:
    scale, name, parameters, gmacs = figures
    return Entry(
        key=f"paddle/{name.partition(';')[0]}@224",
        family=family,
        published_name=name,
        source=f"{REPOSITORY}, written anew",
        size=(224, 224),
        build=lambda: make(scale),
        published_parameters=parameters,
        published_gmacs=gmacs,
        published_source=TABLE,
        count=paddle_count,
    )
