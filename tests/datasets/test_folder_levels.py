"""Folders below one another: dates are no patients, and parts of a split may be a word of a name."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.datasets.test_folder_roles import listed, tree
from ussearch.datasets import open_dataset
from ussearch.datasets.readers import Listing
from ussearch.datasets.readers.folder_roles import with_roles
from ussearch.errors import Question, UserError

DAYS = ["2024-{:02}-15", "2024{:02}15", "2024-{:02}", "15.{:02}.2024", "15-{:02}-2024", "24_{:02}_15", "2024_{:02}_15"]
DAYS += ["scan_2024{:02}15_1030", "2024-{:02}-15 09-30-11"]
PERSONS = ["Patient {:03}", "Patient_{:03}", "P{:02}", "subj-{}", "case {}"]


def problems(listing: Listing) -> list[str]:
    assert not any(problem.fatal for problem in listing.problems)
    return [problem.message for problem in listing.problems]


@given(
    st.sampled_from([*DAYS, "20{:02}"]),
    st.sampled_from(PERSONS),
    st.integers(2, 6),
    st.integers(2, 12),
    st.sampled_from(["", "benign/", "train/"]),
    st.integers(1, 30),
)
def test_patients_inside_of_days_are_one_wherever_they_lie(
    day: str, person: str, persons: int, days: int, above: str, images: int
) -> None:
    places = {f"{day.format(1 + n)}/{person.format(p)}": p for n in range(days) for p in range(persons) if (n + p) % 2}
    listing = listed({above + place: images for place in places})
    samples, meaning = with_roles(listing)
    assert meaning == "patients" and not listing.problems
    wanted = Counter(person.format(p) for p in places.values())
    assert Counter(sample.patient for sample in samples) == {name: count * images for name, count in wanted.items()}
    assert with_roles(listed({above + place: images for place in places}), "patients") == (samples, meaning)


def test_days_of_patients_are_found_in_folders_of_images(tmp_path: Path) -> None:
    places = [f"2024-0{1 + n // 3}-15/Patient_00{n % 3}" for n in range(24)]
    files = [f"{kind}/{place}/{n}.png" for n, place in enumerate(places) for kind in ("images", "masks")]
    dataset = open_dataset(tree(tmp_path, files))
    assert Counter(sample.patient for sample in dataset.samples) == {f"Patient_00{n}": 8 for n in range(3)}


@given(st.sampled_from(DAYS), st.integers(2, 12), st.integers(1, 30), st.sampled_from(["", "/left", "/transverse"]))
def test_days_alone_are_groups_and_told(day: str, days: int, images: int, inside: str) -> None:
    names = [day.format(1 + n) for n in range(days)]
    listing = listed({f"{name}{inside}": images for name in names})
    samples, meaning = with_roles(listing)
    assert meaning == "patients" and Counter(sample.patient for sample in samples) == dict.fromkeys(names, images)
    (message,) = problems(listing)
    assert message.startswith(f"{days * images} images are grouped by the dates") and "--groups" in message
    assert with_roles(listed({f"{name}{inside}": images for name in names}), meaning) == (samples, meaning)


def test_one_day_groups_nothing() -> None:
    samples, meaning = with_roles(listed({"2024-01-15": 20}))
    assert meaning is None and {sample.patient for sample in samples} == {None}


def test_an_image_that_lies_in_a_day_alone_stays_with_the_day() -> None:
    listing = listed({"2024-01-15/Patient 1": 2, "2024-01-16/Patient 1": 2, "2024-01-17": 3})
    samples, _ = with_roles(listing)
    assert Counter(sample.patient for sample in samples) == {"Patient 1": 4, "2024-01-17": 3}
    assert problems(listing)[0].startswith("3 images are grouped by the dates")


@pytest.mark.parametrize("names", [("1", "2", "3"), ("linear", "convex"), ("Smith", "Jones"), tuple("12345678")])
@pytest.mark.parametrize("images", [2, 30])
def test_numbers_and_words_inside_of_days_are_asked_for(names: tuple[str, ...], images: int) -> None:
    places = {f"2024-01-1{day}/{name}": images for day in range(4) for name in names}
    with pytest.raises(Question) as caught:
        with_roles(listed(places))
    assert {row[0] for row in caught.value.rows} == set(names)
    samples, _ = with_roles(listed(places), "patients")
    assert Counter(sample.patient for sample in samples) == dict.fromkeys(names, images * 4)
    listing = listed(places)
    samples, meaning = with_roles(listing, "classes")
    assert meaning == "classes" and {sample.label for sample in samples} == set(names)
    assert len({sample.patient for sample in samples}) == 4 and "dates" in problems(listing)[0]


@pytest.mark.parametrize("images", [2, 30])
def test_words_around_days_are_asked_for(images: int) -> None:
    places = {f"{name}/2024-01-1{day}": images for name in ("Smith", "Jones") for day in range(4)}
    with pytest.raises(Question):
        with_roles(listed(places))
    samples, _ = with_roles(listed(places), "patients")
    assert Counter(sample.patient for sample in samples) == {"Smith": 4 * images, "Jones": 4 * images}


@given(st.sampled_from(["visit_{}", "exam {}", "{}", "study-{}", "10{:03}"]), st.sampled_from(PERSONS))
def test_persons_that_recur_win_over_what_they_lie_in(outer: str, person: str) -> None:
    listing = listed({f"{outer.format(n)}/{person.format(p)}": 3 for n in range(3) for p in range(4)})
    samples, meaning = with_roles(listing)
    assert meaning == "patients" and len({sample.patient for sample in samples}) == 4
    assert "recur inside of them" in problems(listing)[0]


@given(st.sampled_from(PERSONS), st.sampled_from(["exam_{}", "2024-01-{:02}", "{:03}", "visit {}", "series_000{}"]))
def test_exams_of_persons_stay_with_them(person: str, inner: str) -> None:
    listing = listed({f"{person.format(p)}/{inner.format(1 + n)}": 3 for n in range(3) for p in range(4)})
    samples, _ = with_roles(listing)
    assert len({sample.patient for sample in samples}) == 4 and not listing.problems


def test_two_levels_of_identifiers_are_asked_for_and_each_answer_counts(tmp_path: Path) -> None:
    places = [
        f"{kind}/{4000 + n}/0{p}7/x{n}{p}.png" for n in range(3) for p in range(4) for kind in ("images", "masks")
    ]
    with pytest.raises(Question) as caught:
        open_dataset(tree(tmp_path, places))
    found = [open_dataset(tmp_path, **answer.options) for answer in caught.value.answers]
    assert [len({sample.patient for sample in each.samples}) for each in found] == [3, 4]


@pytest.mark.parametrize("mark", [" (2)", " - Kopie", " copy", " - Copy (3)", "_Kopie", " 2 - Kopie"])
def test_copies_of_patients_folders_stay_with_them(mark: str) -> None:
    names = ["Patient 003", "Patient 004", "Patient 003 2", f"Patient 003{mark}"]
    listing = listed(dict.fromkeys(names, 3))
    samples, _ = with_roles(listing)
    assert len({sample.patient for sample in samples}) == 3
    person = "Patient 003 2" if "2 -" in mark else "Patient 003"
    assert f"{names[3]}/, are taken for further ones of patients such as {person}:" in problems(listing)[0]


@given(
    st.sampled_from(["{person}_{day}", "{day} {person}", "{person} ({day})", "{person}-{day}"]),
    st.sampled_from(["2024-01-{:02}", "202401{:02}", "{:02}.01.2024", "202401{:02}_1030"]),
    st.sampled_from([*PERSONS, "Smith{}", "A{:04}"]),
)
def test_days_in_the_names_of_patients_part_nobody(order: str, day: str, person: str) -> None:
    places = {order.format(person=person.format(p), day=day.format(10 + d)): 2 for p in range(1, 4) for d in range(8)}
    listing = listed(places)
    samples, meaning = with_roles(listing)
    assert meaning == "patients" and len({sample.patient for sample in samples}) == 3
    assert problems(listing)[0].startswith("24 folders, such as")


def test_one_prefix_of_days_groups_nobody() -> None:
    listing = listed({f"Klinik_2024-01-{10 + day}": 2 for day in range(12)})
    samples, _ = with_roles(listing)
    assert len({sample.patient for sample in samples}) == 12 and "dates alone" in problems(listing)[0]


def test_numbers_in_brackets_are_no_copies() -> None:
    samples, _ = with_roles(listed({f"Patient ({n})": 3 for n in range(4)}))
    assert len({sample.patient for sample in samples}) == 4


# Parts of a split whose names are longer.

SPLITS = [
    {"cohort_train": "train", "cohort_test": "test"},
    {"Trainingsdaten": "train", "Prüfdaten": "test"},
    {"01_train": "train", "02_test": "test"},
    {"train2024": "train", "val2024": "validation", "test2024": "test"},
    {"train_1": "train", "train_2": "train", "test_1": "test"},
    {"myTrainSet": "train", "hidden_test": "test"},
    {"train_a": "train", "external": "test"},
    {"TRAINSET": "train", "holdout": "test", "VALSET_3": "validation"},
    {"train": "train", "hold-out": "test"},
    {"cohort-training": "train", "external validation": "test"},
]


@pytest.mark.parametrize("order", ["{part}/{kind}", "{kind}/{part}", "{kind}/{part}/benign"])
@pytest.mark.parametrize("parts", SPLITS, ids="+".join)
def test_words_of_names_make_a_split(tmp_path: Path, parts: dict[str, str], order: str) -> None:
    files = [f"{order.format(part=p, kind=k)}/{p}{n}.png" for p in parts for k in ("images", "masks") for n in range(3)]
    dataset = open_dataset(tree(tmp_path, files))
    assert Counter(sample.part for sample in dataset.samples) == Counter([p for p in parts.values() for _ in range(3)])
    label = "benign" if "benign" in order else None
    assert {(sample.label, sample.patient) for sample in dataset.samples} == {(label, None)}
    assert open_dataset(tmp_path, folders=dataset.folders).samples == dataset.samples


def test_classes_and_patients_in_the_same_names_are_kept() -> None:
    samples, meaning = with_roles(listed(dict.fromkeys(["benign_train", "malignant_train", "benign_test"], 3)))
    assert meaning == "classes"
    assert {(s.part, s.label) for s in samples} == {("train", "benign"), ("train", "malignant"), ("test", "benign")}
    samples, _ = with_roles(listed(dict.fromkeys(["Patient 1 train", "Patient 2 train", "Patient 3 test"], 3)))
    assert {(s.part, s.patient) for s in samples} == {
        ("train", "Patient 1"),
        ("train", "Patient 2"),
        ("test", "Patient 3"),
    }


@pytest.mark.parametrize("order", ["{kind}/{part}", "{part}/{kind}"])
def test_a_test_part_without_masks_never_gets_black_ones(tmp_path: Path, order: str) -> None:
    files = [
        f"{order.format(part='cohort_train', kind=kind)}/{n}.png" for kind in ("images", "masks") for n in range(6)
    ]
    files += [f"{order.format(part='cohort_test', kind='images')}/{n}.png" for n in range(3)]
    dataset = open_dataset(tree(tmp_path, files))
    assert len(dataset) == 6
    assert ["3 " in problem.message and "black" not in problem.message for problem in dataset.problems] == [True]


MIXED = [("internal", "hidden_test"), ("development", "external"), ("site", "testset"), ("hospital a", "val_b", "b")]


@pytest.mark.parametrize("names", MIXED, ids="+".join)
@pytest.mark.parametrize("images", [3, 300])
def test_where_some_names_have_no_part_the_user_is_asked(names: tuple[str, ...], images: int) -> None:
    places = dict.fromkeys(names, images)
    with pytest.raises(Question) as caught:
        with_roles(listed(places))
    assert [answer.options["folders"] for answer in caught.value.answers] == ["split", "classes", "patients"]
    assert {sample.label for sample in with_roles(listed(places), "classes")[0]} == set(names)
    if names[0] in ("internal", "development"):
        samples, meaning = with_roles(listed(places), "split")
        assert meaning == "split" and {sample.part for sample in samples} == {"train", "test"}
    else:
        with pytest.raises(UserError, match=f"{re.escape(min(set(names) - {'testset', 'val_b'}))}/ .* names no part"):
            with_roles(listed(places), "split")


@pytest.mark.parametrize("names", [("oval", "round"), ("testis", "ovary"), ("valve", "atrium"), ("contest", "strain")])
def test_words_that_only_sound_alike_are_no_parts(names: tuple[str, str]) -> None:
    samples, meaning = with_roles(listed(dict.fromkeys(names, 50)))
    assert meaning == "classes" and {sample.part for sample in samples} == {None}
