"""Sub-folders are a split, classes or patients, by names and counts; where two readings fit, the user is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ussearch.datasets import Dataset, ImageSet, Sample, leaking_groups_of, open_dataset, split
from ussearch.datasets.readers import Listing
from ussearch.datasets.readers.folder_roles import with_roles
from ussearch.errors import Question, UserError

PARTS = {
    "train": ["train", "Train", "training", "TRAINING", "train_set", "TrainDataset", "Training Set", "tr"],
    "validation": ["val", "valid", "Validation", "validation", "dev", "VAL", "val_data"],
    "test": ["test", "Testing", "TEST", "test-set", "TestDataset", "ts"],
    "calibration": ["cal", "calibration"],
}
CLASSES = ["benign", "malignant", "normal", "Benign", "cyst", "healthy", "BIRADS_4a", "grade 2", "class-1", "Tumours"]


def listed(places: dict[str, int], parts: tuple[str, ...] = ()) -> Listing:
    """Return what a reader lists of folders (``a/b``) with so many images each."""
    listing = Listing()
    for number, (place, count) in enumerate(places.items()):
        for image in range(count):
            file = Path(f"{place}/{number}-{image}.png")
            part = parts[image % len(parts)] if parts else None
            listing.samples.append(Sample(file.as_posix(), file, (file,), part=part))
            listing.folders[file.as_posix()] = tuple(Path(place).parts)
    return listing


def tree(root: Path, files: list[str]) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"")
    return root


IDENTIFIERS = ["p{}", "PATIENT-{:03}", "case {}", "{:04}", "A{:03}", "sub-{:02}_left", "id_{}", "10{:04}"]
IDENTIFIERS += ["1.2.840.{}", "f00d{:04x}"]


@given(st.sampled_from(IDENTIFIERS), st.integers(1, 40), st.integers(1, 60))
def test_names_like_identifiers_are_patients_however_many(naming: str, folders: int, images: int) -> None:
    names = [naming.format(number) for number in range(folders)]
    samples, meaning = with_roles(listed(dict.fromkeys(names, images)))
    assert meaning == "patients"
    assert Counter(sample.patient for sample in samples) == Counter(dict.fromkeys(names, images))
    assert {sample.label for sample in samples} == {None}


def test_letters_can_be_identifiers_too() -> None:
    assert with_roles(listed({f"subject_{letter}": 50 for letter in "ABC"}))[1] == "patients"
    assert with_roles(listed({"dogs": 50, "pigs": 50}))[1] == "classes"


@given(st.integers(11, 60), st.integers(1, 20), st.sampled_from(["{}", "{:x}x", "name{}", "W.{}", "us{}"]))
def test_many_folders_of_few_images_are_patients(folders: int, images: int, naming: str) -> None:
    _, meaning = with_roles(listed({naming.format(number): images for number in range(folders)}))
    assert meaning == "patients"


@given(st.lists(st.sampled_from(CLASSES), min_size=1, unique=True), st.integers(1, 500))
def test_names_of_classes_are_classes_however_many_images(names: list[str], images: int) -> None:
    samples, meaning = with_roles(listed(dict.fromkeys(names, images)))
    assert meaning == "classes"
    assert {sample.label for sample in samples} == set(names) and {sample.patient for sample in samples} == {None}


@given(st.integers(2, 10), st.integers(21, 300))
def test_few_words_with_many_images_are_classes(folders: int, images: int) -> None:
    names = ["milk", "hepatic", "sphere", "clear", "dense", "fatty", "calcified", "stone", "duct", "wall"][:folders]
    assert with_roles(listed(dict.fromkeys(names, images)))[1] == "classes"


@given(
    st.one_of(
        st.builds(lambda n, c: dict.fromkeys("ABCDEFGHI"[:n], c), st.integers(2, 9), st.integers(1, 300)),
        st.builds(lambda n, c: {str(k): c for k in range(1, n)}, st.integers(3, 9), st.integers(10, 300)),
        st.builds(lambda n, c: {f"{2015 + k}": c for k in range(n)}, st.integers(2, 5), st.integers(10, 300)),
        st.builds(
            lambda n, c: dict.fromkeys(["anna", "berta", "carla", "dora"][:n], c), st.integers(2, 4), st.integers(1, 20)
        ),
        st.builds(lambda c: {"256": c, "512": c}, st.integers(1, 300)),
        st.builds(lambda n, c: {f"scans of {2015 + k}": c for k in range(n)}, st.integers(2, 5), st.integers(1, 300)),
        st.builds(lambda n, c: {f"name{k}": c for k in range(n)}, st.integers(11, 30), st.integers(21, 50)),
    )
)
def test_where_two_readings_fit_the_user_is_asked_and_the_answer_counts(places: dict[str, int]) -> None:
    with pytest.raises(Question) as caught:
        with_roles(listed(places))
    question = caught.value
    assert question.rows == tuple((name, str(count), str(count)) for name, count in sorted(places.items()))
    assert [dict(answer.options) for answer in question.answers] == [{"folders": "classes"}, {"folders": "patients"}]
    for answer, attribute in zip(question.answers, ("label", "patient"), strict=True):
        samples, meaning = with_roles(listed(places), answer.options["folders"])
        assert meaning == answer.options["folders"]
        assert Counter(getattr(sample, attribute) for sample in samples) == Counter(places)


def test_classes_of_patients_and_patients_of_classes() -> None:
    places = [f"{label}/case{number}" for label in ("benign", "malignant") for number in range(3)]
    for turned in (False, True):
        names = ["/".join(reversed(place.split("/"))) if turned else place for place in places]
        samples, meaning = with_roles(listed(dict.fromkeys(names, 4)))
        assert meaning == "patients"
        assert {(sample.label, sample.patient) for sample in samples} == {tuple(place.split("/")) for place in places}
    samples, _ = with_roles(listed(dict.fromkeys(places, 4)), "classes")
    assert {sample.label for sample in samples} == set(places)


def test_patients_of_dicom_files_count_more_than_folders() -> None:
    listing = listed({"case1": 2, "case2": 2})
    listing.samples[0] = Sample(**{**vars(listing.samples[0]), "patient": "digest"})
    assert [sample.patient for sample in with_roles(listing)[0]] == ["digest", "case1", "case2", "case2"]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("class", "expected split, classes or patients"),
        ("split", "none is named train"),
        ("patients", "there are none"),
    ],
)
def test_what_cannot_be_is_refused(said: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        with_roles(listed({".": 3}), said)


# Parts of a split: found by name, kept, and never mixed.


def files_of(layout: Callable[[str, str, str], str], counts: dict[str, int]) -> list[str]:
    return [
        layout(kind, part, f"{part}{number}") + ".png"
        for part, count in counts.items()
        for number in range(count)
        for kind in ("images", "masks")
    ]


LAYOUTS: dict[str, Callable[[str, str, str], str]] = {
    "kind, part": lambda kind, part, name: f"{kind}/{part}/{name}",
    "part, kind": lambda kind, part, name: f"{part}/{kind}/{name}",
    "one folder": lambda kind, part, name: f"{part}_{kind}/{name}",
    "one folder, turned": lambda kind, part, name: f"{kind}-{part}/{name}",
    "beside": lambda kind, part, name: f"{part}/{name}{'_mask' if kind == 'masks' else ''}",
}


@pytest.mark.parametrize("layout", LAYOUTS)
@given(data=st.data(), counts=st.tuples(*[st.integers(1, 4)] * 3), calibrated=st.booleans())
def test_usual_spellings_are_a_split(
    tmp_path_factory: pytest.TempPathFactory,
    layout: str,
    data: st.DataObject,
    counts: tuple[int, int, int],
    calibrated: bool,
) -> None:
    parts = ["train", "validation", "test", "calibration"][: 3 + calibrated]
    spelled = {data.draw(st.sampled_from(PARTS[part])): part for part in parts}
    wanted = dict(zip(spelled, (*counts, 2), strict=False))
    dataset = open_dataset(tree(tmp_path_factory.mktemp("set"), files_of(LAYOUTS[layout], wanted)))
    assert Counter(sample.part for sample in dataset.samples) == {spelled[name]: n for name, n in wanted.items()}
    assert dataset.folders == "split" and not dataset.problems
    assert {(sample.label, sample.patient) for sample in dataset.samples} == {(None, None)}


@pytest.mark.parametrize(
    ("inner", "meaning"), [(("benign", "malignant"), "classes"), (("patient_01", "patient_02"), "patients")]
)
@pytest.mark.parametrize("order", ["{kind}/{part}/{inner}", "{part}/{inner}/{kind}", "{part}/{kind}/{inner}"])
def test_classes_and_patients_below_parts(tmp_path: Path, inner: tuple[str, str], meaning: str, order: str) -> None:
    places = [(part, name) for part in ("train", "val", "test") for name in inner]
    kinds = ("images", "masks")
    files = [
        f"{order.format(kind=k, part=p, inner=i)}/{p}{i}{n}.png" for p, i in places for n in range(3) for k in kinds
    ]
    dataset = open_dataset(tree(tmp_path, files))
    assert dataset.folders == meaning
    found = {(sample.part, sample.label or sample.patient) for sample in dataset.samples}
    assert found == {({"val": "validation"}.get(part, part), name) for part, name in places}
    again = open_dataset(tmp_path, folders=meaning)
    assert again.samples == dataset.samples


def test_a_test_part_without_masks_is_left_out_and_counted(tmp_path: Path) -> None:
    files = files_of(LAYOUTS["part, kind"], {"train": 6, "val": 3}) + [f"test/images/{n}.png" for n in range(5)]
    dataset = open_dataset(tree(tmp_path, files))
    assert Counter(sample.part for sample in dataset.samples) == {"train": 6, "validation": 3}
    (problem,) = dataset.problems
    assert problem.kind == "unlabelled images" and not problem.fatal
    assert problem.message.startswith("5 images of the part test") and "black" not in problem.message


def test_a_lone_part_divides_nothing(tmp_path: Path) -> None:
    dataset = open_dataset(tree(tmp_path, files_of(LAYOUTS["kind, part"], {"train": 6})))
    assert {sample.part for sample in dataset.samples} == {None} and dataset.folders is None


@pytest.mark.parametrize("folders", [("Original", "Ground Truth"), ("images", "masks")])
def test_published_pairs_have_sub_folders_too(tmp_path: Path, folders: tuple[str, str]) -> None:
    """What the files beside say of the data set does not change what sub-folders mean."""
    files = [f"{kind}/patient_{p}/{n}.png" for kind in folders for p in range(3) for n in range(4)]
    dataset = open_dataset(tree(tmp_path, [*files, "kavsir_bboxes.json"]))
    assert dataset.reader in ("cvc-clinicdb", "kvasir-seg") and dataset.folders == "patients"
    assert {(sample.label, sample.patient) for sample in dataset.samples} == {(None, f"patient_{p}") for p in range(3)}


def image_set(dataset: Dataset, groups: list[int] | None = None) -> ImageSet:
    masks = np.ones((len(dataset), 1, 1, 1), np.uint8)
    return ImageSet(
        masks,
        masks,
        ids=tuple(sample.id for sample in dataset.samples),
        labels=tuple(sample.label for sample in dataset.samples),
        patients=tuple(sample.patient for sample in dataset.samples),
        groups=np.array(groups or range(len(dataset)), np.int64),
        fingerprint="f" * 64,
        name="made",
        reader=dataset.reader,
        image_size=1,
        parts=tuple(sample.part for sample in dataset.samples),
    )


NAMES = ("train", "validation", "calibration", "test")
given_parts = st.lists(st.sampled_from([0, 0, 0, 1, 2, 3]), min_size=40, max_size=90)


@given(
    given_parts, st.lists(st.integers(0, 30), min_size=90, max_size=90), st.sets(st.sampled_from([1, 2, 3]), min_size=1)
)
def test_given_parts_stay_and_what_lacks_comes_from_train_alone(
    numbers: list[int], groups: list[int], there: set[int]
) -> None:
    told = [NAMES[number] if number in there else "train" for number in numbers]
    parts = {name: {index for index, part in enumerate(told) if part == name} for name in NAMES}
    listing = Listing(samples=[Sample(f"{n}.png", Path(f"{n}.png"), part=part) for n, part in enumerate(told)])
    dataset = Dataset("made", "plain", Path(), tuple(listing.samples), None)  # type: ignore[arg-type]
    ours = image_set(dataset, groups[: len(told)])
    assume(len({groups[index] for index in parts["train"]}) >= 4 and all(parts[NAMES[n]] for n in there))
    made = split(ours)
    lone = NAMES[next(iter(there))] if len(there) == 1 else None
    for name in NAMES:
        judge = "test" if lone == name else name
        if name != "train" and parts[name]:
            assert set(made.parts()[judge]) == parts[name]
    assert sorted(sum(made.parts().values(), ())) == list(range(len(told)))
    inner = [made.parts()[name] for name in NAMES if not parts[name] or name == "train"]
    inner = [indices for indices in inner if not set(indices) - parts["train"]]
    assert leaking_groups_of(ours.groups, inner) == ()
    torn = {
        frozenset(ours.ids[i] for i in group) for group in leaking_groups_of(ours.groups, list(made.parts().values()))
    }
    assert {frozenset(group) for group in made.leaking_groups} == torn
    assert "itself" in made.source


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (["train"] * 9 + [None], r"1 images of made are in no part of its split \(such as 9\.png\), while others"),
        (["test"] * 5 + ["validation"] * 5, "is split into test and validation alone: add a part train"),
        (["train"] * 2 + ["test"] * 8, r"cannot be split: 2 independent groups cannot fill 3 parts"),
    ],
)
def test_splits_that_cannot_be_completed_are_refused(parts: list[str | None], message: str) -> None:
    samples = tuple(Sample(f"{n}.png", Path(f"{n}.png"), part=part) for n, part in enumerate(parts))
    with pytest.raises(UserError, match=message):
        split(image_set(Dataset("made", "plain", Path(), samples, None)))  # type: ignore[arg-type]


def test_a_split_file_counts_more(tmp_path: Path) -> None:
    samples = tuple(Sample(f"{n}.png", Path(f"{n}.png"), part="test" if n < 5 else "train") for n in range(30))
    (tmp_path / "s.yaml").write_text(f"{{train: {list(range(20))}, test: [29]}}")
    ours = image_set(Dataset("made", "plain", Path(), samples, None))  # type: ignore[arg-type]
    assert split(ours, split_file=tmp_path / "s.yaml").test == (29,)


# Groups that the user names.


def grouped(root: Path, files: list[str], groups: str) -> dict[str, str | None]:
    dataset = open_dataset(tree(root, files), groups=groups)
    return {sample.id: sample.patient for sample in dataset.samples}


FLAT = [f"{kind}/{patient}_{frame}.png" for kind in ("images", "masks") for patient in (7, 12) for frame in range(3)]


@pytest.mark.parametrize(
    "pattern", [r"(?P<patient>\d+)_", r"/(\d+)_\d", r"(?P<who>\d+)_(?#frame)", r"(im)ages/(?P<patient>\d+)"]
)
def test_a_pattern_names_the_patient(tmp_path: Path, pattern: str) -> None:
    found = grouped(tmp_path, FLAT, pattern)
    assert found == {name: Path(name).stem.split("_")[0] for name in found} and len(found) == 6


@pytest.mark.parametrize("order", ["images/{}/{}.png masks/{}/{}.png", "{}/images/{}.png {}/masks/{}.png"])
def test_folders_can_be_groups_whatever_their_names(tmp_path: Path, order: str) -> None:
    files = [name.format(folder, n) for folder in "ABC" for n in range(3) for name in order.split()]
    found = grouped(tmp_path, files, "folder")
    assert Counter(found.values()) == {"A": 3, "B": 3, "C": 3}


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (r"(\d+", "are no pattern"),
        (r"\d+_", "name 0 groups of a pattern"),
        (r"(\d)(_)", "name 2 groups of a pattern"),
        (r"/7_(\d)", r"do not match the image images/12_0\.png"),
        (r"(images)", "put all 6 images into one"),
        ("folder", "put all 6 images into one"),
        ("patient", "name 0 groups of a pattern: expected 'folder'"),
    ],
)
def test_groups_that_do_not_fit_are_refused(tmp_path: Path, groups: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        grouped(tmp_path, FLAT, groups)
