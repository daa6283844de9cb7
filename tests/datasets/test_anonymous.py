"""What data sets, classes, splits and images are called where nobody may learn who is in them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ussearch import schema
from ussearch.datasets import DEFAULT_FRACTIONS, Split, k_folds, phantom_dataset, prepare, split
from ussearch.datasets.anonymous import (
    FEWEST_IMAGES,
    class_names,
    data_name,
    image_name,
    looks_like_identifier,
    numbered_split,
    split_source,
)
from ussearch.datasets.counts import NO_LABEL, counts_of
from ussearch.errors import UserError

CLASSES = ("benign", "malignant", "normal", "BI-RADS 4a", "BIRADS4", "T1", "grade 2", "HC18", "cyst/mass", "0", "12")
CLASSES += ("Fetal head", "MR", "US", "case mix", "subcutaneous", "sub-pleural", "Läsion", "2-chamber")
PEOPLE = ("patient_003", "Patient-7", "P0012", "1957-03-02", "02.03.57", "12345", "Mrs_Smith", "dr. no", "subject_a")
PEOPLE += ("sub-01", "case12", "smith_1957", "MRN 77", "id0815", "proband b")


@pytest.mark.parametrize("label", CLASSES)
def test_classes_are_called_as_they_are(label: str) -> None:
    assert not looks_like_identifier(label)
    assert class_names([label] * FEWEST_IMAGES) == {label: label}


@pytest.mark.parametrize("label", PEOPLE)
def test_people_are_numbered_however_many_images_they_have(label: str) -> None:
    assert looks_like_identifier(label)
    assert class_names([label] * 100) == {label: "class 1"}


@given(
    st.dictionaries(
        st.one_of(
            st.sampled_from(CLASSES + PEOPLE), st.text(max_size=6), st.from_regex(r"class [1-4]", fullmatch=True)
        ),
        st.integers(1, 2 * FEWEST_IMAGES),
    )
)
def test_names_tell_classes_apart_and_tell_no_rare_one(images: dict[str, int]) -> None:
    labels = [label for label, count in images.items() for _ in range(count)]
    called = class_names([None, *labels])
    assert set(called) == set(images) and len(set(called.values())) == len(images)
    for label, count in images.items():
        numbered = re.fullmatch(r"class \d+", called[label]) is not None
        if count < FEWEST_IMAGES or label in PEOPLE:
            assert numbered and called[label] not in images.keys() - {label}
        elif label in CLASSES:
            assert called[label] == label
    assert class_names(list(reversed(labels))) == called


def test_counts_number_rare_classes_and_name_them_when_asked() -> None:
    images = prepare(phantom_dataset(count=40, image_size=64), 64)
    labels = ("rare",) * 2 + ("patient_1",) * 10 + ("cyst",) * 20 + (None,) * 8
    images = replace(images, labels=labels)
    made = split(images)
    for names, expected in ((False, {"class 1": 10, "class 2": 2}), (True, {"patient_1": 10, "rare": 2})):
        found = Counter[str]()
        for part in counts_of(images, made, names=names).parts.values():
            found.update(part.labels)
        assert found == {"cyst": 20, NO_LABEL: 8, **expected}


def test_own_splits_tell_how_they_came_and_given_ones_not_whose_they_are() -> None:
    images = prepare(phantom_dataset(count=40, image_size=64), 64)
    for fractions in (DEFAULT_FRACTIONS, (0.6, 0.125, 0.125, 0.15)):
        source = split(images, fractions, seed=7).source
        assert split_source(source) == source
    for made in k_folds(images, 3, seed=1):
        assert split_source(made.source) == made.source
    assert split_source("smith.txt") == "a given split"
    assert split_source("smith.txt, divided further with seed 3") == "a given split, divided further with seed 3"
    assert (
        split_source(split_source("smith, divided further with seed 3")) == "a given split, divided further with seed 3"
    )


def test_a_split_has_numbers_for_images_and_is_the_same_split() -> None:
    made = Split((0, 2), (1,), (3,), (4,), "smith.txt", "f" * 64, leaking_groups=(("a.png", "c.png"), ("gone.png",)))
    numbered = numbered_split(made, ("a.png", "b.png", "c.png", "d.png", "e.png"))
    assert (numbered.parts(), numbered.fingerprint) == (made.parts(), made.fingerprint)
    assert numbered.leaking_groups == (("0", "2"), ("?",))
    assert numbered_split(numbered, ("a.png", "b.png", "c.png")) == numbered
    assert Split.from_record(numbered.to_record()) == numbered


def test_a_numbered_split_is_a_split_file_for_its_own_data_alone(tmp_path: Path) -> None:
    images, others = (prepare(phantom_dataset(count=40, image_size=64, seed=seed), 64) for seed in (0, 1))
    made, file = split(images, seed=3), tmp_path / "split.json"
    file.write_text(schema.SPLIT.to_json(numbered_split(made, images.ids).to_record()))
    assert split(images, split_file=file).parts() == made.parts()
    with pytest.raises(UserError, match="numbers of images of another data set"):
        split(others, split_file=file)


def test_an_image_is_called_by_its_index_and_a_data_set_by_its_fingerprint() -> None:
    assert image_name(17) == "image 17"
    assert data_name("busi", "3f9a12bcd0e1" + "0" * 52) == "busi-3f9a12bcd0e1"
