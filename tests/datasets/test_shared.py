"""Real breast and fetal images, where they are beside the checkout."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ussearch.datasets import ImageSet, check, k_folds, leaking_groups_of, open_dataset, prepare, split

pytestmark = pytest.mark.shared


@pytest.fixture
def busi(shared: Path) -> ImageSet:
    return prepare(open_dataset(shared / "data" / "busi"), 64)


@pytest.fixture
def hc18(shared: Path) -> ImageSet:
    return prepare(open_dataset(shared / "data" / "hc18"), 64)


def brute_force_pairs(root: Path, ids: tuple[str, ...]) -> set[tuple[int, int]]:
    """Return pairs above 0.98 by numpy's own correlation of thumbnails made by Pillow's area filter."""
    small = [np.asarray(Image.open(root / name).convert("L").resize((32, 32), Image.Resampling.BOX)) for name in ids]
    table = np.corrcoef(np.stack(small).reshape(len(ids), -1))
    return {(int(i), int(j)) for i, j in np.argwhere(np.triu(table, 1) > 0.98)}


def test_busi_counts(shared: Path, busi: ImageSet) -> None:
    dataset = open_dataset(shared / "data" / "busi")
    assert dataset.reader == "busi"
    assert Counter(busi.labels) == {"benign": 437, "malignant": 210, "normal": 133}
    assert sum(len(sample.masks) > 1 for sample in dataset.samples) == 17
    assert [bool(lesion) for lesion in busi.has_lesion] == [label != "normal" for label in busi.labels]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_busi_near_duplicates_never_straddle(shared: Path, busi: ImageSet, seed: int) -> None:
    pairs = brute_force_pairs(shared / "data" / "busi", busi.ids)
    assert 150 <= len(pairs) <= 180
    for made in (split(busi, seed=seed), *k_folds(busi, 5, seed)):
        part_of = {index: part for part, indices in made.parts().items() for index in indices}
        assert len(part_of) == 780
        assert all(part_of[i] == part_of[j] for i, j in pairs)


def test_busi_split_comes_out_as_asked(busi: ImageSet) -> None:
    made = split(busi)
    for share, indices in zip((0.55, 0.10, 0.20, 0.15), made.parts().values(), strict=True):
        assert len(indices) / 780 == pytest.approx(share, abs=0.01)
        found = Counter(busi.labels[index] for index in indices)
        assert found["malignant"] / len(indices) == pytest.approx(210 / 780, abs=0.03)
        assert found["normal"] / len(indices) == pytest.approx(133 / 780, abs=0.03)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_busi_published_splits(shared: Path, busi: ImageSet, number: int) -> None:
    made = split(busi, split_file=shared / "data" / "busi" / "splits" / f"train{number}.txt")
    assert len(made.test) == 195
    assert len(made.train) + len(made.validation) + len(made.calibration) == 452
    assert "normal" not in {busi.labels[index] for part in made.parts().values() for index in part}
    assert made.leaking_groups  # published splits tear near-duplicates apart ...
    inner = [made.train, made.validation, made.calibration]
    assert not leaking_groups_of(busi.groups, inner)  # ... but what is divided here keeps them together
    assert len(made.train) / 452 == pytest.approx(0.55 / 0.85, abs=0.01)


def test_busi_check(shared: Path) -> None:
    report = check(open_dataset(shared / "data" / "busi"), shared / "data" / "busi" / "splits" / "train1.txt")
    assert report.sound and not report.problems
    assert 155 <= report.near_duplicate_pairs <= 170
    assert 240 <= sum(map(len, report.near_duplicates)) <= 260
    assert report.contradicting and report.leakage is not None and report.leakage.test_images_concerned > 10


def test_busi_is_prepared_within_seconds_and_then_at_once(shared: Path, tmp_path: Path) -> None:
    def prepared() -> float:
        start = time.process_time()
        prepare(open_dataset(shared / "data" / "busi"), 128, tmp_path)
        return time.process_time() - start

    assert prepared() < 15
    assert prepared() < 1


def test_hc18_fetuses_never_straddle(hc18: ImageSet) -> None:
    assert len(hc18) == 999 and hc18.has_lesion.all()
    assert len({*hc18.patients}) == 806
    for made in (split(hc18), split(hc18, seed=7), *k_folds(hc18, 4)):
        owners = [{Path(hc18.ids[index]).name.split("_")[0] for index in part} for part in made.parts().values()]
        assert sum(map(len, owners)) == len(set().union(*owners)) == 806


def test_hc18_annotations_are_filled_and_outlines_give_the_same(shared: Path, tmp_path: Path) -> None:
    from scipy import ndimage

    root = shared / "data" / "hc18" / "training_set"
    for name in ("000_HC", "010_2HC", "100_HC", "300_HC"):
        (tmp_path / f"{name}.png").write_bytes((root / f"{name}.png").read_bytes())
        solid = np.asarray(Image.open(root / f"{name}_Annotation.png")).astype(bool)
        curve = solid & ~ndimage.binary_erosion(solid)
        Image.fromarray((curve * 255).astype(np.uint8)).save(tmp_path / f"{name}_Annotation.png")
        dataset = open_dataset(tmp_path)
        mask = dataset.source.decode(next(s for s in dataset.samples if s.id == f"{name}.png"))[1].astype(bool)
        assert 2 * (mask & solid).sum() / (mask.sum() + solid.sum()) > 0.995
