"""The router inside the edge network's file: nodes behind the network that give a second output, ``confidence``.

They are added to the finished ONNX file, whatever made it (an export, INT8), and everything that they need is found in
it: the image, the logits, and the deepest features, which are what the network enlarges first at its smallest size.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper, shape_inference
from torch import Tensor, nn
from torch.nn import functional

from ussearch.errors import UserError
from ussearch.hardware_profiles.onnx_files.export import INPUT, OUTPUT, exporting_quietly, simplified
from ussearch.pairs.routing.boosting import ML_DOMAIN, ML_OPSET, tree_node
from ussearch.pairs.routing.features import Features, feature_names, soft_dice
from ussearch.pairs.routing.models import FAR, GainModel
from ussearch.regression_tree import RegressionTree

CONFIDENCE = "confidence"
FEATURES = "features"
BOTTLENECK = "bottleneck"
PREFIX = "router/"
ENLARGING = frozenset({"Resize", "Upsample", "ConvTranspose", "DepthToSpace"})


class SoftDice(nn.Module):
    """Image, logits and deepest features to the Soft Dice Confidence [N]: the router that needs no training."""

    def forward(self, image: Tensor, logits: Tensor, bottleneck: Tensor | None = None) -> Tensor:
        """Return the confidence."""
        return soft_dice(logits)[:, 0, 0, 0]


class Standardised(nn.Module):
    """Image, logits and deepest features to the features [N, F] as a model looks at them."""

    def __init__(self, model: GainModel) -> None:
        super().__init__()
        self.features = Features()
        self.register_buffer("mean", torch.tensor([model.mean], dtype=torch.float32))
        self.register_buffer("inverse_scale", 1 / torch.tensor([model.scale], dtype=torch.float32))

    def forward(self, image: Tensor, logits: Tensor, bottleneck: Tensor | None = None) -> Tensor:
        """Return the features."""
        features = self.features(image, logits, bottleneck)
        standardised: Tensor = ((features - self.mean) * self.inverse_scale).clamp(-FAR, FAR)
        return standardised


class LearnedConfidence(nn.Module):
    """Image, logits and deepest features to minus the gain [N] that the layers of a model predict."""

    def __init__(self, model: GainModel) -> None:
        super().__init__()
        self.standardised = Standardised(model)
        self.layers = nn.ModuleList(_linear(layer.weights, layer.bias) for layer in model.layers)

    def forward(self, image: Tensor, logits: Tensor, bottleneck: Tensor | None = None) -> Tensor:
        """Return the confidence."""
        values = self.standardised(image, logits, bottleneck)
        for number, layer in enumerate(self.layers):
            values = layer(functional.relu(values) if number else values)
        confidence: Tensor = -values[:, 0]
        return confidence


@dataclass(frozen=True)
class Tap:
    """The deepest features of a network's file: the tensor's name and shape [1, C, h, w]."""

    name: str
    shape: tuple[int, ...]


def with_confidence(model: onnx.ModelProto, router: GainModel | None) -> onnx.ModelProto:
    """Return the edge network with the output ``confidence`` [1]: minus the predicted gain, or SDC without a model.

    Raises UserError where the model was learned with features that this network does not have.
    """
    bare = without_confidence(model)
    if router is None:
        return grafted(bare, SoftDice(), CONFIDENCE, None)
    tap = bottleneck_of(bare)
    if len(feature_names(tap is not None)) != len(router.features):
        raise UserError(
            f"The router looks at {len(router.features)} features, the network shows "
            f"{len(feature_names(tap is not None))}: fit the router for this network."
        )
    if router.trees:
        return _with_trees(grafted(bare, Standardised(router), FEATURES, tap), router.trees)
    return grafted(bare, LearnedConfidence(router), CONFIDENCE, tap)


def with_features(model: onnx.ModelProto) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """Return the network with the output ``features`` [1, F] in place of a confidence, and their names."""
    bare = without_confidence(model)
    tap = bottleneck_of(bare)
    return grafted(bare, Features(), FEATURES, tap), feature_names(tap is not None)


def without_confidence(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of ``model`` as it was before anything was added."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    graph = bare.graph
    kept = {
        "node": [node for node in graph.node if not node.name.startswith(PREFIX)],
        "initializer": [tensor for tensor in graph.initializer if not tensor.name.startswith(PREFIX)],
        "output": [value for value in graph.output if value.name not in {CONFIDENCE, FEATURES}],
    }
    for name, members in kept.items():
        _replace(graph, name, members)
    if not any(node.domain == ML_DOMAIN for node in graph.node):
        _replace(bare, "opset_import", [entry for entry in bare.opset_import if entry.domain != ML_DOMAIN])
    return bare


def bottleneck_of(model: onnx.ModelProto) -> Tap | None:
    """Return the deepest features of a network: what it enlarges first at its smallest size; None without any."""
    graph = shape_inference.infer_shapes(model).graph
    values = [*graph.value_info, *graph.input, *graph.output]
    shapes = {value.name: tuple(d.dim_value for d in value.type.tensor_type.shape.dim) for value in values}
    sizes = [
        (shapes[node.input[0]][2], Tap(node.input[0], shapes[node.input[0]]))
        for node in graph.node
        if node.op_type in ENLARGING and _enlarges(shapes.get(node.input[0], ()), shapes.get(node.output[0], ()))
    ]
    return min(sizes, key=lambda item: item[0])[1] if sizes else None


def grafted(model: onnx.ModelProto, part: nn.Module, output: str, tap: Tap | None) -> onnx.ModelProto:
    """Return ``model`` with ``part`` (image, logits, deepest features -> ``output``) behind it."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    opset = next(entry.version for entry in model.opset_import if entry.domain == "")
    fragment = _exported(part, _size_of(model), tap, opset)
    given = {INPUT: model.graph.input[0].name, OUTPUT: model.graph.output[0].name, BOTTLENECK: tap.name if tap else ""}
    made = {fragment.graph.output[0].name: output}

    def renamed(name: str) -> str:
        return given.get(name) or made.get(name) or (PREFIX + name if name else "")

    for tensor in fragment.graph.initializer:
        copy = whole.graph.initializer.add()
        copy.CopyFrom(tensor)
        copy.name = renamed(tensor.name)
    for number, node in enumerate(fragment.graph.node):
        copy = whole.graph.node.add()
        copy.CopyFrom(node)
        copy.name = f"{PREFIX}{number}"
        copy.input[:] = [renamed(name) for name in node.input]
        copy.output[:] = [renamed(name) for name in node.output]
    shape = [size.dim_value for size in fragment.graph.output[0].type.tensor_type.shape.dim]
    whole.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, shape))
    return whole


def _with_trees(model: onnx.ModelProto, trees: tuple[RegressionTree, ...]) -> onnx.ModelProto:
    """Return ``model``, which gives standardised features, with minus the sum of ``trees`` as confidence instead."""
    graph = model.graph
    gain, minus, shape = f"{PREFIX}gain", f"{PREFIX}minus", f"{PREFIX}shape"
    graph.initializer.append(helper.make_tensor(shape, TensorProto.INT64, [1], [1]))
    added = [
        tree_node(trees, FEATURES, gain),
        helper.make_node("Neg", [gain], [minus]),
        helper.make_node("Reshape", [minus, shape], [CONFIDENCE]),
    ]
    for node in added:
        node.name = f"{PREFIX}{len(graph.node)}"
        graph.node.append(node)
    kept = [value for value in graph.output if value.name != FEATURES]
    _replace(graph, "output", [*kept, helper.make_tensor_value_info(CONFIDENCE, TensorProto.FLOAT, [1])])
    model.opset_import.append(helper.make_opsetid(ML_DOMAIN, ML_OPSET))
    return model


def _replace(owner: Any, name: str, members: Sequence[Any]) -> None:
    """Let a repeated field of a message hold ``members``, which may be its own."""
    copies = [type(member).FromString(member.SerializeToString()) for member in members]
    owner.ClearField(name)
    getattr(owner, name).extend(copies)


def _exported(part: nn.Module, size: int, tap: Tap | None, opset: int) -> onnx.ModelProto:
    """Return ``part`` as ONNX with the inputs image, logits and, where there is a tap, bottleneck."""
    examples = [torch.zeros(1, 1, size, size), torch.zeros(1, 1, size, size)]
    if tap is not None:
        examples.append(torch.zeros(tap.shape))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part.onnx"
        with exporting_quietly(), torch.no_grad():
            shape = tuple(part.eval()(*examples).shape)
            torch.onnx.export(
                part,
                tuple(examples),
                str(path),
                dynamo=False,  # NOTE: the other exporter writes opset 18 whatever it is asked for
                opset_version=opset,
                input_names=[INPUT, OUTPUT, BOTTLENECK][: len(examples)],
                output_names=["answer"],
            )
        return simplified(onnx.load(path), shape)


def _size_of(model: onnx.ModelProto) -> int:
    return int(model.graph.input[0].type.tensor_type.shape.dim[-1].dim_value)


def _enlarges(before: tuple[int, ...], after: tuple[int, ...]) -> bool:
    """Whether maps of ``before`` become larger ones; a single pixel is a gate's average, no map."""
    return len(before) == len(after) == 4 and after[2] > before[2] > 1


def _linear(weights: tuple[tuple[float, ...], ...], bias: tuple[float, ...]) -> nn.Linear:
    layer = nn.Linear(len(weights), len(bias))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weights).T)
        layer.bias.copy_(torch.tensor(bias))
    return layer
