"""Networks that are trained at one size and timed at another: the same file with a larger image."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from ussearch.compress import SpeedSource


def enlarged(model: Path, image_size: int, out: Path) -> Path:
    """Write ``model`` to ``out`` for images of ``image_size`` pixels a side, and return ``out``.

    All layers are convolutions, pooling and resizing, by factors or to a size, which grows with the image.
    """
    proto = onnx.load(model)
    factor = image_size // proto.graph.input[0].type.tensor_type.shape.dim[-1].dim_value
    sizes = {node.input[3] for node in proto.graph.node if node.op_type == "Resize" and len(node.input) > 3}
    for tensor in proto.graph.initializer:
        if tensor.name in sizes:
            grown = numpy_helper.to_array(tensor) * np.array([1, 1, factor, factor])
            tensor.CopyFrom(numpy_helper.from_array(grown, tensor.name))
    for value in (*proto.graph.input, *proto.graph.output):
        for dimension in value.type.tensor_type.shape.dim[2:]:
            dimension.dim_value = image_size
    del proto.graph.value_info[:]
    onnx.checker.check_model(proto, full_check=True)  # infers every shape from the input's
    onnx.save(proto, out)
    return out


@dataclass(frozen=True)
class EnlargedSpeed(SpeedSource):
    """Speeds of files at another image size than theirs."""

    image_size: int = 256

    def here(self, *models: Path) -> list[list[float]]:
        """Return the latencies of each model in ms at ``image_size``, one a turn, on this machine."""
        with tempfile.TemporaryDirectory() as folder:
            larger = [
                enlarged(model, self.image_size, Path(folder) / f"{number}.onnx") for number, model in enumerate(models)
            ]
            return super().here(*larger)
