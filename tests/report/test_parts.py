"""The data behind progress, importance, pictures, compression and the figures of the front."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.report.conftest import make_material, make_record
from tests.studies.conftest import EDGE, SPACE
from ussearch.compress import Compression, Measures, SpeedComparison, StepRecord
from ussearch.compress.waterfall import rows
from ussearch.evaluators.metrics.paired_bootstrap import Change
from ussearch.report import candidates
from ussearch.report.compression import waterfall
from ussearch.report.data_card import data_card
from ussearch.report.front import front_figure
from ussearch.report.importance import importance
from ussearch.report.parallel import parallel_figure
from ussearch.report.plotting import PlotFrame
from ussearch.report.progress import progress
from ussearch.report.reproduction import reproduction
from ussearch.report.segmentations import picture, svg_outline
from ussearch.studies import front_hypervolume
from ussearch.studies.front_picture import Point, front_picture


def test_progress_is_the_hypervolume_of_all_trials_so_far(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    records = [make_record(trial_id, random.random(), 50 * random.random()) for trial_id in range(12)]
    records.append(make_record(12, 0.99, fidelity="trained 1 of 9 epochs"))
    found = progress(make_material(tmp_path / "s", records))
    expected = [front_hypervolume(records[:count], EDGE, 64) for count in range(1, 13)]
    assert [step.hypervolume for step in found] == pytest.approx(expected)
    assert [step.trial_id for step in found] == list(range(12))


@pytest.mark.slow
def test_the_choice_that_decides_is_the_most_important(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    records = []
    for trial_id in range(32):
        choices = {name: values[random.integers(len(values))] for name, values in SPACE.choices.items()}
        objective = 0.5 + 0.1 * SPACE.choices["width_1"].index(choices["width_1"]) + 0.01 * random.random()
        records.append(make_record(trial_id, objective, 10 + random.random(), choices=choices))
    report_data = make_material(tmp_path / "s", records)
    found = importance(report_data)
    assert max(found.objective, key=lambda name: found.objective[name]) == "width_1"
    assert sum(found.objective.values()) == pytest.approx(1.0) and found.trials == 32
    assert not importance(report_data, fewest=33).enough


def test_a_contour_goes_along_the_edges_of_the_pixels() -> None:
    mask = np.zeros((9, 9))
    mask[2:5, 0:4] = 1
    numbers = np.array([float(each) for each in re.findall(r"-?\d+\.\d", svg_outline(mask, 0.5))]).reshape(-1, 2)
    assert (numbers[:, 0].min(), numbers[:, 0].max()) == (0.0, 4.0)
    assert (numbers[:, 1].min(), numbers[:, 1].max()) == (2.0, 5.0)
    assert svg_outline(np.zeros((9, 9)), 0.5) == ""


def test_a_picture_is_the_image() -> None:
    pixels = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    kind, content = picture(pixels).split(",")
    assert kind == "data:image/webp;base64"
    again = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("L"), dtype=int)
    assert again.shape == (64, 64) and np.abs(again - pixels).mean() < 4


def test_the_front_shows_every_point_once_and_hollow_where_extrapolated(tmp_path: Path) -> None:
    records = [make_record(0, 0.7), make_record(1, 0.6, 20.0), make_record(2, 0.8, 90.0)]
    figure = front_figure(front_picture(make_material(tmp_path / "s", records).report), ties=(1,))
    points = [trace for trace in figure["data"] if trace["mode"] == "markers" and "tie" not in trace["name"]]
    assert sorted(trial_id for trace in points for trial_id in trace["customdata"]) == [0, 1, 2]
    assert all(symbol.endswith(("-open", "-thin")) for trace in points for symbol in trace["marker"]["symbol"])
    (ring,) = [trace for trace in figure["data"] if "tie" in trace["name"]]
    assert ring["customdata"] == [1]
    limit = next(shape for shape in figure["layout"]["shapes"] if shape["type"] == "rect")
    assert limit["x0"] == EDGE.network_limit_ms(64)


def test_names_know_where_points_are() -> None:
    frame = PlotFrame(left=0.0, right=2.0, low=0.0, high=1.0, width=200.0, height=100.0)
    point = Point(trial_id=0, name="a", latency_ms=10.0, dice=0.5, fit="edge", on_front=True, extrapolated=False)
    box = frame.around(point, 5, 0, 10, 10)
    assert (box.left, box.right, box.low, box.high) == (100.0, 110.0, 45.0, 55.0)
    assert box.overlaps(frame.around(point, 14, 0, 10, 10)) and not box.overlaps(frame.around(point, 16, 0, 10, 10))


def test_parallel_axes_run_from_the_least_to_the_most(tmp_path: Path) -> None:
    report = make_material(
        tmp_path / "s", [make_record(0, 0.7, 1.0), make_record(1, 0.6, 10.0), make_record(2, 0.5, 100.0)]
    ).report
    lines = {
        line["customdata"][0]: line for line in parallel_figure([report.row(each) for each in report.records])["data"]
    }
    assert [lines[trial_id]["y"][0] for trial_id in (0, 1, 2)] == pytest.approx([0.0, 0.5, 1.0])  # logarithmic
    place = lines[0]["x"].index("lesion<br>Dice")
    assert [lines[trial_id]["y"][place] for trial_id in (0, 1, 2)] == pytest.approx([1.0, 0.5, 0.0])
    assert "false<br>positives" not in lines[0]["x"]  # no empty image


def test_a_data_card_without_images_counts_the_split(tmp_path: Path) -> None:
    card = data_card(make_material(tmp_path / "s", []))
    assert {part.part: part.images for part in card.parts} == {"train": 2, "validation": 1, "calibration": 1, "test": 1}
    assert card.groups is None and card.fingerprint == "f" * 64


def test_reproduction_names_what_results_depend_on(tmp_path: Path) -> None:
    found = dict(reproduction(make_material(tmp_path / "s", [make_record(0, 0.7)], workers=1)))
    assert found["seed"] == "7" and "f" * 64 in found["data"] and "torch" in found["versions"]


def test_a_waterfall_has_a_bar_for_every_figure() -> None:
    chain = Compression(
        profile="jetson-nano",
        architecture_id="a",
        architecture="a",
        records=(StepRecord(step="prune", before=measures(2048), kept=False, reason="<not> tried"),),
        start=measures(2048),
        end=measures(1024),
        speed=SpeedComparison(before_ms=10.0, after_ms=5.0, ratio=0.5, source="made up"),
        change=Change(images=1, mean=-0.01, low=-0.02, high=0.0, fifth_percentile=-0.02),
        form="fuse, quantise",
    )
    html = waterfall(rows(chain))
    assert html.count('class="bar"') == 5  # Dice and KiB of the start; Dice, latency and KiB of the end
    assert "width:50.0%" in html and "-0.010<br>-0.020 to +0.000" in html and "0.50 (5.0 ms)" in html
    assert "&lt;not&gt; tried" in html


def measures(file_bytes: int) -> Measures:
    return Measures(precision="fp32", dice=(0.8, 0.6), file_bytes=file_bytes, macs=1, parameters=1)


def test_the_script_reads_what_the_page_holds(tmp_path: Path) -> None:
    report_data = make_material(tmp_path / "s", [make_record(0, 0.5)])
    card = candidates.cards(report_data, None, {})["0"]
    curve = candidates.curve(report_data.good[0].evaluation.history)
    script = (Path(candidates.__file__).parent / "assets" / "report.js").read_text(encoding="utf-8")
    for word, keys in {"card": card.keys(), "columns": curve.keys()}.items():
        read = set(re.findall(rf"\b{word}\.(\w+)", script))
        assert read and read <= set(keys), word
