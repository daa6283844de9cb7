"""The networks of NetsPresso Trainer whose latency Nota measured on Jetsons, Raspberry Pis and an Intel processor."""

from __future__ import annotations

from collections.abc import Callable

import timm
import torch
import torchvision
import transformers
from attention import with_split_attention
from blocks import conv_norm
from counting import thop_count
from entry import Entry
from torch import Tensor, cat, nn
from torch.nn.functional import interpolate
from yolox import Yolox

REPOSITORY = "Nota-NetsPresso/netspresso-trainer cdefe125"
TIMM, TORCHVISION = f"timm {timm.__version__}", f"torchvision {torchvision.__version__.split('+')[0]}"
ON_TIMM = f"{REPOSITORY} on {TIMM}"
CLASSES = 3
"""Classes of the classifiers that were measured."""
MIXNET = "the paper counts 2 to 7 % more operations, in a way we did not find"
HEAD = "with a hidden layer of 1,024 features before the classes, which earlier configurations lacked"
CONSTANT = "attention's biases as a constant, looked up and resized once"
UNPUBLISHED = "nobody published its operations"
RESIZE = "with the resize of the scores to the size of the picture, as the configuration has it"

Build = Callable[[int], nn.Module]
"""Makes a network for a number of classes."""


class OneHead(nn.Module):
    """EfficientFormer without the second head, which only distillation needs."""

    def __init__(self, network: nn.Module, classes: int) -> None:
        super().__init__()
        self.network = network
        self.classifier = nn.Linear(network.num_features, classes)
        for head in ("head", "head_dist"):
            setattr(self.network, head, nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        """Return class scores from the mean token."""
        scores: Tensor = self.classifier(self.network.forward_features(x).mean(dim=1))
        return scores


class SegformerB0(nn.Module):
    """SegFormer-b0 with NetsPresso's decoder, which has a norm and an activation after each projection."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        config = transformers.SegformerConfig(attn_implementation="eager")
        self.encoder = transformers.SegformerModel(config)
        self.projections = nn.ModuleList(conv_norm(width, 256) for width in config.hidden_sizes)
        self.fuse = conv_norm(4 * 256, 256)
        self.classifier = nn.Conv2d(256, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return class scores at the size of the picture."""
        features = self.encoder(x, output_hidden_states=True).hidden_states
        sizes = {"size": features[0].shape[2:], "mode": "bilinear", "align_corners": False}
        maps = [
            interpolate(project(feature), **sizes) for project, feature in zip(self.projections, features, strict=True)
        ]
        scores = self.classifier(self.fuse(cat(maps[::-1], 1)))
        return interpolate(scores, size=x.shape[2:], mode="bilinear", align_corners=False)


def vit_tiny(classes: int) -> nn.Module:
    """Return ViT-tiny as ml-cvnets has it: patches of 17 pixels that overlap, and a fixed sine at each position."""
    network = timm.create_model("vit_tiny_patch16_224", num_classes=classes)
    network.patch_embed.proj = nn.Conv2d(3, 192, 17, 16, 8)
    positions = torch.empty(network.pos_embed.shape)
    del network.pos_embed
    network.register_buffer("pos_embed", positions)
    return with_split_attention(network)


def entries() -> list[Entry]:
    """Return the networks with what their papers, or the libraries that define them, say of their size."""
    return [*_mixnets(), *_of_torchvision(), *_transformers(), *_detectors()]


def _mixnets() -> list[Entry]:
    figures = {"s": ("4.1M", "0.256"), "m": ("5.0M", "0.360"), "l": ("7.3M", "0.565")}
    return [
        _classifier(
            f"mixnet_{size}",
            "mixnet",
            f"MixNet-{size}",
            lambda classes, size=size: timm.create_model(f"mixnet_{size}", num_classes=classes),
            source=f"{REPOSITORY}, same graph in {TIMM}",
            published=(*sizes, "MixNet paper, arXiv 1907.09595, table 2 (1,000 classes)"),
            remark=MIXNET,
        )
        for size, sizes in figures.items()
    ]


def _of_torchvision() -> list[Entry]:
    names = {"mobilenet_v3_small": "MobileNetV3-small", "mobilenet_v3_large": "MobileNetV3-large"}
    names |= {f"resnet{depth}": f"ResNet{depth}" for depth in (18, 34, 50)}
    found = []
    for name, published_name in names.items():
        meta = next(iter(torchvision.models.get_model_weights(name))).meta
        found.append(
            _classifier(
                name,
                "resnet" if name.startswith("resnet") else "mobilenet-v3",
                published_name,
                lambda classes, name=name: torchvision.models.get_model(name, weights=None, num_classes=classes),
                source=f"{REPOSITORY}, same graph in {TORCHVISION}",
                published=(
                    str(meta["num_params"]),
                    str(meta["_ops"]),
                    f"{TORCHVISION}, figures kept with the weights (1,000 classes)",
                ),
                remark=HEAD if name == "mobilenet_v3_small" else "",
            )
        )
    return found


def _transformers() -> list[Entry]:
    efficientformer = Entry(
        key="netspresso/efficientformer_l1@224",
        family="efficientformer",
        published_name="EfficientFormer-l1",
        source=ON_TIMM,
        size=(224, 224),
        build=lambda: OneHead(with_split_attention(timm.create_model("efficientformer_l1")), CLASSES),
        build_published=lambda: timm.create_model("efficientformer_l1"),
        published_parameters="12.3M",
        published_gmacs="1.3",
        published_source="EfficientFormer paper, arXiv 2206.01191, table 1 (two heads of 1,000 classes)",
        remark=CONSTANT,
    )
    mobilevit = _classifier(
        "mobilevit_s",
        "mobilevit",
        "MovileViT-s",
        lambda classes: with_split_attention(timm.create_model("mobilevit_s", num_classes=classes)),
        source=ON_TIMM,
        published=("5.6M", "2.0", "MobileViT paper, arXiv 2110.02178 (1,000 classes)"),
        size=256,
    )
    vit = _classifier(
        "vit_tiny",
        "vit",
        "ViT-tiny",
        vit_tiny,
        source=ON_TIMM,
        published=("5.70M", "", f"{REPOSITORY}, docs/benchmarks/benchmarks.md (1,000 classes)"),
        remark=UNPUBLISHED,
    )
    segformer = Entry(
        key="netspresso/segformer_b0@512",
        family="segformer",
        published_name="SegFormet-b0",
        source=f"{REPOSITORY} on transformers {transformers.__version__}",
        size=(512, 512),
        build=lambda: SegformerB0(35),
        build_published=lambda: transformers.SegformerForSemanticSegmentation(
            transformers.SegformerConfig(num_labels=150)
        ),
        published_parameters="3.8M",
        published_gmacs="8.4",
        published_source="SegFormer paper, arXiv 2105.15203, table 1 (its own decoder, 150 classes)",
        remark=RESIZE,
    )
    return [efficientformer, mobilevit, vit, segformer]


def _detectors() -> list[Entry]:
    sizes = {"s": (0.5, 0.33, "9.0M", "13.4"), "m": (0.75, 0.67, "25.3M", "36.9"), "l": (1.0, 1.0, "54.2M", "77.8")}
    return [
        Entry(
            key=f"netspresso/yolox_{name}@640",
            family="yolox",
            published_name=f"YOLOX-{name}",
            source=f"{REPOSITORY}, written anew",
            size=(640, 640),
            build=lambda width=width, depth=depth: Yolox(width, depth, 4, joined=False),
            build_published=lambda width=width, depth=depth: Yolox(width, depth, 80, joined=True),
            published_parameters=parameters,
            published_gmacs=gmacs,
            published_source="Megvii-BaseDetection/YOLOX README (half its GFLOPs, which thop counted; 80 classes)",
            count=thop_count,
        )
        for name, (width, depth, parameters, gmacs) in sizes.items()
    ]


def _classifier(
    name: str,
    family: str,
    published_name: str,
    build: Build,
    *,
    source: str,
    published: tuple[str, str, str],
    size: int = 224,
    remark: str = "",
) -> Entry:
    parameters, gmacs, published_source = published
    return Entry(
        key=f"netspresso/{name}@{size}",
        family=family,
        published_name=published_name,
        source=source,
        size=(size, size),
        build=lambda: build(CLASSES),
        build_published=lambda: build(1000),
        published_parameters=parameters,
        published_gmacs=gmacs,
        published_source=published_source,
        remark=remark,
    )
