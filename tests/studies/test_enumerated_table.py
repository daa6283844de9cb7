"""The committed table of the search benchmark: complete, of the sub-space it claims, and ranked alike by both seeds."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

from ussearch.search_spaces import FreeSpace

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_every_point_is_another_network_of_the_standard_space_and_trained_twice() -> None:
    from enumerated.subspace import IMAGE_SIZE, architecture_of, points
    from enumerated.table import SEEDS, read

    rows = read()
    architectures = [architecture_of(point) for point in points()]
    assert 300 <= len({architecture.id for architecture in architectures}) == len(points()) <= 400
    assert {(row["point"], row["seed"]) for row in rows} == {(n, s) for n in range(len(points())) for s in SEEDS}
    assert len(rows) == len(SEEDS) * len(points())
    assert all(row["architecture"] == architectures[row["point"]].id for row in rows)
    space = FreeSpace.standard(IMAGE_SIZE)
    assert all(space.contains(architecture) for architecture in architectures[::40])


def test_seeds_agree_well_enough_to_rank() -> None:
    from enumerated.table import read

    dice = {(row["point"], row["seed"]): row["objective"] for row in read()}
    first, second = ([dice[number, seed] for number in range(len(dice) // 2)] for seed in "AB")
    assert kendalltau(first, second).statistic >= 0.6
    assert np.corrcoef(first, second)[0, 1] < 1  # two trainings, not one


def test_a_row_is_added_whole_and_training_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from enumerated import table

    assert "enumerated" in sys.modules
    path = tmp_path / "table.csv"
    monkeypatch.setattr(table, "RECIPE", table.RECIPE.model_copy(update={"epochs": 1}))
    monkeypatch.setattr(table, "PHANTOMS", table.PHANTOMS.model_copy(update={"count": 12}))
    monkeypatch.setattr(table, "TRAINED_ON", 8)
    jobs = list(table._jobs())
    monkeypatch.setattr(table, "_jobs", lambda: iter(jobs[:3]))
    table.train_part(1, 2, path)
    assert [(row["point"], row["seed"]) for row in table.read(path)] == [(job.point, job.seed) for job in jobs[:3:2]]
    whole = path.read_text()
    path.write_text(whole[: whole.rindex(",")] + ",\n")  # as if the last figure had never been written
    table.train_part(1, 1, path)
    done = [(row["point"], row["seed"]) for row in table.read(path)]
    assert sorted(done) == sorted((job.point, job.seed) for job in jobs[:3])
