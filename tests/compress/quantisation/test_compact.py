"""A compact file computes what the long one computes, in fewer bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from ussearch.compress.quantisation import SCHEMES, Quantiser, Settings, qdq
from ussearch.search_spaces import FreeSpace


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("seed", [None, 1, 2])
def test_the_same_answers_in_fewer_bytes(
    scheme, seed: int | None, small, ship, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = small if seed is None else ship(FreeSpace.standard(64).sample(seed), count=2, size=64)
    quantiser = Quantiser(network.path, network.images)
    quantiser.write(Settings(scheme, "minmax"), tmp_path / "compact.onnx")
    monkeypatch.setattr(qdq, "deduplicate_initializers_", lambda model: None)
    quantiser.write(Settings(scheme, "minmax"), tmp_path / "long.onnx")
    np.testing.assert_array_equal(network.logits(tmp_path / "compact.onnx"), network.logits(tmp_path / "long.onnx"))
    sizes = [(tmp_path / name).stat().st_size for name in ("compact.onnx", "long.onnx")]
    constants = sum(numpy_helper.to_array(each).nbytes for each in onnx.load(tmp_path / "long.onnx").graph.initializer)
    assert sizes[0] - constants < 0.5 * (sizes[1] - constants), "what is no number takes less than half"


def test_layers_and_weights_keep_their_names_and_no_constant_stands_there_twice(small, tmp_path: Path) -> None:
    quantiser = Quantiser(small.path, small.images)
    quantiser.write(Settings("u8s8", "minmax"), tmp_path / "compact.onnx")
    graph = onnx.load(tmp_path / "compact.onnx").graph
    assert set(quantiser.layers) <= {node.name for node in graph.node}
    assert any(tensor.name.endswith(".weight_quantized") for tensor in graph.initializer)
    constants = [
        (tensor.data_type, tuple(tensor.dims), numpy_helper.to_array(tensor).tobytes()) for tensor in graph.initializer
    ]
    assert len(constants) == len(set(constants))
    assert not graph.value_info
