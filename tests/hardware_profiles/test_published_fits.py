"""The published measurements must give the figures of docs/results/latency.md, and the profiles ship what they give."""

from __future__ import annotations

from pathlib import Path

import pytest

from ussearch.hardware_profiles import Roofline, load_profile

ROOT = Path(__file__).resolve().parents[2]
FEW_SEEDS = range(4)
NOISE = {"tau": 0.004, "MAPE": 0.4, "iso-MAC": 0.01}
"""What four seeds may differ from twenty by."""


pytestmark = pytest.mark.usefixtures("benchmarks_importable")


@pytest.fixture(scope="module")
def data(shared: Path) -> Path:
    return shared / "latency"


@pytest.mark.shared
def test_ten_networks_and_other_devices_predict_a_left_out_resolution(data: Path) -> None:
    from published import gates, protocol, yolobench

    bench = yolobench.load(data)
    for device, recipe in protocol.RECIPES.items():
        result = protocol.held_out(bench, device, recipe, bench.resolution, FEW_SEEDS)
        for gate in gates.yolobench_gates([gates.Judged(device, "with other devices", result, result)]):
            slack = NOISE[gate.figure]
            reached = gate.reached - slack if gate.lower_is_better else gate.reached + slack
            assert gates.Gate(gate.subject, gate.figure, reached, gate.must).passed, gate


@pytest.mark.slow
@pytest.mark.shared
def test_every_figure_of_yolobench_is_reached(data: Path) -> None:
    from published import gates

    rows = list(gates.judge_yolobench(data))
    assert [gate for gate in gates.yolobench_gates(rows) if not gate.passed] == []


@pytest.mark.shared
def test_no_prior_has_seen_a_network_that_is_tested(data: Path) -> None:
    from dataclasses import replace

    import numpy as np
    from published import protocol, yolobench

    bench = yolobench.load(data)
    tested = bench.resolution == "480"
    training = np.flatnonzero(~tested)
    hidden = {name: np.where(tested, np.nan, latency) for name, latency in bench.latency_ms.items()}
    without = replace(bench, latency_ms=hidden)
    device, recipe = "rk3588-npu", protocol.RECIPES["rk3588-npu"]
    predictions = [
        protocol.predict(each, device, recipe, protocol.priors(each, training, {"vim3-npu"}), training[:10])
        for each in (bench, without)
    ]
    assert np.array_equal(*predictions)


@pytest.mark.shared
def test_ten_cells_predict_the_others(data: Path) -> None:
    from published import gates

    assert [gate for gate in gates.cell_gates(list(gates.judge_cells(data))) if not gate.passed] == []


@pytest.mark.shared
def test_cells_have_the_published_counts(data: Path) -> None:
    from published import nasbench201, tables

    space = nasbench201.load(data)
    for row, cell in list(zip(tables.read_rows(data / "nasbench201.csv.gz"), space.cells, strict=True))[::50]:
        assert sum(kernel.macs for kernel in nasbench201.network_kernels(cell)) == int(row["macs_all"])
        assert (len(cell.convolutions), cell.pools) == (int(row["n3_all"]) + int(row["n1_all"]), int(row["npool_all"]))


def test_siblings_read_one_tensor() -> None:
    from published.nasbench201 import Cell

    cell = Cell.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|nor_conv_1x1~0|avg_pool_3x3~1|skip_connect~2|")
    assert (len(cell.convolutions), cell.merged, cell.siblings, cell.pools, cell.adds) == (4, 3, 2, 1, 3)


@pytest.mark.shared
def test_a_segmentation_network_is_predicted_from_other_data_of_the_board_and_from_two_sizes(data: Path) -> None:
    from published import gates

    assert [gate for gate in gates.segmentation_gates(data) if not gate.passed] == []


def test_the_formula_of_the_segmentation_network_is_that_of_resnet18() -> None:
    from published.segmentation import fcn_resnet18

    backbone = list(fcn_resnet18(224, 224))[:-2]
    assert sum(kernel.macs for kernel in backbone) == 1_814_073_344 - 512_000  # torchvision's, without its classifier


@pytest.mark.shared
def test_the_profiles_ship_what_the_program_fits(data: Path) -> None:
    from published import shipped

    for sample in shipped.samples(data, by_operator=False):
        profile = load_profile(sample.profile)
        assert isinstance(profile.latency, Roofline)
        assert not profile.latency.operators
        for key, value in shipped.common_prices(sample).items():
            assert getattr(profile.latency, key) == pytest.approx(value, rel=1e-4), (sample.profile, key)
        assert profile.validation is not None
        assert profile.validation.accuracy.tau >= profile.validation.macs_only.tau
