"""Other people's ONNX files: every input is fed what the file asks for, or refused in one sentence."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from tests.old_pythons import old_python
from ussearch.cli.app import app
from ussearch.hardware_profiles import load_profile
from ussearch.hardware_profiles.measuring import measure
from ussearch.hardware_profiles.measuring.bench import predict_file
from ussearch.serving.triton import taking_bytes

Sizes = tuple[int | str | None, ...]
QUICK = ("--rounds", "1", "--seconds", "0.05", "--patience", "0", "--threads", "1")
TYPES = ("FLOAT", "DOUBLE", "FLOAT16", "BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")


def written(
    path: Path,
    nodes: list[NodeProto],
    inputs: Mapping[str, tuple[int, Sizes | None]],
    out: Sizes | None = None,
    **weights: Any,
) -> Path:
    """Write a model that makes ``y``; inputs are (element type, shape) by name."""
    given = [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()]
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, out)
    stored = [numpy_helper.from_array(np.asarray(values), name) for name, values in weights.items()]
    graph = helper.make_graph(nodes, "network", given, [result], stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def taking(path: Path, kind: int, shape: Sizes | None = (1, 1, 16, 16)) -> Path:
    """Write image -> Cast -> Relu."""
    nodes = [helper.make_node("Cast", ["image"], ["f"], to=TensorProto.FLOAT), helper.make_node("Relu", ["f"], ["y"])]
    return written(path, nodes, {"image": (kind, shape)})


def convolution(path: Path, shape: Sizes | None, channels: int = 1) -> Path:
    """Write a convolution of the input ``image``."""
    node = helper.make_node("Conv", ["image", "w"], ["y"], pads=[1] * 4)
    out = (shape[0], 2, *shape[2:]) if shape else None
    weight = np.ones((2, channels, 3, 3), np.float32)
    return written(path, [node], {"image": (TensorProto.FLOAT, shape)}, out, w=weight)


def fed(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what ``measure.py`` feeds a file, after onnxruntime has taken it once more."""
    session = measure.open_session(onnxruntime, path, 1, "CPUExecutionProvider")
    feeds, inputs = measure.feeds_of(session, np)
    session.run(None, feeds)
    return feeds, inputs


def program(*arguments: str | Path, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, measure.__file__, *map(str, arguments), *QUICK],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize("name", TYPES)
def test_every_type_is_fed_in_its_own(name: str, tmp_path: Path) -> None:
    number = TensorProto.DataType.Value(name)
    feeds, (said,) = fed(taking(tmp_path / "m.onnx", number))
    assert feeds["image"].dtype == helper.tensor_dtype_to_np_dtype(number)
    assert feeds["image"].shape == (1, 1, 16, 16) and len(np.unique(feeds["image"])) > 1
    assert said == {"name": "image", "type": str(feeds["image"].dtype), "shape": [1, 1, 16, 16], "chosen": []}


def test_these_are_all_types_of_numbers_that_numpy_and_onnxruntime_share() -> None:
    shared = set()
    for name, number in TensorProto.DataType.items():
        if number in {TensorProto.UNDEFINED, *unknown_to_numpy()}:
            continue
        kind = helper.tensor_dtype_to_np_dtype(number)
        if kind.kind in "biuf":
            onnxruntime.OrtValue.ortvalue_from_numpy(np.ones(1, kind))
            shared.add(name)
    assert shared == set(TYPES)


def unknown_to_numpy() -> set[int]:
    """Return types that onnx holds as something else: packed bits and floats that numpy lacks."""
    return {
        number
        for name, number in TensorProto.DataType.items()
        if name.startswith(("BFLOAT", "FLOAT4", "FLOAT6", "FLOAT8", "INT2", "INT4", "UINT2", "UINT4"))
    }


def test_a_static_float_file_is_fed_what_it_always_was(tmp_path: Path) -> None:
    feeds, _ = fed(convolution(tmp_path / "m.onnx", (1, 1, 8, 8)))
    expected = (np.random.RandomState(0).rand(1, 1, 8, 8) * 255).astype(np.float32)
    np.testing.assert_array_equal(feeds["image"], expected)


@pytest.mark.parametrize(
    ("shape", "channels", "expected", "chosen"),
    [
        (("batch", 3, 64, 64), 3, [1, 3, 64, 64], [0]),
        (("batch", 3, "h", "w"), 3, [1, 3, 256, 256], [0, 2, 3]),
        ((1, 1, None, None), 1, [1, 1, 256, 256], [2, 3]),
        ((None, None, None, None), 3, [1, 3, 256, 256], [0, 1, 2, 3]),
        (None, 1, [1, 1, 256, 256], [0, 1, 2, 3]),
        (None, 3, [1, 3, 256, 256], [0, 1, 2, 3]),
    ],
)
def test_open_sizes_are_those_of_one_image_and_named(
    shape: Sizes | None, channels: int, expected: list[int], chosen: list[int], tmp_path: Path
) -> None:
    feeds, (said,) = fed(convolution(tmp_path / "m.onnx", shape, channels))
    assert list(feeds["image"].shape) == said["shape"] == expected
    assert said["chosen"] == chosen


def test_the_size_is_one_that_the_network_runs_with(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["image", "positions"], ["y"])]
    path = written(
        tmp_path / "m.onnx",
        nodes,
        {"image": (TensorProto.FLOAT, (1, 1, "h", "w"))},
        positions=np.ones((1, 1, 224, 224), np.float32),
    )
    assert fed(path)[1][0]["shape"] == [1, 1, 224, 224]


def test_channels_behind_the_pixels(tmp_path: Path) -> None:
    _, (said,) = fed(taking(tmp_path / "m.onnx", TensorProto.UINT8, ("n", "h", "w", 3)))
    assert said["shape"] == [1, 256, 256, 3]


def test_volumes_are_small(tmp_path: Path) -> None:
    _, (said,) = fed(taking(tmp_path / "m.onnx", TensorProto.FLOAT, ("n", 1, "d", "h", "w")))
    assert said["shape"] == [1, 1, 64, 64, 64]


def test_several_inputs_agree_on_sizes_of_one_name(tmp_path: Path) -> None:
    path = written(
        tmp_path / "m.onnx",
        [helper.make_node("Mul", ["image", "prior"], ["m"]), helper.make_node("Add", ["m", "bias"], ["y"])],
        {
            "image": (TensorProto.FLOAT, ("n", 1, "h", 32)),
            "prior": (TensorProto.FLOAT, (None, 1, "h", 32)),
            "bias": (TensorProto.FLOAT, ()),
        },
    )
    _, said = fed(path)
    assert [each["shape"] for each in said] == [[1, 1, 256, 32], [1, 1, 256, 32], []]
    assert measure.inputs_text(said) == (
        "image float32 1x1x256x32 (1x256 chosen, open in the file); "
        "prior float32 1x1x256x32 (1x256 chosen, open in the file); bias float32 scalar"
    )


def test_integers_that_are_indices_stay_within_a_short_table(tmp_path: Path) -> None:
    path = written(
        tmp_path / "m.onnx",
        [helper.make_node("Gather", ["table", "tokens"], ["y"])],
        {"tokens": (TensorProto.INT64, (1, 8))},
        table=np.ones((2, 4), np.float32),
    )
    assert set(fed(path)[0]["tokens"].flat) <= {0, 1}


def test_the_program_says_what_it_fed_and_the_kit_s_rows_have_it(tmp_path: Path) -> None:
    static = convolution(tmp_path / "static.onnx", (1, 1, 32, 32))
    onnx.save(taking_bytes(onnx.load(static)), tmp_path / "triton.onnx")
    dynamic = convolution(tmp_path / "dynamic.onnx", ("batch", 3, "h", "w"), 3)
    done = program(static, tmp_path / "triton.onnx", dynamic, "--runtime", "onnxruntime", "--out", tmp_path / "r.csv")
    assert done.returncode == 0, done.stderr
    rows = csv.DictReader((tmp_path / "r.csv").read_text().splitlines())
    assert {row["model"]: row["inputs"] for row in rows} == {
        "static.onnx": "image float32 1x1x32x32",
        "triton.onnx": "image uint8 1x1x32x32",
        "dynamic.onnx": "image float32 1x3x256x256 (1x256x256 chosen, open in the file)",
    }


@pytest.mark.slow
def test_an_old_onnxruntime_takes_them_as_well(tmp_path: Path) -> None:
    models = [
        taking(tmp_path / "bytes.onnx", TensorProto.UINT8),
        taking(tmp_path / "half.onnx", TensorProto.FLOAT16),
        convolution(tmp_path / "open.onnx", ("n", None, None, "w"), 3),
        convolution(tmp_path / "silent.onnx", None, 3),
    ]
    python = old_python("3.6", tmp_path / "venv")
    done = program(*models, "--runtime", "onnxruntime", "--out", tmp_path / "r.csv", python=python)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "r.csv").read_text().splitlines()))
    assert [row["inputs"].split(" (")[0] for row in rows] == [
        *("image uint8 1x1x16x16", "image float16 1x1x16x16"),
        *("image float32 1x3x256x256", "image float32 1x3x256x256"),
    ]


def text_input(path: Path) -> Path:
    return taking(path, TensorProto.STRING)


def bfloat16_input(path: Path) -> Path:
    return taking(path, TensorProto.BFLOAT16)


def sequence_input(path: Path) -> Path:
    node = helper.make_node("ConcatFromSequence", ["images"], ["y"], axis=0)
    written(path, [node], {})
    made = onnx.load(path)
    made.graph.input.append(helper.make_tensor_sequence_value_info("images", TensorProto.FLOAT, [1, 8]))
    onnx.save(made, path)
    return path


def nine_channels(path: Path) -> Path:
    return convolution(path, ("n", "c", "h", "w"), 9)


def strange_name(path: Path) -> Path:
    node = helper.make_node("Cast", ["\x1b[31mwords"], ["y"], to=TensorProto.FLOAT)
    return written(path, [node], {"\x1b[31mwords": (TensorProto.STRING, (2,))})


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (text_input, "its input image is tensor(string), and only tensors of numbers can be fed"),
        (strange_name, "its input ?[31mwords is tensor(string)"),
        (bfloat16_input, "its input image is tensor(bfloat16)"),
        (sequence_input, "its input images is seq(tensor(float))"),
        (nine_channels, "the file leaves sizes open, and onnxruntime takes none of those tried: export it with fixed"),
    ],
)
def test_what_cannot_be_fed_is_refused_in_one_sentence(make: Any, expected: str, tmp_path: Path) -> None:
    path = make(tmp_path / "m.onnx")
    done = program(path, "--runtime", "onnxruntime", "--out", tmp_path / "r.csv")
    assert done.returncode == 2
    assert done.stderr.startswith(f"measure.py: m.onnx cannot be measured ({expected}")
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    assert not (tmp_path / "r.csv").exists()


def test_the_command_refuses_it_as_well(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ussearch", "bench", str(text_input(tmp_path / "m.onnx")), "--rounds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("ussearch: m.onnx cannot be measured (its input image is tensor(string)")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "shape", "expected"),
    [
        ("UINT8", (1, 1, 64, 64), {"type": "uint8", "shape": [1, 1, 64, 64], "chosen": []}),
        ("FLOAT16", (1, 1, 64, 64), {"type": "float16", "shape": [1, 1, 64, 64], "chosen": []}),
        ("INT64", (1, 1, 64, 64), {"type": "int64", "shape": [1, 1, 64, 64], "chosen": []}),
        ("BOOL", (1, 1, 64, 64), {"type": "bool", "shape": [1, 1, 64, 64], "chosen": []}),
        ("FLOAT", ("n", 3, "h", "w"), {"type": "float32", "shape": [1, 3, 256, 256], "chosen": [0, 2, 3]}),
    ],
)
def test_the_command_names_what_it_fed(kind: str, shape: Sizes, expected: dict[str, Any], tmp_path: Path) -> None:
    path = taking(tmp_path / "m.onnx", TensorProto.DataType.Value(kind), shape)
    arguments = ["bench", str(path), "--rounds", "1", "--seconds", "0.1", "--profile", "raspberry-pi-5"]
    shown = json.loads(CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False).stdout)
    assert shown["inputs"] == [{"name": "image", **expected}]
    assert shown["latency_ms"] > 0 and shown["prediction"]["latency_ms"] > 0
    text = CliRunner().invoke(app, arguments, catch_exceptions=False).output
    assert f"Fed: image {expected['type']} " in text
    assert ("1x256x256 chosen, open in the file" in text) == bool(expected["chosen"])


def test_a_prediction_is_that_of_the_sizes_that_were_fed(tmp_path: Path) -> None:
    device = load_profile("raspberry-pi-5")
    static = convolution(tmp_path / "static.onnx", (1, 3, 256, 256), 3)
    dynamic = convolution(tmp_path / "dynamic.onnx", ("n", 3, "h", "w"), 3)
    assert predict_file(dynamic, device, fed(dynamic)[1]) == predict_file(static, device)


TRTEXEC = """#!/bin/sh
echo '[11/21/2026-10:00:00] [W] Dynamic dimensions required for input: image, but no shapes were provided. \
Automatically overriding shape to: SHAPE' >&2
echo '[11/21/2026-10:00:02] [I] GPU Compute Time: min = 1.1 ms, max = 1.3 ms, mean = 1.2 ms, median = 1.2 ms'
exit STATUS
"""


@pytest.mark.parametrize(
    ("shape", "status", "expected"),
    [
        ("1x3x256x256", 0, "image 1x3x256x256 (1 chosen, open in the file)"),
        ("1x3x1x1", 0, None),
        ("1x3x1x1", 1, None),
        ("1x1x1x3", 0, None),
    ],
)
def test_trtexec_s_own_choice_of_sizes_is_named_and_one_pixel_refused(
    shape: str, status: int, expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "trtexec"
    fake.write_text(TRTEXEC.replace("\\\n", "").replace("SHAPE", shape).replace("STATUS", str(status)))
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    done = program(convolution(tmp_path / "m.onnx", ("n", 3, "h", "w"), 3), "--out", tmp_path / "r.csv")
    if expected is None:
        assert done.returncode == 2
        assert f"m.onnx leaves sizes open, and trtexec takes {shape}: export it with fixed sizes." in done.stderr
        assert not (tmp_path / "r.csv").exists()
    else:
        assert done.returncode == 0, done.stderr
        assert next(csv.DictReader((tmp_path / "r.csv").read_text().splitlines()))["inputs"] == expected


@pytest.mark.shared
@pytest.mark.slow
def test_files_as_other_tools_write_them(shared: Path, tmp_path: Path) -> None:
    maker = shared / "cases" / "21-foreign-onnx" / "make.py"
    subprocess.run([sys.executable, str(maker), str(tmp_path)], check=True, capture_output=True, timeout=300)
    session = onnxruntime.SessionOptions()
    session.log_severity_level = 4
    refused = set()
    for path in tmp_path.glob("*.onnx"):
        try:
            onnxruntime.InferenceSession(str(path), session, providers=["CPUExecutionProvider"])
        except Exception:
            refused.add(path.stem)
        else:
            fed(path)
    assert refused == {"custom_op", "empty", "ext_lost", "lfs_pointer"}
