"""Splits keep groups together, represent classes alike, and come out as asked."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from ussearch.datasets import ImageSet, Split, k_folds, leaking_groups_of, split
from ussearch.errors import UserError


def image_set(
    groups: Sequence[int],
    labels: Sequence[str | None] | None = None,
    empty: Sequence[bool] | None = None,
    ids: Sequence[str] | None = None,
    reader: str = "busi",
) -> ImageSet:
    count = len(groups)
    masks = np.ones((count, 1, 1, 1), np.uint8)
    if empty is not None:
        masks[np.asarray(empty, bool)] = 0
    return ImageSet(
        images=masks,
        masks=masks,
        ids=tuple(ids or (f"benign/benign ({index}).png" for index in range(count))),
        labels=tuple(labels or [None] * count),
        patients=(None,) * count,
        groups=np.asarray(groups, np.int64),
        fingerprint="f" * 64,
        name="made",
        reader=reader,
        image_size=1,
    )


def covers(made: Split, count: int) -> bool:
    return sorted(sum(made.parts().values(), ())) == list(range(count))


@given(st.lists(st.integers(0, 40), min_size=60, max_size=200), st.integers(0, 5))
def test_groups_stay_together_and_every_image_is_used_once(groups: list[int], seed: int) -> None:
    assume(len(set(groups)) >= 4)
    made = split(image_set(groups), seed=seed)
    assert covers(made, len(groups))
    assert all(made.parts().values())
    assert leaking_groups_of(np.array(groups), list(made.parts().values())) == ()
    assert made == split(image_set(groups), seed=seed)


@pytest.mark.parametrize("count", [20, 100, 647, 1000])
def test_default_shares_of_independent_images_are_exact(count: int) -> None:
    sizes = [len(part) for part in split(image_set(range(count))).parts().values()]
    assert np.abs(np.array(sizes) - np.array([0.55, 0.10, 0.20, 0.15]) * count).max() <= 1


def test_classes_and_empty_images_are_represented_alike() -> None:
    labels = ["benign"] * 437 + ["malignant"] * 210 + ["normal"] * 133
    made = split(image_set(range(780), labels, [label == "normal" for label in labels]), seed=3)
    for share, indices in zip((0.55, 0.10, 0.20, 0.15), made.parts().values(), strict=True):
        found = Counter(labels[index] for index in indices)
        for label, total in Counter(labels).items():
            assert abs(found[label] - share * total) <= 2


@pytest.mark.parametrize(
    "sizes",
    [[10] * 60, [40, 30, 20, 10] + [1] * 100, [7] * 30 + [3] * 30, [60] + [2] * 70],
    ids=["tens", "few large", "sevens and threes", "one huge"],
)
def test_heavily_duplicated_sets_come_out_near_what_was_asked(sizes: list[int]) -> None:
    groups = np.repeat(np.arange(len(sizes)), sizes)
    made = split(image_set(groups.tolist()))
    shares = np.array([len(part) for part in made.parts().values()]) / len(groups)
    assert np.abs(shares - np.array([0.55, 0.10, 0.20, 0.15])).max() < 0.02
    assert not leaking_groups_of(groups, list(made.parts().values()))


def test_a_group_larger_than_every_part_leaves_images_for_the_others() -> None:
    groups = [0] * 70 + list(range(1, 31))
    made = split(image_set(groups))
    assert set(range(70)) <= set(made.train)
    assert all(len(part) >= 4 for part in made.parts().values())


def test_seeds_differ_and_few_groups_still_fill_all_parts() -> None:
    assert split(image_set(range(100)), seed=0) != split(image_set(range(100)), seed=1)
    assert all(len(part) == 1 for part in split(image_set([0, 1, 2, 3])).parts().values())
    with pytest.raises(UserError, match=r"made cannot be split: 3 independent groups cannot fill 4 parts .*; add"):
        split(image_set([0, 0, 1, 1, 2, 2]))


def test_parts_that_are_not_wanted_stay_empty() -> None:
    made = split(image_set(range(50)), (0.8, 0.0, 0.0, 0.2))
    assert [len(part) for part in made.parts().values()] == [40, 0, 0, 10]


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.5, 0.1, 0.1, 0.1), (0, 0.5, 0.3, 0.2), (1.2, -0.2, 0, 0)])
def test_impossible_fractions(fractions: tuple[float, ...]) -> None:
    with pytest.raises(UserError, match=r"Fractions .* are not possible: expected four"):
        split(image_set(range(50)), fractions)


def test_k_folds_test_every_image_once() -> None:
    groups = np.repeat(np.arange(40), 3)
    folds = k_folds(image_set(groups.tolist()), 5, seed=1)
    assert len(folds) == 5
    assert sorted(index for fold in folds for index in fold.test) == list(range(120))
    for fold in folds:
        assert covers(fold, 120)
        assert 21 <= len(fold.test) <= 27
        assert not leaking_groups_of(groups, list(fold.parts().values()))
    with pytest.raises(UserError, match="1 folds are not possible"):
        k_folds(image_set(range(10)), 1)


def test_record_survives_json_and_damage_is_told() -> None:
    made = split(image_set(range(30)))
    assert Split.from_record(json.loads(json.dumps(made.to_record()))) == made
    record = made.to_record()
    del record["unused"]  # as older versions wrote it
    assert Split.from_record(record) == made
    del record["indices"]["test"]
    with pytest.raises(UserError, match="record of a split is damaged"):
        Split.from_record(record)


NAMES = [f"benign/benign ({number}).png" for number in range(1, 41)]


@pytest.fixture
def named() -> ImageSet:
    return image_set([0, 0, *range(2, 40)], ids=NAMES)


def write_list(file: Path, numbers: Sequence[int]) -> Path:
    file.write_text("".join(f"benign ({number})\n" for number in numbers))
    return file


def check_published(made: Split, named: ImageSet, train: set[int], test: set[int]) -> None:
    assert {index + 1 for index in made.test} == test
    rest = [*made.train, *made.validation, *made.calibration]
    assert {index + 1 for index in rest} == train
    assert made.validation and made.calibration and len(made.train) > len(rest) / 2
    assert made.fingerprint == named.fingerprint


@pytest.mark.parametrize("given_as", ["train1.txt", "val1.txt"])
def test_lists_find_their_siblings_and_the_second_list_judges(tmp_path: Path, named: ImageSet, given_as: str) -> None:
    write_list(tmp_path / "train1.txt", range(1, 29))
    write_list(tmp_path / "val1.txt", range(29, 39))
    write_list(tmp_path / "val2.txt", range(1, 5))
    made = split(named, split_file=tmp_path / given_as)
    check_published(made, named, set(range(1, 29)), set(range(29, 39)))
    assert 38 not in sum(made.parts().values(), ())  # images that no list names are left out, and told
    assert made.unused == (38, 39)
    assert made.unused_told == f"2 images are in no part of {given_as} and are not used"


def test_a_list_alone_trains_and_all_others_judge(tmp_path: Path, named: ImageSet) -> None:
    made = split(named, split_file=write_list(tmp_path / "mine.txt", range(1, 31)))
    check_published(made, named, set(range(1, 31)), set(range(31, 41)))


@pytest.mark.parametrize("name", ["s.yaml", "s.yml", "s.json"])
@pytest.mark.parametrize("second", ["test", "val"])
def test_mappings(tmp_path: Path, named: ImageSet, name: str, second: str) -> None:
    content = {"train": NAMES[:30], second: [Path(entry).stem for entry in NAMES[30:]], "comment": "ours"}
    (tmp_path / name).write_text(json.dumps(content) if name.endswith("json") else yaml.safe_dump(content))
    check_published(split(named, split_file=tmp_path / name), named, set(range(1, 31)), set(range(31, 41)))


def test_all_parts_given_are_taken_as_they_are(tmp_path: Path, named: ImageSet) -> None:
    made = split(named, seed=4)
    (tmp_path / "split.json").write_text(json.dumps(made.to_record(named)))
    again = split(named, split_file=tmp_path / "split.json")
    assert again.parts() == made.parts()
    assert again.leaking_groups == ()


def test_torn_groups_of_a_published_split_are_reported(tmp_path: Path, named: ImageSet) -> None:
    (tmp_path / "s.yaml").write_text(yaml.safe_dump({"train": NAMES[1:30], "test": [NAMES[0], *NAMES[30:]]}))
    made = split(named, split_file=tmp_path / "s.yaml")
    assert made.leaking_groups == ((NAMES[0], NAMES[1]),)
    assert Split.from_record(made.to_record()).leaking_groups == made.leaking_groups


@given(st.integers(0, 8), st.integers(1, 9), st.sampled_from(["yaml", "record"]))
def test_images_in_no_part_are_told(absent: int, judging: int, way: str) -> None:
    images = image_set(range(40), ids=NAMES)
    content = {"train": NAMES[absent : 40 - judging], "test": NAMES[40 - judging :]}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "s.yaml"
        file.write_text(yaml.safe_dump(content))
        made = split(images, split_file=file)
        if way == "record":
            (Path(folder) / "split.json").write_text(json.dumps(made.to_record()))
            made = split(images, split_file=Path(folder) / "split.json")
    assert made.unused == tuple(range(absent))
    assert Split.from_record(json.loads(json.dumps(made.to_record(images)))) == made
    assert (made.unused_told is None) == (absent == 0) and split(images).unused == ()


@pytest.mark.parametrize("second", ["val", None])
def test_a_test_part_of_the_data_set_stays_where_a_file_divides_the_rest(tmp_path: Path, second: str | None) -> None:
    images = replace(image_set(range(40), ids=NAMES), parts=("train",) * 28 + ("test",) * 12)
    content = {"train": NAMES[:18]} | ({second: NAMES[18:25]} if second else {})
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(content))
    made = split(images, split_file=tmp_path / "s.yaml")
    assert made.test == tuple(range(28, 40))
    assert set(made.train) < set(range(18)) and made.calibration and made.validation
    assert not second or made.validation == tuple(range(18, 25))
    assert made.unused == tuple(range(25 if second else 18, 28))
    assert made.source.startswith("s.yaml, test part of made itself")
    (tmp_path / "s.yaml").write_text(yaml.safe_dump({"train": NAMES[:18], "val": NAMES[18:30]}))
    assert split(images, split_file=tmp_path / "s.yaml").test == tuple(range(18, 30))  # a file counts more


def test_numbers_of_tn3k_count_files_of_trainval(tmp_path: Path) -> None:
    ids = [f"trainval-image/{n:04d}.jpg" for n in range(12)] + [f"test-image/{n:04d}.jpg" for n in range(4)]
    (tmp_path / "tn3k-trainval-fold0.json").write_text(json.dumps({"train": list(range(9)), "val": [9, 10, 11]}))
    made = split(image_set(range(16), ids=ids, reader="tn3k"), split_file=tmp_path / "tn3k-trainval-fold0.json")
    assert made.test == (9, 10, 11)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "benign (1)\nbenign (99)\n", r"names 'benign \(99\)', which is not in the data set"),
        ("a.json", "{", "neither JSON nor YAML"),
        ("a.yaml", "- benign (1)", "has no parts"),
        ("a.yaml", "train: benign (1)", "gives train as str: expected a list"),
        ("a.yaml", "test: ['benign (1)']", "gives no train part"),
        ("a.yaml", "{train: ['benign (1)'], test: ['benign (1).png']}", "in train and in test: keep it in one"),
        ("a.txt", "", "gives no train part"),
    ],
)
def test_unusable_split_files(tmp_path: Path, named: ImageSet, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        split(named, split_file=tmp_path / name)


def test_missing_binary_and_ambiguous_split_files(tmp_path: Path, named: ImageSet) -> None:
    with pytest.raises(UserError, match=r"no\.txt does not exist"):
        split(named, split_file=tmp_path / "no.txt")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\x00\x81\x00")
    with pytest.raises(UserError, match="cannot be read as text"):
        split(named, split_file=tmp_path / "b.txt")
    twice = image_set(range(10), ids=[f"{folder}/x{n}.png" for folder in "ab" for n in range(5)])
    (tmp_path / "c.txt").write_text("x1\n")
    with pytest.raises(UserError, match=r"names 'x1', .* 2 images: give paths"):
        split(twice, split_file=tmp_path / "c.txt")
