"""The detectors that Nobuo Tsukamoto measured: EfficientDet, its lite versions, and the two smallest YOLOX."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

import effdet
from counting import profiler_count, thop_count
from entry import Entry
from torch import Tensor, nn
from yolox import Conv, Yolox, dense, depthwise

LITE = (("0", 320, "3.24M"), ("1", 384, "4.25M"), ("2", 448, "5.25M"), ("3", 512, "8.35M"), ("3x", 640, "9.28M"))
FULL = (("0", 512, "3.9M", "2.54"), ("1", 640, "6.6M", "6.10"), ("2", 768, "8.1M", "11.0"), ("3", 896, "12.0M", "24.9"))
YOLOX = (("nano", 0.25, depthwise, "0.91M", "0.54"), ("tiny", 0.375, dense, "5.06M", "3.225"))
RAW = "up to the raw heads; what was measured also scales the picture, decodes boxes and suppresses overlapping ones"
EFFDET = f"effdet {version('effdet')}"


class Sum(nn.Module):
    """Adds maps after bringing them to one size, each times a constant where the network has weights for them.

    effdet stacks the maps and sums the stack, and computes the weights anew each time. Deployed graphs hold the
    weights as constants and add the maps one by one.
    """

    def __init__(self, combine: nn.Module) -> None:
        super().__init__()
        self.offsets, self.resample = combine.inputs_offsets, combine.resample
        # Kept so that parameters are counted as in the library; the graph reads the constant.
        self.edge_weights = combine.edge_weights

    def forward(self, x: list[Tensor]) -> Tensor:
        """Return the sum."""
        nodes = [resample(x[offset]) for offset, resample in zip(self.offsets, self.resample.values(), strict=True)]
        if self.edge_weights is not None:
            nodes = [node * 0.5 for node in nodes]
        total, *others = nodes
        for node in others:
            total = total + node
        return total


def efficientdet(name: str) -> nn.Module:
    """Return EfficientDet up to the raw outputs of its two heads, as a deployed graph computes it."""
    config = effdet.get_efficientdet_config(name)
    # TensorFlow's padding makes maps of the same sizes; as it is part of convolutions there, no operator pads here.
    config.pad_type = ""
    config.backbone_args.pad_type = ""
    network = effdet.EfficientDet(config, pretrained_backbone=False)
    for parent in list(network.modules()):
        for child_name, child in list(parent.named_children()):
            if type(child).__name__ == "FpnCombine":
                setattr(parent, child_name, Sum(child))
    return network


def entries() -> list[Entry]:
    """Return the networks."""
    lites = [*LITE, ("4", 640, "15.1M")]
    readme, table = f"{EFFDET} README", "google/automl, efficientdet/README.md"
    found = [_efficientdet(f"efficientdet-lite{number}", size, (figure, ""), readme) for number, size, figure in lites]
    found += [
        _efficientdet(f"efficientdet-d{number}", size, (parameters, gmacs), table)
        for number, size, parameters, gmacs in FULL
    ]
    return found + [_yolox(*row) for row in YOLOX]


def _efficientdet(name: str, size: int, figures: tuple[str, str], table: str) -> Entry:
    parameters, gmacs = figures
    variants = f"{name};{name}_fp32;{name}_int8" if "lite" in name else name
    return Entry(
        key=f"nobuo/{name}@{size}",
        family="efficientdet-lite" if "lite" in name else "efficientdet",
        published_name=variants,
        source=f"{EFFDET} on timm {version('timm')}; google/automl is what was measured",
        size=(size, size),
        build=_maker(f"tf_{name.replace('-', '_')}"),
        published_parameters=parameters,
        published_gmacs=gmacs,
        published_source=table,
        count=profiler_count,
        remark=RAW if gmacs else f"{RAW}; nobody published its operations",
    )


def _maker(name: str) -> Callable[[], nn.Module]:
    return lambda: efficientdet(name)


def _yolox(name: str, width: float, conv: Conv, parameters: str, gmacs: str) -> Entry:
    return Entry(
        key=f"nobuo/yolox_{name}@416",
        family="yolox",
        published_name=f"yolox_{name}_416x416;YOLOX-{name.capitalize()}",
        source="Megvii-BaseDetection/YOLOX 0.3.0, written anew",
        size=(416, 416),
        build=lambda: Yolox(width, 0.33, 80, conv, joined=True),
        published_parameters=parameters,
        published_gmacs=gmacs,
        published_source="Megvii-BaseDetection/YOLOX README (half its GFLOPs, which thop counted)",
        count=thop_count,
    )
