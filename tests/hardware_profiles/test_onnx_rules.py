"""Every rule has a deliberately bad model; one that keeps all of them has no finding."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from ussearch.errors import UserError
from ussearch.hardware_profiles import check_onnx, load_profile
from ussearch.hardware_profiles.onnx_files.rules import RULES

NANO = load_profile("jetson-nano")


def good_model(*more: onnx.NodeProto, opset: int = 13, batch: int | str = 1) -> onnx.ModelProto:
    """A convolution, and nodes after it."""
    weight = numpy_helper.from_array(np.ones((1, 1, 3, 3), np.float32), "weight")
    nodes = [helper.make_node("Conv", ["image", "weight"], ["logits"], name="conv", pads=[1, 1, 1, 1]), *more]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 1, 8, 8])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, 1, 8, 8])
    graph = helper.make_graph(nodes, "network", [image], [logits], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def newer_ir() -> onnx.ModelProto:
    model = good_model()
    model.ir_version = 10
    return model


def outside() -> onnx.ModelProto:
    model = good_model()
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL
    return model


def half() -> onnx.ModelProto:
    model = good_model()
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.ones((1, 1, 3, 3), "bfloat16"), "weight"))
    return model


def in_a_branch() -> onnx.ModelProto:
    node = helper.make_node("TopK", ["logits", "k"], ["values", "indices"], name="deep")
    branch = helper.make_graph([node], "then", [], [helper.make_tensor_value_info("values", 1, [1])])
    return good_model(helper.make_node("If", ["condition"], ["out"], name="if", then_branch=branch, else_branch=branch))


BAD: list[tuple[str, str, Callable[[], onnx.ModelProto]]] = [
    ("opset", "model", lambda: good_model(opset=17)),
    ("ir_version", "model", newer_ir),
    ("static_shapes", "image", lambda: good_model(batch="batch")),
    ("batch_one", "image", lambda: good_model(batch=2)),
    ("external_data", "weight", outside),
    ("operators", "act", lambda: good_model(helper.make_node("HardSwish", ["logits"], ["y"], name="act"))),
    ("operators", "grid", lambda: good_model(helper.make_node("Mish", ["logits"], ["y"], name="grid"))),
    ("operators", "own", lambda: good_model(helper.make_node("Relu", ["logits"], ["y"], name="own", domain="com.me"))),
    ("operators", "ArgMax that makes y", lambda: good_model(helper.make_node("ArgMax", ["logits"], ["y"]))),
    ("operators", "deep", in_a_branch),
    ("reduce_axes", "mean", lambda: good_model(helper.make_node("ReduceMean", ["logits", "a"], ["y"], name="mean"))),
    ("constant_weights", "dyn", lambda: good_model(helper.make_node("Conv", ["logits", "logits"], ["y"], name="dyn"))),
    ("precision", "q", lambda: good_model(helper.make_node("QuantizeLinear", ["logits", "s"], ["y"], name="q"))),
]


@pytest.mark.parametrize(("rule", "node", "make"), BAD, ids=[f"{rule}:{node}" for rule, node, _ in BAD])
def test_a_planted_fault_is_found_and_the_node_named(rule: str, node: str, make: Callable[[], onnx.ModelProto]) -> None:
    findings = check_onnx(make(), NANO)
    assert (rule, node) in {(finding.rule, finding.node) for finding in findings}
    assert all(finding.mend and finding.message for finding in findings)
    assert {finding.rule for finding in findings} == {rule}


def test_every_rule_has_a_bad_model() -> None:
    assert {rule for rule, _, _ in BAD} == set(RULES)


def test_a_good_model_has_no_finding() -> None:
    assert check_onnx(good_model(), NANO) == ()
    assert check_onnx(good_model(helper.make_node("ReduceMean", ["logits"], ["y"], axes=[2, 3])), NANO) == ()


def test_reduce_sum_takes_its_axes_as_input_from_opset_13_on() -> None:
    assert check_onnx(good_model(helper.make_node("ReduceSum", ["logits", "axes"], ["y"])), NANO) == ()


def test_what_one_device_lacks_another_has() -> None:
    pi = load_profile("raspberry-pi-5")
    quantised = good_model(helper.make_node("QuantizeLinear", ["logits", "s"], ["y"], name="q"), opset=pi.export.opset)
    assert check_onnx(quantised, pi) == ()
    (finding,) = check_onnx(half(), NANO)
    assert "BF16" in finding.message


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x08"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(UserError, match="is not an ONNX file"):
        check_onnx(path, NANO)
    with pytest.raises(UserError, match="Cannot read"):
        check_onnx(tmp_path / "absent.onnx", NANO)


def test_the_command_lists_findings_with_status_1(tmp_path: Path) -> None:
    from ussearch.cli.app import app

    good, bad = tmp_path / "good.onnx", tmp_path / "bad.onnx"
    onnx.save(good_model(), good)
    onnx.save(newer_ir(), bad)
    accepted = CliRunner().invoke(app, ["check", str(good), "--profile", "jetson-nano"])
    assert accepted.exit_code == 0
    assert "keeps every rule" in accepted.output
    refused = CliRunner().invoke(app, ["check", str(bad), "--profile", "jetson-nano", "--json"])
    assert refused.exit_code == 1
    assert [finding["rule"] for finding in json.loads(refused.output)] == ["ir_version"]
    assert "model.ir_version = 8" in CliRunner().invoke(
        app, ["check", str(bad), "--profile", "jetson-nano"]
    ).output.replace("\n", "")
