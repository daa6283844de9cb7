"""A profile of one's own: the draw of networks, the kit, and CSVs that are right, wrong or for another kit."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from typer.testing import CliRunner

from ussearch.cli.app import app
from ussearch.errors import UserError
from ussearch.hardware_profiles import check_onnx, load_profile, trace_kernels
from ussearch.hardware_profiles.calibration.calibrate import CalibrationRequest, calibrate
from ussearch.hardware_profiles.calibration.gaps import gaps_of
from ussearch.hardware_profiles.calibration.kit import FitRequest, KitRequest, fit, read_kit, write_kit
from ussearch.hardware_profiles.calibration.networks import draw_networks
from ussearch.hardware_profiles.calibration.profiles import save_profile
from ussearch.hardware_profiles.measuring import measure
from ussearch.hardware_profiles.validation import Coverage
from ussearch.serving.board import run_edge_source

COUNT = 12
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("board") / "kit"
    write_kit(KitRequest(folder, "raspberry-pi-4", COUNT, runner=run_edge_source()))
    return folder


@pytest.fixture(scope="module")
def rows(kit: Path) -> Rows:
    """What a board of three times the Pi 4's latencies would write."""
    board = load_profile("raspberry-pi-4").latency.times(3.0)
    facts = {"runtime": "onnxruntime", "runtime_version": "1.10.0", "provider": "CPUExecutionProvider"}
    facts |= {"precision": "fp32", "threads": "4", "machine": "A board"}
    return [
        {"model": f"{each.name}.onnx", "latency_ms": f"{board.total_ms(each.kernels):.4f}", **facts}
        for each in read_kit(kit).networks()
    ]


def write_csv(kit: Path, rows: Rows) -> Path:
    path = kit / "results.csv"
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, measure.COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def run_command(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(each) for each in arguments])


def test_the_same_seed_draws_the_same_networks_with_every_class() -> None:
    profile = load_profile("x86-server")
    first, again, other = (draw_networks(16, seed, profile) for seed in (0, 0, 1))
    assert [each.architecture.id for each in first] == [each.architecture.id for each in again]
    assert {each.architecture.id for each in first} != {each.architecture.id for each in other}
    classes = frozenset[str]().union(*(each.classes for each in first))
    assert {"conv", "depthwise_conv", "grouped_conv", "transposed_conv", "matmul", "dynamic_conv"} <= classes
    assert len({each.name for each in first}) == 16


@pytest.mark.parametrize("name", ["jetson-nano", "jetson-nano@tensorrt-fp16", "raspberry-pi-4@tflite-xnnpack-fp32"])
def test_ten_networks_settle_what_is_not_covered(name: str) -> None:
    profile = load_profile(name)
    before, networks = gaps_of(profile), draw_networks(10, 0, profile)
    assert before.extrapolated > 0.1
    assert list(before.classes) == sorted(before.classes, key=lambda gap: -gap.share)
    contained = Counter(name for network in networks for name in network.kernel_classes)
    validation = profile.validation
    assert validation is not None
    measured = {
        each: Coverage(*(a + b for a, b in zip(seen, (contained[each], contained[each]), strict=True)))
        for each in {*validation.coverage, *contained}
        for seen in [validation.coverage.get(each, Coverage(0, 0))]
    }
    after = gaps_of(profile.model_copy(update={"validation": validation.model_copy(update={"coverage": measured})}))
    assert after.extrapolated < 0.05 < before.classes[0].share + 0.05


@pytest.mark.parametrize("count", [3, 9, 25])
def test_too_few_and_too_many_networks_are_refused(count: int) -> None:
    with pytest.raises(UserError, match="10 to 24"):
        draw_networks(count, 0, load_profile("x86-server"))


def test_a_kit_holds_files_within_the_rules_of_its_board(kit: Path) -> None:
    manifest = read_kit(kit)
    assert len(manifest.models) == COUNT == len(list((kit / "models").glob("*.onnx")))
    assert (kit / "measure.py").read_text() == Path(measure.__file__).read_text()
    assert (kit / "run_edge.py").read_text() == run_edge_source()
    assert "ussearch profile fit" in (kit / "README.txt").read_text()
    for each in manifest.models[:3]:
        assert check_onnx(kit / "models" / f"{each.name}.onnx", load_profile("raspberry-pi-4")) == ()
        onnx.checker.check_model(onnx.load(kit / "models" / f"{each.name}.onnx"))


def test_its_networks_are_rebuilt_from_data_alone(kit: Path) -> None:
    network = read_kit(kit).networks()[0]
    shape = (1, 1, network.image_size, network.image_size)
    assert trace_kernels(network.module(), shape) == network.kernels


def test_a_kit_does_not_overwrite(kit: Path) -> None:
    with pytest.raises(UserError, match="not empty"):
        write_kit(KitRequest(kit, "raspberry-pi-4", COUNT))


def test_the_board_is_recovered_from_its_csv(kit: Path, rows: Rows, tmp_path: Path) -> None:
    path = write_csv(kit, rows)
    result = run_command("profile", "fit", path, "--name", "my-board", "--profiles-dir", tmp_path, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["validation"]["networks"] == COUNT
    mine = load_profile("my-board", [tmp_path])
    truth = load_profile("raspberry-pi-4").latency.times(3.0)
    for each in read_kit(kit).networks():
        assert mine.predict(each.kernels).latency_ms == pytest.approx(truth.total_ms(each.kernels), rel=0.02)
    assert (mine.device, mine.threads, mine.runtime) == ("A board", 4, "onnxruntime")
    assert mine.export == load_profile("raspberry-pi-4").export
    shown = run_command("profiles", "my-board", "--profiles-dir", tmp_path)
    assert shown.exit_code == 0 and "A board" in shown.output


def test_what_post_processing_takes_is_the_boards_where_it_was_measured(kit: Path, rows: Rows) -> None:
    like = load_profile("raspberry-pi-4")
    times = {"postprocessing_ms": "5.5", "postprocessing_call_ms": "1.5"}
    mine = fit(FitRequest(write_csv(kit, [{**row, **times} for row in rows]), "x")).profile
    assert mine.network_limit_ms(512) == pytest.approx(1000 / 24 - (1.5 + 4 * 4.0))
    assert mine.provenance["postprocessing"].basis == "measured"
    assert "results.csv" in mine.provenance["postprocessing"].source
    older = fit(FitRequest(write_csv(kit, rows), "x")).profile
    assert older.postprocessing == like.postprocessing
    assert older.provenance["postprocessing"] == like.provenance["postprocessing"]


def change(column: str, value: object) -> Callable[[Rows], Rows]:
    def apply(rows: Rows) -> Rows:
        new = value(rows[4][column]) if callable(value) else value
        return [*rows[:4], {**rows[4], column: new}, *rows[5:]]

    return apply


FAULTS: dict[str, tuple[Callable[[Rows], Rows], str]] = {
    "a missing row": (lambda rows: rows[:4] + rows[5:], "has no row for {model}"),
    "no rows": (lambda rows: [], "holds no rows"),
    "negative": (change("latency_ms", "-3"), "row 6 ({model}): latency_ms is '-3'"),
    "zero": (change("latency_ms", "0"), "row 6 ({model}): latency_ms is '0'"),
    "NaN": (change("latency_ms", "nan"), "row 6 ({model}): latency_ms is 'nan'"),
    "infinite": (change("latency_ms", "inf"), "row 6 ({model}): latency_ms is 'inf'"),
    "text": (change("latency_ms", "fast"), "row 6 ({model}): latency_ms is 'fast'"),
    "post-processing in words": (
        change("postprocessing_ms", "soon"),
        "row 6 ({model}): postprocessing_ms is 'soon'",
    ),
    "an unknown precision": (change("precision", "fp99"), "precision is 'fp99', expected one of fp32"),
    "threads in words": (change("threads", "four"), "threads is 'four', expected a whole number"),
    "another provider": (
        change("provider", "CUDAExecutionProvider"),
        "provider is 'CUDAExecutionProvider' for {model}",
    ),
    "empty": (change("latency_ms", ""), "row 6: the column 'latency_ms' is empty"),
    "seconds in one row": (change("latency_ms", lambda old: float(old) / 1000), "{model}: "),
    "seconds in all rows": (
        lambda rows: [{**row, "latency_ms": float(row["latency_ms"]) / 1000} for row in rows],
        "as if not in milliseconds",
    ),
    "a row twice": (lambda rows: [*rows, rows[4]], "({model}): the model is there twice"),
    "an unknown model": (change("model", "other.onnx"), "other.onnx: the kit has no such model"),
    "another file": (change("sha256", "00"), "{model}: another file was measured"),
    "another number of threads": (change("threads", "1"), "threads is '1' for {model}"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_csv_is_refused_with_its_row(fault: str, kit: Path, rows: Rows, tmp_path: Path) -> None:
    apply, expected = FAULTS[fault]
    path = write_csv(kit, apply(list(rows)))
    result = run_command("profile", "fit", path, "--name", "x", "--profiles-dir", tmp_path)
    assert isinstance(result.exception, UserError)
    assert expected.format(model=rows[4]["model"]) in str(result.exception)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "expected"), [(b"\xff\xfe\x00", "is no CSV"), (b"a,b\n1,2\n", "row 2: the column 'model'")]
)
def test_a_file_that_is_no_such_csv_is_refused(content: bytes, expected: str, kit: Path) -> None:
    (kit / "results.csv").write_bytes(content)
    with pytest.raises(UserError, match=expected):
        fit(FitRequest(kit / "results.csv", "x"))


def test_a_csv_without_its_kit_is_refused(rows: Rows, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"kit\.json cannot be read.*--kit"):
        fit(FitRequest(write_csv(tmp_path, rows), "x"))


@pytest.mark.parametrize("name", ["", "My Box", "../box", "a@b"])
def test_a_name_that_no_file_should_have_is_refused(name: str, kit: Path, rows: Rows) -> None:
    with pytest.raises(UserError, match="is no name for a profile"):
        fit(FitRequest(write_csv(kit, rows), name))


def test_a_profile_is_not_written_over_unless_told(kit: Path, rows: Rows, tmp_path: Path) -> None:
    made = fit(FitRequest(write_csv(kit, rows), "x"))
    save_profile(made.profile, tmp_path, replace=False)
    with pytest.raises(UserError, match="exists already"):
        save_profile(made.profile, tmp_path, replace=False)
    assert save_profile(made.profile, tmp_path, replace=True).exists()


def test_a_busy_machine_and_an_unsteady_clock_are_said(kit: Path, rows: Rows) -> None:
    disturbed = [{**rows[0], "busy": "0.4"}, {**rows[1], "spread": "0.5"}, *rows[2:]]
    busy, unsteady = fit(FitRequest(write_csv(kit, disturbed), "x")).warnings
    assert "busy with other work while 1 of 12" in busy
    assert rows[1]["model"] in unsteady


@pytest.mark.slow
def test_this_machine_is_calibrated_and_can_be_searched_for(tmp_path: Path) -> None:
    request = CalibrationRequest("here", networks=COUNT, rounds=1, seconds=0.2, runner=run_edge_source())
    made = calibrate(request)
    save_profile(made.profile, tmp_path, replace=False)
    assert made.profile.provenance["postprocessing"].basis == "measured"
    assert made.chosen.errors.keys() >= {"MACs alone", "three numbers", "prices of kernels"}
    result = run_command("run", "--profile", "here", "--profiles-dir", tmp_path, "--dry-run", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["edge_profile"] == "here"


@pytest.mark.slow
def test_ten_networks_of_a_board_like_a_profile_are_enough(tmp_path: Path) -> None:
    """A Jetson Nano of one's own, a tenth slower: the profile's shape is kept, and what it lacked is covered."""
    folder = tmp_path / "kit"
    write_kit(KitRequest(folder, "jetson-nano", 10))
    like = load_profile("jetson-nano")
    board = like.latency.times(1.1)
    networks = read_kit(folder).networks()
    facts = {"runtime": "onnxruntime", "provider": "CUDAExecutionProvider", "precision": "fp32", "machine": "My Nano"}
    measured = [
        {"model": f"{each.name}.onnx", "latency_ms": f"{board.total_ms(each.kernels):.4f}", **facts}
        for each in networks
    ]
    mine = fit(FitRequest(write_csv(folder, measured), "my-nano")).profile
    assert mine.runtime == like.runtime
    assert mine.validation is not None and like.validation is not None
    assert mine.validation.covered > like.validation.covered
    assert mine.validation.networks == 10
    assert gaps_of(mine).extrapolated < 0.05 < gaps_of(like).extrapolated
    other = [{**row, "precision": "fp16"} for row in measured]
    foreign = fit(FitRequest(write_csv(folder, other), "my-nano")).profile.validation
    assert foreign is not None and foreign.coverage.keys() < mine.validation.coverage.keys()
