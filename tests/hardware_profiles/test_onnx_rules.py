"""Every rule has a deliberately bad model and a good neighbour; strange files give a sentence, never a traceback."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from ussearch.errors import UserError
from ussearch.hardware_profiles import check_onnx, load_profile, profile_names
from ussearch.hardware_profiles.onnx_files.check import LARGEST_BYTES
from ussearch.hardware_profiles.onnx_files.rules import RULES
from ussearch.hardware_profiles.onnx_files.rules.tensorrt import CONSTANT_INPUTS

from .onnx_models import CASES, Case, branches, cast, conv, model, node, outside, quantised_conv

NANO = load_profile("jetson-nano")
NAMES = [f"{case.rule}-{number}" for number, case in enumerate(CASES)]


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_a_planted_fault_is_the_one_finding(case: Case) -> None:
    findings = check_onnx(case.bad(), load_profile(case.profile))
    expected = {(case.rule, case.node)} | ({("operators", "else-node")} if case.node == "then-node" else set())
    assert {(finding.rule, finding.node) for finding in findings} == expected, findings
    assert all(finding.hint and finding.message for finding in findings)


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_its_good_neighbour_has_no_finding(case: Case) -> None:
    good = case.good()
    onnx.checker.check_model(good, full_check=True)
    assert check_onnx(good, load_profile(case.profile)) == ()


def test_every_rule_has_a_bad_model() -> None:
    assert {case.rule for case in CASES} == set(RULES)


def test_every_constant_input_has_a_bad_model() -> None:
    bad = [each for case in CASES if case.rule == "constant_inputs" for each in case.bad().graph.node]
    assert {each.op_type for each in bad if each.name == "bad"} == set(CONSTANT_INPUTS)


WRITTEN = {
    "opset_import": {"opset", "ir_version"},
    "static shapes": {"static_shapes", "batch_one", "external_data"},
    "Resize": {"resize"},
    "Reduce*": {"reduce_axes"},
    "ReduceSum axes": {"constant_inputs"},
    "Conv/ConvTranspose": {"rank", "constant_inputs"},
    "MaxPool": {"maxpool_indices"},
    "Slice.axes": {"constant_inputs"},
    "InstanceNormalization": {"constant_inputs", "rank"},
    "QDQ": {"quantisation", "quantised_bias", "precision"},
    "avoid ArgMax/TopK": {"order_at_the_end", "operators"},
}
"""How each line of the list of TensorRT's rules begins, and the rules here that check it."""


@pytest.mark.shared
def test_every_line_of_the_list_of_rules_has_its_rules(shared: Path) -> None:
    lines = json.loads((shared / "trt82_rules.json").read_text())["rules"]
    assert all(line.startswith(begin) for line, begin in zip(lines, WRITTEN, strict=True))
    assert set().union(*WRITTEN.values()) <= set(RULES)


def test_a_parser_has_rules_of_its_own() -> None:
    cubic = model(node("Resize", "image,-,scales", mode="cubic"), out=(1, 4, 16, 16), opset=15)
    assert check_onnx(cubic, load_profile("raspberry-pi-4")) == ()
    assert {name for name in profile_names() if load_profile(name).export.parser == "tensorrt-8"} == {
        *("jetson-nano", "jetson-orin-nano", "jetson-tx2", "jetson-xavier-nx")
    }


def runs(made: onnx.ModelProto) -> bool:
    """Tell whether onnxruntime takes a model."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception:
        return False
    return True


@pytest.mark.parametrize("profile", ["raspberry-pi-5", "x86-server", "jetson-nano"])
def test_opsets_are_accepted_where_onnxruntime_reads_them_and_the_parser_knows_them(profile: str) -> None:
    device = load_profile(profile)
    made = {
        opset: model(conv(outputs="c"), node("Sigmoid", "c", "s", name="s"), node("Add", "s,image"), opset=opset)
        for opset in range(5, 23)
    }
    accepted = {opset for opset, each in made.items() if not check_onnx(each, device)}
    assert accepted == {opset for opset, each in made.items() if runs(each) and opset <= device.export.opset}


@pytest.mark.parametrize("ir_version", [3, 4, 6, 7, 8])
def test_older_ir_versions_are_accepted_as_onnxruntime_reads_them(ir_version: int) -> None:
    made = model(conv(), opset=9, ir_version=ir_version)
    if ir_version == 3:  # where initializers had to be inputs too
        made.graph.input.append(helper.make_tensor_value_info("kernel", TensorProto.FLOAT, (4, 4, 3, 3)))
    assert runs(made)
    assert check_onnx(made, load_profile("raspberry-pi-5")) == check_onnx(made, NANO) == ()


def test_operators_of_other_domains_are_accepted_where_onnxruntime_has_them() -> None:
    for domain in ("com.microsoft", "com.acme"):
        made = model(node("Gelu", "image", "g", domain=domain), conv("g,kernel"))
        made.opset_import.append(helper.make_opsetid(domain, 1))
        assert (check_onnx(made, load_profile("raspberry-pi-5")) == ()) == runs(made) == (domain == "com.microsoft")


TENSORRT_TYPES = {
    "jetson-nano": {"DOUBLE", "FLOAT", "FLOAT16", "INT8", "BOOL", "INT32", "INT64"},
    "jetson-orin-nano": {"DOUBLE", "FLOAT", "FLOAT16", "INT8", "BOOL", "INT32", "INT64", "UINT8"},
}
"""What docs/operators.md and docs/Changelog.md of onnx/onnx-tensorrt name for 8.2 and for 8.5 and later."""


@pytest.mark.parametrize("profile", TENSORRT_TYPES)
def test_inputs_are_of_types_that_this_version_of_tensorrt_imports(profile: str) -> None:
    accepted = set()
    for name, number in TensorProto.DataType.items():
        found = check_onnx(model(cast("image", "y", TensorProto.FLOAT), given=number), load_profile(profile))
        accepted |= set() if any(each.rule == "tensor_types" for each in found) else {name}
    assert accepted - {"UNDEFINED"} == TENSORRT_TYPES[profile]


def test_an_output_of_bytes_is_named_too() -> None:
    found = check_onnx(model(cast("image", "y", TensorProto.UINT8), kind=TensorProto.UINT8), NANO)
    assert {(each.rule, each.node) for each in found} == {("tensor_types", "y"), ("tensor_types", "cast")}


@pytest.mark.parametrize(
    ("operator", "version"),
    [("HardSwish", "8.4"), ("GridSample", "8.5"), ("LayerNormalization", "8.6"), ("Mod", "8.5"), ("Mish", "8.6")],
)
def test_the_mend_names_the_version_that_imports_an_operator(operator: str, version: str) -> None:
    (finding,) = [each for each in check_onnx(model(node(operator, "image")), NANO) if each.rule == "operators"]
    assert version in finding.hint


def test_what_one_device_lacks_another_has() -> None:
    quantised = model(node("QuantizeLinear", "image,scale,zero"), kind=TensorProto.INT8, opset=15)
    assert check_onnx(quantised, load_profile("raspberry-pi-5")) == ()
    (finding,) = check_onnx(model(conv(), kernel=np.ones((4, 4, 3, 3), "bfloat16")), NANO)
    assert "BF16" in finding.message


def test_constant_nodes_and_quantised_weights_are_weights() -> None:
    kernel = helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(np.ones((4, 4, 3, 3), np.float32)))
    assert check_onnx(model(kernel, conv("image,k")), NANO) == ()
    assert check_onnx(quantised_conv(bias=False), load_profile("jetson-xavier-nx")) == ()


def test_initializers_listed_as_inputs_are_no_images() -> None:
    listed = model(conv())
    listed.graph.input.append(helper.make_tensor_value_info("kernel", TensorProto.FLOAT, (4, 4, 3, 3)))
    assert check_onnx(listed, NANO) == ()


def test_external_files_are_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.onnx"
    path.write_bytes(outside().SerializeToString())
    os.mkfifo(tmp_path / "absent.bin")  # whoever opened it would wait forever
    made = onnx.load_model_from_string(path.read_bytes())
    made.graph.initializer[0].external_data[0].value = "absent.bin"
    assert [finding.rule for finding in check_onnx(made, NANO)] == ["external_data"]


def cyclic() -> onnx.ModelProto:
    return model(node("Relu", "b", "a", name="1"), node("Relu", "a", "b", name="2"), node("Add", "a,image"))


def lying_weight() -> onnx.ModelProto:
    made = model(conv())
    made.graph.initializer[0].raw_data = b"\0"
    return made


def negative_sizes() -> onnx.ModelProto:
    made = model(node("Resize", "image,-,scales"), out=(1, 4, 16, 16))
    made.graph.initializer[0].dims[:] = [-(2**62)]
    return made


def without_inputs() -> onnx.ModelProto:
    made = model(conv())
    for each in ("Conv", "Resize", "DequantizeLinear", "MaxPool", "ReduceSum", "If", "Constant"):
        made.graph.node.append(onnx.NodeProto(op_type=each))
    return made


def deep() -> onnx.ModelProto:
    made = branches("Mish")
    for _ in range(20):
        outer = helper.make_graph(list(made.graph.node), "g", [], list(made.graph.output))
        made = model(
            helper.make_node("If", ["yes"], ["y"], name="if", then_branch=outer, else_branch=outer), yes=np.array(True)
        )
        outer.initializer.extend(made.graph.initializer)
        if made.ByteSize() > 100_000:
            break
    return made


def strange_names() -> onnx.ModelProto:
    return model(node("Mish", "image", name="\x1b[31m" + "x" * 10_000))


def a_sequence() -> onnx.ModelProto:
    made = model(node("SequenceConstruct", "image", "s"), conv())
    made.graph.output.append(helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None))
    return made


STRANGE = [cyclic, lying_weight, negative_sizes, without_inputs, deep, strange_names, a_sequence, outside]


@pytest.mark.parametrize("profile", ["jetson-nano", "jetson-xavier-nx", "coral-edge-tpu", "x86-server"])
@pytest.mark.parametrize("make", STRANGE, ids=lambda make: make.__name__)
def test_a_strange_model_gives_findings_never_a_traceback(make: object, profile: str, tmp_path: Path) -> None:
    assert callable(make)
    path = tmp_path / "model.onnx"
    path.write_bytes(make().SerializeToString())
    findings = check_onnx(path, load_profile(profile))
    assert findings
    assert all(finding.node.isprintable() and len(finding.node) <= 200 for finding in findings)


def test_a_cycle_is_named_by_the_checker_of_onnx() -> None:
    (finding,) = [each for each in check_onnx(cyclic(), NANO) if each.rule == "valid_onnx"]
    assert "topologically sorted" in finding.message


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_refused_or_found_out(share: float, tmp_path: Path) -> None:
    content = model(conv()).SerializeToString()
    path = tmp_path / "model.onnx"
    path.write_bytes(content[: int(share * len(content))])
    try:
        assert check_onnx(path, NANO)
    except UserError as error:
        assert "is not an ONNX file" in str(error)


def test_damaged_bytes_never_give_a_traceback(tmp_path: Path) -> None:
    content = np.frombuffer(quantised_conv(bias=True).SerializeToString(), np.uint8)
    random = np.random.default_rng(0)
    path, profile = tmp_path / "model.onnx", load_profile("jetson-xavier-nx")
    for _ in range(200):
        damaged = content.copy()
        damaged[random.integers(0, len(content), 4)] = random.integers(0, 256, 4)
        path.write_bytes(damaged.tobytes())
        try:
            check_onnx(path, profile)
        except UserError as error:
            assert "is not an ONNX file" in str(error)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x08"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(UserError, match="is not an ONNX file"):
        check_onnx(path, NANO)
    with pytest.raises(UserError, match="Cannot read"):
        check_onnx(tmp_path / "absent.onnx", NANO)


def test_what_is_no_file_or_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    for path in (tmp_path, tmp_path / "pipe.onnx"):
        with pytest.raises(UserError, match="it is not a file"):
            check_onnx(path, NANO)
    with (tmp_path / "large.onnx").open("wb") as file:
        file.truncate(LARGEST_BYTES + 1)
    with pytest.raises(UserError, match=r"2\.0 GiB, expected at most 2 GiB"):
        check_onnx(tmp_path / "large.onnx", NANO)


def test_the_command_tells_what_takes_bytes_and_what_does_not(tmp_path: Path) -> None:
    from ussearch.cli.app import app
    from ussearch.serving.triton import taking_bytes

    onnx.save(taking_bytes(model(conv())), tmp_path / "triton.onnx")
    results = {
        name: CliRunner().invoke(app, ["check", str(tmp_path / "triton.onnx"), "--profile", name, "--json"])
        for name in ("jetson-nano", "jetson-xavier-nx", "jetson-orin-nano", "gpu-server", "raspberry-pi-5")
    }
    assert {name: each.exit_code for name, each in results.items()} == {
        **{"jetson-nano": 1, "jetson-xavier-nx": 1},
        **{"jetson-orin-nano": 0, "gpu-server": 0, "raspberry-pi-5": 0},
    }
    (finding,) = json.loads(results["jetson-nano"].stdout)
    assert (finding["rule"], finding["node"]) == ("tensor_types", "image")
    assert "uint8" in finding["message"] and "8.5" in finding["message"] and "float32" in finding["hint"]


def test_the_command_lists_findings_with_status_1(tmp_path: Path) -> None:
    from ussearch.cli.app import app

    good, bad = tmp_path / "good.onnx", tmp_path / "bad.onnx"
    onnx.save(model(conv()), good)
    onnx.save(model(conv(), ir_version=10), bad)
    accepted = CliRunner().invoke(app, ["check", str(good), "--profile", "jetson-nano"])
    assert accepted.exit_code == 0
    assert "keeps every rule" in accepted.output
    refused = CliRunner().invoke(app, ["check", str(bad), "--profile", "jetson-nano", "--json"])
    assert refused.exit_code == 1
    assert [finding["rule"] for finding in json.loads(refused.stdout)] == ["ir_version"]
    assert "model.ir_version = 8" in CliRunner().invoke(
        app, ["check", str(bad), "--profile", "jetson-nano"]
    ).output.replace("\n", "")
