"""Which settings are chosen, for scores that are planted."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import pytest

from ussearch.compress.quantisation import METHODS, Quantiser, Settings, int8_nodes, quantise_best, sensitivities


def agreement(small):
    """A score: the share of pixels on which a file agrees with the float network."""
    truth = small.logits() >= 0
    return lambda path: float(np.mean((small.logits(path) >= 0) == truth))


def layers_in_float(path: Path) -> int:
    model = onnx.load(path)
    constants = {tensor.name for tensor in model.graph.initializer}
    return sum(node.op_type == "Conv" and node.input[1] in constants for node in model.graph.node)


def test_the_best_method_is_kept_and_nothing_more_tried_when_it_is_good_enough(small, tmp_path: Path) -> None:
    score = agreement(small)
    result = quantise_best(small.path, small.images, "u8s8", score, 0.9, tmp_path, latency=lambda path: 1.5)
    assert [attempt.settings.method for attempt in result.attempts] == list(METHODS)
    assert result.score == max(attempt.score for attempt in result.attempts) == score(result.path)
    assert result.path == tmp_path / "quantised.onnx"
    assert result.settings.float_nodes == frozenset()
    assert {attempt.latency_ms for attempt in result.attempts} == {1.5}
    assert int8_nodes(onnx.load(result.path))
    Quantiser(small.path, small.images).write(result.settings, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == result.path.read_bytes()


def test_layers_are_given_back_one_by_one_until_it_is_good_enough(small, tmp_path: Path) -> None:
    """The planted score counts convolutions in float: three are needed."""

    def planted(path: Path) -> float:
        return 0.5 + 0.1 * layers_in_float(path)

    result = quantise_best(small.path, small.images, "u8s8", planted, 0.8, tmp_path)
    counts = [len(attempt.settings.float_nodes) for attempt in result.attempts]
    assert counts == [0, 0, 0, 2, 3]
    assert result.score == pytest.approx(0.8)
    quantiser = Quantiser(small.path, small.images)
    ends = {quantiser.layers[0], quantiser.layers[-1]}
    assert result.attempts[3].settings.float_nodes == ends
    rank = sensitivities(quantiser, Settings("u8s8", "minmax"), small.images)
    most = next(layer for layer in rank if layer not in ends)
    assert result.settings.float_nodes == ends | {most}
    assert most in result.attempts[-1].note


@pytest.mark.parametrize("value", [0.1, math.nan])
def test_a_bad_score_never_raises_and_the_limit_is_kept(value: float, small, tmp_path: Path) -> None:
    result = quantise_best(small.path, small.images, "s8s8", lambda path: value, 0.9, tmp_path, max_float_layers=3)
    assert max(len(attempt.settings.float_nodes) for attempt in result.attempts) <= 3
    assert len(result.attempts) > 3 or math.isnan(value)
    assert result.path.exists()


def test_every_layer_may_be_given_back(small, tmp_path: Path) -> None:
    result = quantise_best(small.path, small.images, "u8s8", lambda path: 0.1, 0.9, tmp_path, max_float_layers=100)
    counts = [len(attempt.settings.float_nodes) for attempt in result.attempts]
    assert counts[-1] == len(Quantiser(small.path, small.images).layers)


def test_the_spoilt_layer_is_the_most_sensitive(small, tmp_path: Path) -> None:
    """One enormous weight leaves all others of its channel a handful of levels."""
    model = onnx.load(small.path)
    victim = next(node for node in model.graph.node if node.op_type == "Conv" and "levels.0" in node.input[1])
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == victim.input[1])
    values = onnx.numpy_helper.to_array(tensor).copy()
    values[:, 0, 0, 0] += 60 * np.abs(values).max()
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(model, tmp_path / "spoilt.onnx")
    quantiser = Quantiser(tmp_path / "spoilt.onnx", small.images)
    found = sensitivities(quantiser, Settings("s8s8", "minmax"), small.images)
    assert next(iter(found)) == victim.name
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert found.keys() == set(quantiser.layers)
