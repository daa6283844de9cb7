"""Files are found in the usual arrangements of folders and names, whatever their spelling; others are named."""

from __future__ import annotations

import json
import os
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ussearch.datasets import Dataset, open_dataset
from ussearch.errors import UserError

IMAGES = ["images", "img", "imgs", "image", "JPEGImages", "frames", "scans", "Original", "pictures", "input", "raw"]
MASKS = ["masks", "mask", "labels", "label", "annotations", "gt", "ground_truth", "Ground Truth", "GroundTruth"]
MASKS += ["SegmentationClass", "seg", "segmentations", "Segmentation", "ground-truth", "SegmentationClassPNG", "ann"]
WORDS = ["_mask", "-mask", "_seg", "_segmentation", "_label", "_gt", "_annotation", "_Mask", "_SEG", " mask", ".mask"]
SUFFIXES = [".png", ".PNG", ".jpg", ".JPEG", ".bmp", ".tif", ".TIFF", ".Png"]
STEMS = ["a", "scan 1", "Übung.v1.2 – рак", "P-7 (2)", "0001", "x.y", "m_left", "IM_0003"]
names = st.lists(st.sampled_from(STEMS), min_size=2, max_size=6, unique=True)


def spelled(words: list[str]) -> st.SearchStrategy[str]:
    """Draw one of the words as it is, in capitals, in small letters or with a capital."""
    ways = (str, str.upper, str.lower, str.capitalize)
    return st.builds(lambda word, way: way(word), st.sampled_from(words), st.sampled_from(ways))


def put(root: Path, files: Iterable[str]) -> Path:
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


@contextmanager
def opened(files: Iterable[str], **options: str) -> Iterator[Dataset]:
    """Open a folder of empty files: a layout is told from names alone."""
    with tempfile.TemporaryDirectory() as folder:
        yield open_dataset(put(Path(folder) / "set", files), strict=False, **options)


def pairs(dataset: Dataset) -> dict[str, list[str]]:
    """Return the masks of each image, as paths from the folder that was given."""
    top = Path(dataset.root.as_posix().partition("/set")[0]) / "set"
    return {
        sample.image.relative_to(top).as_posix(): sorted(mask.relative_to(top).as_posix() for mask in sample.masks)
        for sample in dataset.samples
    }


@settings(deadline=None)
@given(spelled(IMAGES), spelled(MASKS), names, st.sampled_from(["", *WORDS]), st.data())
def test_any_usual_pair_of_folders_is_read(
    image: str, mask: str, stems: list[str], word: str, data: st.DataObject
) -> None:
    suffix, other = (data.draw(st.sampled_from(SUFFIXES)) for _ in range(2))
    above = data.draw(st.sampled_from(["", "export/", "my data/v2/"]))
    expected = {f"{above}{image}/{stem}{suffix}": [f"{above}{mask}/{stem}{word}{other}"] for stem in stems}
    with opened([*expected, *(file for masks in expected.values() for file in masks)]) as dataset:
        assert pairs(dataset) == expected
        assert not dataset.problems and dataset.folders is None
        assert not {sample.label for sample in dataset.samples} - {None}


@settings(deadline=None)
@given(names, st.sampled_from(WORDS), st.sampled_from(SUFFIXES), st.integers(1, 3), st.sampled_from(["", "images/"]))
def test_masks_beside_images_are_united(stems: list[str], word: str, suffix: str, count: int, folder: str) -> None:
    numbers = ["", "_1", "_2"][:count]
    expected = {
        f"{folder}{stem}{suffix}": sorted(f"{folder}{stem}{word}{number}.png" for number in numbers) for stem in stems
    }
    with opened([*expected, *(file for masks in expected.values() for file in masks)]) as dataset:
        assert pairs(dataset) == expected
        assert not dataset.problems


@settings(deadline=None)
@given(
    st.sampled_from(["train_", "training-", "Test ", "benign_", "my"]),
    st.sampled_from([("images", "masks"), ("img", "gt"), ("Images", "Labels"), ("image", "annotation")]),
    names,
)
def test_prefixes_that_both_folders_share(prefix: str, words: tuple[str, str], stems: list[str]) -> None:
    image, mask = (f"{prefix}{'_' if prefix == 'my' else ''}{word}" for word in words)
    expected = {f"{image}/{stem}.png": [f"{mask}/{stem}.png"] for stem in stems}
    with opened([*expected, *(f"{mask}/{stem}.png" for stem in stems)]) as dataset:
        assert pairs(dataset) == expected
        assert not dataset.problems


@settings(deadline=None)
@given(
    st.sampled_from(
        [
            ("{p}/{s}.png", "{p}/{s}_mask.png"),
            ("{p}/images/{s}.png", "{p}/masks/{s}.png"),
            ("images/{p}/{s}.png", "masks/{p}/{s}.png"),
            ("{p}/{s}.png", "{p}/labels/{s}_seg.png"),
            ("{p}/images/{s}.png", "{p}/images/masks/{s}.png"),
            ("{p}/us/image_{s}.png", "{p}/gt/mask_{s}.png"),
        ]
    ),
    st.sampled_from(["p{}", "patient_{:03}", "Case-{}", "{:04}", "SUBJ{:02}", "us_{:03}", "1.2.840.{}"]),
    st.integers(2, 8),
    st.integers(1, 5),
)
def test_folders_of_patients_keep_their_images_together(
    layout: tuple[str, str], naming: str, patients: int, frames: int
) -> None:
    names = [naming.format(number) for number in range(patients)]
    image, mask = layout
    expected = {
        image.format(p=name, s=frame): [mask.format(p=name, s=frame)] for name in names for frame in range(frames)
    }
    with opened([*expected, *(file for masks in expected.values() for file in masks)]) as dataset:
        assert pairs(dataset) == expected
        assert dataset.folders == "patients" and not dataset.problems
        for sample in dataset.samples:
            assert sample.patient in Path(sample.id).parts and sample.patient in names
            assert sample.label is None


@settings(deadline=None)
@given(st.integers(2, 9), st.sampled_from([("imagesTr", "labelsTr"), ("images", "labels")]), st.booleans())
def test_nnunet_names_images_by_channel(count: int, folders: tuple[str, str], described: bool) -> None:
    images, masks = folders
    expected = {f"{images}/us_{n:03}_0000.png": [f"{masks}/us_{n:03}.png"] for n in range(count)}
    with opened(
        [*expected, *(f"{masks}/us_{n:03}.png" for n in range(count)), *["dataset.json"] * described]
    ) as dataset:
        assert pairs(dataset) == expected
        assert not dataset.problems


def test_several_channels_are_refused(tmp_path: Path) -> None:
    put(tmp_path, [f"imagesTr/a_{n}_000{c}.png" for n in range(3) for c in range(2)])
    put(tmp_path, [f"labelsTr/a_{n}.png" for n in range(3)])
    with pytest.raises(UserError, match=r"a_0_0000\.png and imagesTr/a_0_0001\.png .* are channels of one image"):
        open_dataset(tmp_path)


def test_frames_numbered_alike_are_no_channels() -> None:
    files = [f"{kind}/cine_000{n}.png" for kind in ("images", "masks") for n in range(4)]
    with opened(files) as dataset:
        assert len(dataset) == 4 and not dataset.problems


def test_image_and_mask_in_a_folder_of_their_own() -> None:
    files = [f"case{n}/{name}.png" for n in range(4) for name in ("image", "mask_0", "mask_1")]
    with opened(files) as dataset:
        assert pairs(dataset)["case2/image.png"] == ["case2/mask_0.png", "case2/mask_1.png"]
        assert len({sample.patient for sample in dataset.samples}) == 4


def test_accents_are_compared_by_what_they_show() -> None:
    composed, split = (unicodedata.normalize(form, "Übung é") for form in ("NFC", "NFD"))
    with opened([f"images/{composed}.png", f"masks/{split}.png", "images/b.png", "masks/B.png"]) as dataset:
        assert len(dataset) == 2 and not dataset.problems


@pytest.mark.parametrize("masks", ["masks", "labels/masks"])
def test_masks_in_one_folder_fit_images_in_several(masks: str) -> None:
    images = [f"images/{label}/{label}{n}.png" for label in ("benign", "malignant") for n in range(3)]
    with opened([*images, *(f"{masks}/{Path(image).name}" for image in images)]) as dataset:
        assert [sample.label for sample in dataset.samples] == ["benign"] * 3 + ["malignant"] * 3
        assert not dataset.problems


@pytest.mark.parametrize(
    "files",
    [
        [f"{folder}/{n}.png" for folder in ("images", "masks", "labels") for n in range(3)],
        [f"{n}{word}.png" for word in ("", "_gt", "_seg") for n in range(3)],
        [f"{folder}/{n}.png" for folder in ("images", "lesion_masks", "gland_masks") for n in range(3)],
    ],
)
def test_masks_of_two_kinds_are_refused_and_never_united(tmp_path: Path, files: list[str]) -> None:
    with pytest.raises(UserError, match=r"fit one image \(3 images have such masks\).*: move away what is not meant"):
        open_dataset(put(tmp_path, files))


PATIENTS = [
    ("{p}/{n}.png", "{p}/{n}_mask.png"),
    ("{p}/images/{n}.png", "{p}/masks/{n}.png"),
    ("{p}/{n}.png", "{p}/masks/{n}.png"),
    ("{p}/images/{n}.png", "{p}/images/{n}_seg.png"),
    ("{p}/image_{n}.png", "{p}/label_{n}.png"),
]


@settings(deadline=None)
@given(st.lists(st.sampled_from(PATIENTS), min_size=2, max_size=6), st.integers(1, 3))
def test_folders_of_patients_may_mix_the_arrangements(layouts: list[tuple[str, str]], count: int) -> None:
    expected = {
        image.format(p=f"p{number}", n=frame): [mask.format(p=f"p{number}", n=frame)]
        for number, (image, mask) in enumerate(layouts)
        for frame in range(count)
    }
    with opened([*expected, *(mask for (mask,) in expected.values())]) as dataset:
        assert pairs(dataset) == expected
        assert dataset.folders == "patients" and not dataset.problems


@pytest.mark.parametrize(("naming", "meaning"), [("label_{}", "classes"), ("scan_{:03}", "patients")])
def test_numbered_folders_are_no_folders_of_images_or_masks(naming: str, meaning: str) -> None:
    files = [
        f"{naming.format(folder)}/{n}{word}.png" for folder in range(3) for n in range(2) for word in ("", "_mask")
    ]
    with opened(files) as dataset:
        assert len(dataset) == 6 and dataset.folders == meaning and not dataset.problems


def test_a_mask_is_never_taken_from_another_patient() -> None:
    with opened(["images/p1/a.png", "images/p2/b.png", "masks/p1/a.png", "masks/p3/b.png"]) as dataset:
        assert [sample.id for sample in dataset.samples] == ["images/p1/a.png"]
        found = [(problem.kind, problem.file) for problem in dataset.problems]
        assert found == [("missing image", "masks/p3/b.png"), ("missing mask", "images/p2/b.png")]


def test_masks_beside_the_images_folder_of_a_part() -> None:
    """As in the Carvana challenge; its test part has no masks."""
    files = [f"train/{n}.jpg" for n in range(4)] + [f"train_masks/{n}_mask.gif" for n in range(4)]
    with opened([*files, *(f"test/{n}.jpg" for n in range(3))]) as dataset:
        assert [sample.id for sample in dataset.samples] == [f"train/{n}.jpg" for n in range(4)]
        assert [problem.kind for problem in dataset.problems] == ["unlabelled images"]


def test_folders_at_the_top_count_alone() -> None:
    files = [f"{above}{kind}/{n}.png" for above in ("", "old/") for kind in ("images", "masks") for n in range(3)]
    with opened(files) as dataset:
        assert [sample.id for sample in dataset.samples] == [f"images/{n}.png" for n in range(3)]
        assert ["6 .png" in problem.message for problem in dataset.problems] == [True]


def test_pictures_of_what_was_found_are_no_images() -> None:
    files = [f"{n}{word}.png" for n in range(3) for word in ("", "_mask", "_overlay")]
    with opened([*files, *(f"predictions/{n}.png" for n in range(3))]) as dataset:
        assert len(dataset) == 3
        (problem,) = dataset.problems
        assert problem.kind == "left out" and not problem.fatal and "6 .png" in problem.message


# What cannot be read is named, with advice that spoils nothing.

OTHERS: dict[str, tuple[str, str, str]] = {
    "Supervisely annotations": ("ds/img/{}.png", "ds/ann/{}.png.json", "{}"),
    "VGG Image Annotator": ("{}.png", "via_project.json", json.dumps({"_via_settings": {}})),
    "PASCAL VOC boxes": (
        "JPEGImages/{}.png",
        "Annotations/{}.xml",
        "<annotation><object><bndbox/></object></annotation>",
    ),
    "volumes": ("imagesTr/{}_0000.nii.gz", "labelsTr/{}.nii.gz", ""),
    "GeoJSON outlines": ("images/{}.png", "images/{}.geojson", "{}"),
    "DICOM files as masks": ("images/{}.png", "masks/{}.dcm", ""),
    "annotations of an unknown kind": ("images/{}.png", "ann/{}.json", "{}"),
    "videos": ("{}.mp4", "notes.txt", ""),
}


@pytest.mark.parametrize("name", OTHERS)
@settings(deadline=None, max_examples=4)
@given(count=st.integers(1, 9))
def test_other_ways_of_annotating_are_named(name: str, count: int) -> None:
    image, annotation, content = OTHERS[name]
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            for file in (image, annotation):
                put(Path(folder), [file.format(number)])
            (Path(folder) / annotation.format(number)).write_text(content)
        with pytest.raises(UserError, match=rf"has no known layout: it holds {name}.* were expected; \w+") as caught:
            open_dataset(folder)
        assert "black" not in str(caught.value)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["images/{}.png"], r"images/ has 3 images, but there is no folder of masks; expected masks/ .*'a_mask\.png'"),
        (["images/{}.png", "outlines/{}.png"], r"no folder of masks; .*; outlines/ has files of the same names"),
        (
            ["images/{}.png", "masks/of {}.png"],
            r"images/ has 3 images and masks/ has 3 masks, but no names fit together",
        ),
        (["masks/{}.png"], "masks/ has 3 masks, but there are no images; expected images/"),
        (["{}.png", "{}-outline.png"], "it has 6 images, but none is named as the mask of another"),
        (["{}.txt"], "holds no image"),
    ],
)
def test_the_nearest_layout_and_what_is_missing(tmp_path: Path, files: list[str], message: str) -> None:
    put(tmp_path, [file.format(number) for file in files for number in range(3)])
    with pytest.raises(UserError, match=message) as caught:
        open_dataset(tmp_path)
    assert "black" not in str(caught.value)


@settings(deadline=None)
@given(st.integers(0, 6), st.integers(1, 6), st.integers(0, 3))
def test_black_masks_are_proposed_only_where_they_spoil_nothing(paired: int, alone: int, orphans: int) -> None:
    files = [f"{kind}/{n}.png" for n in range(paired) for kind in ("images", "masks")]
    files += [f"images/alone{n}.png" for n in range(alone)] + [f"masks/result {n}.png" for n in range(orphans)]
    try:
        with opened(files) as dataset:
            missing = [problem.message for problem in dataset.problems if problem.kind == "missing mask"]
            assert len(missing) == alone
            assert all(("all-black" in message) == (orphans == 0 and paired >= alone) for message in missing)
    except UserError as error:
        assert paired == 0 and "black" not in str(error)


# No file is lost without a word.


def test_linked_folders_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", [f"{kind}/{n}.png" for kind in ("shots", "drawn") for n in range(3)])
    (tmp_path / "set/masks").mkdir(parents=True)
    (tmp_path / "set/images").symlink_to(tmp_path / "elsewhere/shots")
    (tmp_path / "set/masks/day 1").symlink_to(tmp_path / "elsewhere/drawn")
    (tmp_path / "set/masks/back").symlink_to(tmp_path)
    (tmp_path / "elsewhere/drawn/again").symlink_to(tmp_path / "elsewhere/drawn")
    put(tmp_path / "elsewhere/shots", [f"day 1/{n}.png" for n in range(3)])
    dataset = open_dataset(tmp_path / "set", strict=False)
    assert [sample.id for sample in dataset.samples] == [f"images/day 1/{n}.png" for n in range(3)]
    assert [problem.file for problem in dataset.problems] == [f"images/{n}.png" for n in range(3)]


def test_two_folders_that_link_to_each_other_end(tmp_path: Path) -> None:
    put(tmp_path, [f"{kind}/{n}.png" for kind in ("images", "masks") for n in range(3)])
    for folder in ("images/more", "other/more"):
        (tmp_path / folder).parent.mkdir(exist_ok=True)
    (tmp_path / "images/more").symlink_to(tmp_path / "other")
    (tmp_path / "other/more").symlink_to(tmp_path / "images")
    assert len(open_dataset(tmp_path)) == 3


@pytest.mark.parametrize("naming", ["IM{:04}", "1.2.840.113619.2.{}", "frame {}"])
def test_dicom_files_without_a_suffix_are_images(tmp_path: Path, naming: str) -> None:
    put(tmp_path, [f"masks/{naming.format(number)}.png" for number in range(3)])
    (tmp_path / "images").mkdir()
    for number in range(3):
        (tmp_path / "images" / naming.format(number)).write_bytes(bytes(128) + b"DICM")
    (tmp_path / "images" / "README").write_text("no image")
    dataset = open_dataset(tmp_path)
    assert [sample.id for sample in dataset.samples] == sorted(f"images/{naming.format(number)}" for number in range(3))
    assert [problem.message for problem in dataset.problems if "1 no suffix; first: images/README" in problem.message]


@settings(deadline=None)
@given(st.sampled_from([".webp", ".heic", ".jp2", ".nii", ".npy", ".xyz"]), st.integers(1, 5), st.booleans())
def test_files_of_other_types_are_counted_in_one_problem(suffix: str, count: int, among_masks: bool) -> None:
    folder = "masks" if among_masks else "images"
    files = [f"{kind}/{n}.png" for kind in ("images", "masks") for n in range(3)]
    with opened([*files, *(f"{folder}/other{n}{suffix}" for n in range(count)), "images/notes.txt"]) as dataset:
        (problem,) = dataset.problems
        assert problem.kind == "left out" and not problem.fatal
        assert f"({count} {suffix}; first: {folder}/other0{suffix})" in problem.message


@pytest.mark.parametrize("extra", ["cyst/1.png", "more/images/1.png", "figure.png"])
def test_images_beside_a_published_layout_are_told(tmp_path: Path, extra: str) -> None:
    put(tmp_path, ["benign/benign (1).png", "benign/benign (1)_mask.png", extra])
    dataset = open_dataset(tmp_path)
    assert dataset.reader == "busi"
    assert [problem.file for problem in dataset.problems if problem.kind == "left out"] == [extra]


def test_links_to_nothing_are_not_lost(tmp_path: Path) -> None:
    put(tmp_path, [f"{kind}/{n}.png" for kind in ("images", "masks") for n in range(3)])
    os.remove(tmp_path / "images/1.png")  # noqa: PTH107
    (tmp_path / "images/1.png").symlink_to(tmp_path / "gone.png")
    dataset = open_dataset(tmp_path)
    with pytest.raises(UserError, match=r"1\.png does not exist"):
        dataset.source.decode(dataset.samples[1])
