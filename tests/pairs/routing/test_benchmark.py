"""``benchmarks/routing.py``: its page comes from its tables alone."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ussearch.pairs.routing.features import feature_names
from ussearch.pairs.routing.samples import Samples

ROOT = Path(__file__).resolve().parents[3]
TABLES = ROOT / "benchmarks" / "data" / "routing"


@pytest.fixture(autouse=True)
def _benchmarks() -> Iterator[None]:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield
    sys.path.remove(str(ROOT / "benchmarks"))


def some_samples(count: int, seed: int) -> Samples:
    random = np.random.default_rng(seed)
    names = feature_names(bottleneck=True)
    hard = random.beta(1.5, 3, count)
    cloud = np.clip(random.normal(0.85, 0.08, count), 0, 1)
    edge = np.clip(cloud - 0.3 * hard + random.normal(0, 0.05, count), 0, 1)
    features = random.normal(size=(count, len(names)))
    features[:, 0] = -hard
    sdc = edge + random.normal(0, 0.2, count)
    ids = tuple(f"i{number}" for number in range(count))
    doubt = random.uniform(size=(2, count))
    return Samples(ids, np.arange(count), np.zeros(count, np.int64), edge, cloud, sdc, *doubt, features, names)


@pytest.mark.slow
def test_the_page_says_what_the_tables_hold(tmp_path: Path) -> None:
    from routed.page import page

    for seed in (0, 1):
        for part, count in (("out_of_fold", 120), ("calibration", 40), ("test", 310), ("shifted", 40)):
            some_samples(count, 10 * seed + len(part)).write(tmp_path / f"phantoms-{seed}" / f"{part}.csv")
    text = page(tmp_path)
    tests = [Samples.read(tmp_path / f"phantoms-{seed}" / "test.csv") for seed in (0, 1)]
    gains = np.concatenate([each.cloud_dice - each.edge_dice for each in tests])
    assert f"620 images; edge {np.concatenate([t.edge_dice for t in tests]).mean():.3f}" in text
    assert f"gap {100 * gains.mean():.1f} (" in text
    assert "A learned router ships." in text
    (kept,) = re.findall(r"^\| learned \| 300 \| 400 \|.*\| (yes|no) \|$", text, re.MULTILINE)
    assert kept == "yes"
    assert "on average, not per site" in text


def test_the_committed_figures_of_phantoms_are_those_of_the_committed_tables() -> None:
    from routed.figures import judged_parts
    from routed.page import on_phantoms
    from routed.runs import TEST

    assert on_phantoms(judged_parts(TABLES, TEST)) in (ROOT / "docs" / "results" / "routing.md").read_text("utf-8")


def test_a_tiny_seed_is_trained_and_scored_out_of_fold(tmp_path: Path) -> None:
    from routed.runs import Setting, run_phantoms
    from routed.sets import phantoms

    setting = Setting(tmp_path / "work", tmp_path / "tables", count=40, image_size=32, epochs=1)
    run_phantoms(setting, 0)
    images, split = phantoms(40, 32, 0)
    parts = {"out_of_fold": [*split.train, *split.validation], "calibration": split.calibration, "test": split.test}
    for name, chosen in parts.items():
        found = Samples.read(tmp_path / "tables" / "phantoms-0" / f"{name}.csv")
        assert sorted(found.ids) == sorted(images.ids[index] for index in chosen)
        assert np.isfinite(found.features).all()
        assert ((found.edge_dice >= 0) & (found.edge_dice <= 1)).all()


@pytest.mark.slow
def test_the_committed_page_is_that_of_the_committed_tables() -> None:
    from routed.page import page

    assert (ROOT / "docs" / "results" / "routing.md").read_text(encoding="utf-8") == page(TABLES)


@pytest.mark.slow
def test_one_tiny_seed_is_trained_and_continued(tmp_path: Path) -> None:
    size = ["--seeds", "1", "--count", "64", "--image-size", "64", "--epochs", "1"]
    places = ["--work", tmp_path / "work", "--tables", tmp_path / "tables", "--page", tmp_path / "page.md"]
    command = [sys.executable, ROOT / "benchmarks" / "routing.py", *size, *places]
    subprocess.run(command, check=True, capture_output=True, timeout=500)
    first = (tmp_path / "page.md").read_text()
    test = Samples.read(tmp_path / "tables" / "phantoms-0" / "test.csv")
    assert f"{len(test)} images; edge {test.edge_dice.mean():.3f}, cloud {test.cloud_dice.mean():.3f}" in first
    (tmp_path / "tables" / "phantoms-0" / "test.csv").unlink()
    subprocess.run(command, check=True, capture_output=True, timeout=500)
    assert (tmp_path / "page.md").read_text() == first
