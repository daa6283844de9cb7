"""The networks of torchvision that torch2trt's and mmdeploy's benchmarks measured."""

from __future__ import annotations

import torchvision
from entry import Entry
from torchvision.models import get_model, get_model_weights

FAMILIES = {
    "alexnet": ("alexnet",),
    "squeezenet": ("squeezenet1_0", "squeezenet1_1"),
    "resnet": ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    "densenet": ("densenet121", "densenet169", "densenet201", "densenet161"),
    "vgg": ("vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"),
    "mobilenet-v2": ("mobilenet_v2",),
    "shufflenet-v2": ("shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0"),
    "mnasnet": ("mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3"),
    "resnext": ("resnext50_32x4d",),
}

ALSO_CALLED = {
    "resnet50": ("ResNet-50",),
    "resnext50_32x4d": ("ResNeXt-50 32x4d",),
    "shufflenet_v2_x1_0": ("ShuffleNetV2 1x",),
}
"""Names in the measurements of mmdeploy, whose networks are the same."""


def entries() -> list[Entry]:
    """Return the networks; torchvision itself publishes their parameters and GMACs with the weights."""
    return [_entry(family, name) for family, names in FAMILIES.items() for name in names]


def _entry(family: str, name: str) -> Entry:
    published = next(iter(get_model_weights(name))).meta
    version = torchvision.__version__.split("+")[0]
    return Entry(
        key=f"torchvision/{name}@224",
        family=family,
        published_name=";".join([*ALSO_CALLED.get(name, ()), *([] if family == "resnext" else [name])]),
        source=f"torchvision {version}",
        size=(224, 224),
        build=lambda: get_model(name, weights=None),
        published_parameters=str(published["num_params"]),
        published_gmacs=str(published["_ops"]),
        published_source=f"torchvision {version}, figures kept with the weights",
    )
