"""Prepared arrays: right, kept, rebuilt when damaged, and safe when several processes want them."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ussearch.datasets import ImageSet, open_dataset, phantom_dataset, prepare, read_image, resize_image
from ussearch.datasets import preparation as module
from ussearch.errors import UserError


def entry(cache: Path) -> Path:
    (folder,) = [path for path in (cache / "prepared").iterdir() if not path.name.startswith(".")]
    return folder


def refuse(*_: object) -> None:
    pytest.fail("built again")


def test_arrays_hold_the_resized_files(busi: Path, tmp_path: Path) -> None:
    image_set = prepare(open_dataset(busi), 32, tmp_path)
    assert image_set.images.shape == image_set.masks.shape == (12, 1, 32, 32)
    assert image_set.images.dtype == image_set.masks.dtype == np.uint8
    assert isinstance(image_set.images, np.memmap) and not image_set.images.flags.writeable
    for index, identity in enumerate(image_set.ids):
        expected = resize_image(read_image(busi / identity), 32, 32)
        assert np.array_equal(image_set.images[index, 0], expected)
    assert image_set.labels.count("normal") == 2
    assert image_set.has_lesion.tolist() == [label != "normal" for label in image_set.labels]
    assert len(np.unique(image_set.groups)) == 12


def test_second_call_reads_the_cache(busi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare(open_dataset(busi), 32, tmp_path)
    monkeypatch.setattr(module, "_decoded", refuse)
    second = prepare(open_dataset(busi), 32, tmp_path)
    assert np.array_equal(first.images, second.images)
    assert first.fingerprint == second.fingerprint
    with pytest.raises(pytest.fail.Exception):
        prepare(open_dataset(busi), 48, tmp_path)


def test_fingerprint_is_of_content_not_of_place_size_or_time(plain: Callable[[int], Path], tmp_path: Path) -> None:
    root = plain(4)
    first = prepare(open_dataset(root), 32, tmp_path).fingerprint
    os.utime(root / "images/scan000.png", (1, 1))
    moved = root.rename(root.with_name("moved"))
    assert prepare(open_dataset(moved), 48, tmp_path).fingerprint == first
    times = (moved / "images/scan000.png").stat()
    pixels = read_image(moved / "images/scan000.png")
    pixels[0, 0] ^= 255
    Image.fromarray(pixels).save(moved / "images/scan000.png")
    os.utime(moved / "images/scan000.png", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert prepare(open_dataset(moved), 32, tmp_path).fingerprint != first


@pytest.mark.parametrize("name", ["images.npy", "masks.npy", "thumbnails.npy", "record.json"])
@pytest.mark.parametrize("damage", ["cut", "flip", "remove", "empty"])
def test_damaged_entries_are_rebuilt(busi: Path, tmp_path: Path, name: str, damage: str) -> None:
    good = np.array(prepare(open_dataset(busi), 32, tmp_path).images)
    file = entry(tmp_path) / name
    content = bytearray(file.read_bytes())
    if damage == "remove":
        file.unlink()
    else:
        content[-1] ^= 1
        file.write_bytes({"cut": content[: len(content) // 2], "flip": content, "empty": b""}[damage])
    assert np.array_equal(prepare(open_dataset(busi), 32, tmp_path).images, good)
    assert np.array_equal(np.load(entry(tmp_path) / "images.npy"), good)
    assert len(list((tmp_path / "prepared").iterdir())) == 1


def test_a_crash_while_writing_leaves_no_entry(busi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(np, "save", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            prepare(open_dataset(busi), 32, tmp_path)
    assert not list((tmp_path / "prepared").iterdir())
    assert len(prepare(open_dataset(busi), 32, tmp_path)) == 12


def _prepare_in_child(root: Path, cache: Path) -> int:
    return int(prepare(open_dataset(root), 32, cache).images.astype(int).sum())


def test_concurrent_writers_agree(busi: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    with context.Pool(4) as pool:
        sums = pool.starmap(_prepare_in_child, [(busi, tmp_path)] * 8)
    assert len(set(sums)) == 1
    assert len(list((tmp_path / "prepared").iterdir())) == 1


def test_unwritable_cache_is_named(busi: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"Cannot write the cache .*USSEARCH_CACHE_DIR"):
        prepare(open_dataset(busi), 32, tmp_path / "file")


def test_damaged_hash_index_only_costs_time(busi: Path, tmp_path: Path) -> None:
    first = prepare(open_dataset(busi), 32, tmp_path)
    indices = list((Path(os.environ["USSEARCH_CACHE_DIR"]) / "hashes").iterdir())
    assert indices
    for content in (b"{", b"[]", b'{"a": 3}', b""):
        for path in indices:
            path.write_bytes(content)
        assert prepare(open_dataset(busi), 32, tmp_path).fingerprint == first.fingerprint


def test_bad_files_are_named_with_their_mend(busi: Path, tmp_path: Path) -> None:
    image, mask = busi / "benign/benign (2).png", busi / "benign/benign (3)_mask.png"
    intact = image.read_bytes()
    image.write_bytes(intact[: len(intact) // 2])
    with pytest.raises(UserError, match=r"benign \(2\)\.png cannot be read as an image .*: replace it"):
        prepare(open_dataset(busi), 32, tmp_path)
    image.write_bytes(intact)
    Image.new("L", (10, 10)).save(mask)
    with pytest.raises(UserError, match=r"benign \(3\)_mask\.png is 10 x 10 pixels .* 48 x 40: export the mask"):
        prepare(open_dataset(busi), 32, tmp_path)
    assert not (tmp_path / "prepared").exists() or not list((tmp_path / "prepared").iterdir())


def test_all_masks_empty(plain: Callable[[int], Path], tmp_path: Path) -> None:
    root = plain(5)
    for mask in (root / "masks").iterdir():
        Image.new("L", (48, 40)).save(mask)
    with pytest.raises(UserError, match=r"All 5 masks of .*plain are empty .*scan000\.png.*; give masks"):
        prepare(open_dataset(root), 32, tmp_path)


@pytest.mark.parametrize("size", [0, -32, 5, 100_000])
def test_impossible_image_size(busi: Path, size: int) -> None:
    with pytest.raises(UserError, match=f"Image size {size} is not possible"):
        prepare(open_dataset(busi), size)


def test_phantoms_are_prepared_like_files(tmp_path: Path) -> None:
    def made(**changes: int) -> ImageSet:
        return prepare(phantom_dataset(**{"count": 3, "seed": 1, "image_size": 32, **changes}), 32, tmp_path)

    first = made()
    assert np.array_equal(first.images, made().images)
    assert first.fingerprint == made().fingerprint
    assert first.fingerprint != made(seed=2).fingerprint
    assert np.array_equal(made(count=5).images[:3], first.images)
