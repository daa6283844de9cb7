"""Weights of an earlier study or bundle know which images taught them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ussearch import schema
from ussearch.datasets import ImageSet, split
from ussearch.pairs.bundles.bundle import write_split
from ussearch.studies.earlier_training import judged_and_trained, keeps_apart, split_beside

COUNT = 40


@pytest.fixture
def images() -> ImageSet:
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, 1, 8, 8), np.uint8)
    digests = np.random.default_rng(1).integers(0, 256, (COUNT, 32), np.uint8)
    ids, nothing = tuple(map(str, range(COUNT))), (None,) * COUNT
    return ImageSet(
        pixels, pixels > 128, ids, nothing, nothing, np.arange(COUNT), "f" * 64, "made", "plain", 8, digests=digests
    )


def weights_in(folder: Path) -> Path:
    path = folder / "finalists" / "0004" / "weights.safetensors"
    path.parent.mkdir(parents=True)
    path.touch()
    return path


def expected(first: ImageSet, second: ImageSet) -> int:
    earlier, now = split(first, seed=0), split(second, seed=1)
    taught = {first.ids[index] for index in (*earlier.train, *earlier.validation)}
    return sum(second.ids[index] in taught for index in now.test)


def test_a_study_knows_its_images_by_their_numbers(images: ImageSet, tmp_path: Path) -> None:
    weights = weights_in(tmp_path)
    (tmp_path / "split.json").write_text(schema.SPLIT.to_json(split(images, seed=0).to_record(images)))
    assert split_beside(weights) == tmp_path / "split.json"
    assert judged_and_trained(weights, images, split(images, seed=1)) == expected(images, images) > 0
    assert keeps_apart(weights, split(images, seed=1)) == tmp_path / "split.json"
    assert judged_and_trained(weights, images, split(images, seed=0)) == 0
    other = replace(images, fingerprint="e" * 64)
    assert judged_and_trained(weights, other, split(other, seed=1)) == 0


def test_a_bundle_knows_them_one_by_one_in_any_order(images: ImageSet, tmp_path: Path) -> None:
    weights = weights_in(tmp_path)
    write_split(tmp_path, split(images, seed=0), images)
    order = np.random.default_rng(2).permutation(COUNT)
    assert images.digests is not None
    other = replace(
        images, ids=tuple(map(str, order)), digests=images.digests[order], images=images.images[order], fingerprint="e"
    )
    assert judged_and_trained(weights, other, split(other, seed=1)) == expected(images, other) > 0
    assert keeps_apart(weights, split(other, seed=1)) is None, "no run on other data can go by that split"


@pytest.mark.parametrize("text", [None, "{", "{}"])
def test_without_a_split_nothing_is_known(images: ImageSet, tmp_path: Path, text: str | None) -> None:
    weights = weights_in(tmp_path)
    if text is not None:
        (tmp_path / "split.json").write_text(text)
    assert judged_and_trained(weights, images, split(images, seed=1)) == 0
