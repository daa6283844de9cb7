"""The cloud network as a model repository of NVIDIA Triton, which the same client can ask.

Source: Triton Inference Server, "Model Repository" and "Model Configuration".
"""

from __future__ import annotations

from pathlib import Path

import onnx

from ussearch.errors import UserError
from ussearch.files import staged_directory
from ussearch.runtime.bundle import ServingBundle
from ussearch.runtime.integrity import file_names
from ussearch.runtime.manifest import MODEL_VERSION
from ussearch.runtime.predictor import CLOUD_MODEL

CONFIGURATION = "config.pbtxt"
MODEL = "model.onnx"
GREY_LEVELS = "grey_levels"


def write_triton(bundle: ServingBundle, repository: Path) -> Path:
    """Add the cloud network of ``bundle`` to the repository and return the model's folder.

    An older folder of the same model is replaced, other models are left alone. Raises UserError where the repository
    cannot be written or lies inside the bundle, or the folder of the model holds anything else.
    """
    require_outside(repository, bundle.folder)
    _require_replaceable(repository / bundle.manifest.model_name)
    name, side = bundle.manifest.model_name, bundle.manifest.preprocessing.image_size
    with staged_directory(repository / name) as folder:
        (folder / MODEL_VERSION).mkdir()
        onnx.save(taking_bytes(onnx.load(bundle.folder / CLOUD_MODEL)), folder / MODEL_VERSION / MODEL)
        (folder / CONFIGURATION).write_text(configuration(name, side), encoding="utf-8")
    return repository / name


def require_outside(repository: Path, bundle: Path) -> None:
    """Raise UserError where the repository lies inside the bundle, whose files are sealed."""
    if bundle.resolve() in (repository.resolve(), *repository.resolve().parents):
        raise UserError(f"{repository} is inside the bundle, which no file may be added to: choose another folder.")


def _require_replaceable(folder: Path) -> None:
    """Raise UserError where a folder holds what is no file of a model that was added before."""
    for name in file_names(folder) if folder.is_dir() else []:
        if name not in {CONFIGURATION, f"{MODEL_VERSION}/{MODEL}"}:
            raise UserError(
                f"{folder / name} is no file of this model and would be lost: move it away, or choose another "
                "repository."
            )


def taking_bytes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with an input of uint8 instead of float32: a quarter of the bytes on the way to it.

    A cast is put before the first node; the input keeps its name and shape.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    name = graph.input[0].name
    for node in graph.node:
        node.input[:] = [GREY_LEVELS if each == name else each for each in node.input]
    graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    graph.node.insert(0, onnx.helper.make_node("Cast", [name], [GREY_LEVELS], to=onnx.TensorProto.FLOAT))
    onnx.checker.check_model(changed)
    return changed


def configuration(name: str, side: int) -> str:
    """Return config.pbtxt; batching is off, since the graph is made for one image."""
    dimensions = f"[ 1, 1, {side}, {side} ]"
    return "\n".join(
        [
            f'name: "{name}"',
            'platform: "onnxruntime_onnx"',
            "max_batch_size: 0",
            f'input [ {{ name: "image" data_type: TYPE_UINT8 dims: {dimensions} }} ]',
            f'output [ {{ name: "logits" data_type: TYPE_FP32 dims: {dimensions} }} ]',
            "",
        ]
    )
